"""Grey levels of DICOM: rescale, tables, window and inversion, as PS3.3 C.7.6.3 and C.11 say."""

import numpy as np
from jaxtyping import Float, Integer
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from scipy.special import expit

from foveal.core import ImageError
from foveal.images.header import Places, first, items, numbers, whole_number
from foveal.images.raster import Facts

_NARROWEST = 1e-6
"""A window of one level is a step; this keeps its slope finite."""

_MOST_ENTRIES = 65536
"""Of a table; written as 0 in the two bytes that count them (PS3.3 C.11.1.1)."""


def grey_levels(
    stored: Integer[np.ndarray, "row column"], dataset: Dataset, searched: Places
) -> tuple[Float[np.ndarray, "row column"], Facts]:
    """Display units in [0, 1]: the header's first table or window, else the full range.

    What was done is among the facts, since contrast decides what a model can see.

    Raises:
        ImageError: A table that is broken, or a rescale by zero.
    """
    values, low, high, facts = _modality_values(stored, dataset, searched)
    shown, windowing = _shown(values, searched)
    if shown is None:
        shown = _ramp(values, low, high)
        windowing = {"window": f"full range {low:g} to {high:g}"}
    facts |= windowing
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = np.float32(1) - shown
        facts["inverted"] = True
    return shown, facts


def _modality_values(
    stored: Integer[np.ndarray, "row column"], dataset: Dataset, searched: Places
) -> tuple[Float[np.ndarray, "row column"], float, float, Facts]:
    """PS3.3 C.11.1: what the device meant, and the range it can take."""
    tables = _tables(searched, "ModalityLUTSequence")
    if tables:
        values, bits = _looked_up(stored, tables[0], "ModalityLUTSequence")
        return values, 0.0, 2.0**bits - 1, {"modality_table": f"{bits} bit"}
    slope, intercept = (
        next(iter(numbers(searched, keyword)), default)
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0:
        raise ImageError("has a RescaleSlope of zero, which leaves no picture; export it again")
    values = stored.astype(np.float32)
    values *= np.float32(slope)
    values += np.float32(intercept)
    low, high = sorted(end * slope + intercept for end in _stored_range(dataset))
    return values, low, high, {}


def _shown(
    values: Float[np.ndarray, "row column"], searched: Places
) -> tuple[Float[np.ndarray, "row column"] | None, Facts]:
    """PS3.3 C.11.2; a table goes before a window, as the finer of two alternatives.

    `None` where the header has neither.
    """
    tables = _tables(searched, "VOILUTSequence")
    if tables:
        levels, bits = _looked_up(values.round().astype(np.int64), tables[0], "VOILUTSequence")
        levels /= np.float32(2**bits - 1)
        return levels, {"window": f"table of {_entry_count(tables[0])} levels"}
    return _window(values, searched)


def _window(
    values: Float[np.ndarray, "row column"], searched: Places
) -> tuple[Float[np.ndarray, "row column"] | None, Facts]:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3; `None` where the header has no usable window."""
    centers, widths = (numbers(searched, f"Window{part}") for part in ("Center", "Width"))
    function = str(first(searched, "VOILUTFunction") or "LINEAR")
    if not centers or not widths or widths[0] < (1 if function == "LINEAR" else _NARROWEST):
        return None, {}
    center, width = centers[0], widths[0]
    facts: Facts = {"window": f"center {center:g}, width {width:g}, {function}"}
    if function == "SIGMOID":
        return expit((values - np.float32(center)) * np.float32(4 / width)), facts
    if function == "LINEAR":
        # A level spans from one half below it to one half above: hence the halves and the one.
        center, width = center - 0.5, max(width - 1, _NARROWEST)
    return _ramp(values, center - width / 2, center + width / 2), facts


def _ramp(
    values: Float[np.ndarray, "row column"], low: float, high: float
) -> Float[np.ndarray, "row column"]:
    """0 at `low` and below, 1 at `high` and above."""
    values -= np.float32(low)
    values /= np.float32(high - low)
    return values.clip(0, 1, out=values)


def _tables(searched: Places, keyword: str) -> list[Dataset]:
    return next((found for place in searched if (found := items(place, keyword))), [])


def _looked_up(
    levels: Integer[np.ndarray, "row column"], table: Dataset, keyword: str
) -> tuple[Float[np.ndarray, "row column"], int]:
    """PS3.3 C.11.1.1: levels beyond either end of a table take its end; and the bits of entries.

    Raises:
        ImageError: A descriptor or entries that do not fit each other.
    """
    descriptor = table.get("LUTDescriptor")
    data = table.get("LUTData")
    if not isinstance(descriptor, list | MultiValue) or len(descriptor) != 3 or data is None:
        raise ImageError(f"has a broken table of grey levels ({keyword}); export it again")
    count, (start, bits) = _entry_count(table), (int(part) for part in descriptor[1:])
    entries = _entries(data, count)
    if not 1 <= bits <= 16 or entries.size != count or entries.max() >= 2**bits:
        raise ImageError(
            f"has a table of grey levels ({keyword}) of {entries.size} entries up to "
            f"{entries.max(initial=0)}, where {count} of {bits} bit are announced; export it again"
        )
    return entries[np.clip(levels.astype(np.int64) - start, 0, count - 1)].astype(np.float32), bits


def _entry_count(table: Dataset) -> int:
    return int(table.LUTDescriptor[0]) or _MOST_ENTRIES


def _entries(data: object, count: int) -> Integer[np.ndarray, " entry"]:
    """As pydicom gives them: numbers, one number, or bytes, two per entry or one."""
    if isinstance(data, bytes | bytearray):
        eight_bit = len(data) in (count, count + count % 2)
        return np.frombuffer(data, np.uint8 if eight_bit else "<u2", count if eight_bit else -1)
    return np.atleast_1d(np.asarray(data, np.int64))


def _stored_range(dataset: Dataset) -> tuple[int, int]:
    bits = whole_number(dataset, "BitsStored")
    signed = whole_number(dataset, "PixelRepresentation", default=0) == 1
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
