"""Grey levels of DICOM: rescale, window and inversion, as PS3.3 C.7.6.3, C.11.1 and C.11.2 say."""

import numpy as np
from jaxtyping import Float, Integer
from pydicom.dataset import Dataset
from scipy.special import expit

from foveal.core import ImageError
from foveal.images.header import Places, first, numbers, whole_number
from foveal.images.raster import Facts

_NARROWEST = 1e-6
"""A window of one level is a step; this keeps its slope finite."""


def grey_levels(
    stored: Integer[np.ndarray, "row column"], dataset: Dataset, searched: Places
) -> tuple[Float[np.ndarray, "row column"], Facts]:
    """Display units in [0, 1]: the header's first window, else the full range of BitsStored.

    What was done is among the facts, since contrast decides what a model can see.

    Raises:
        ImageError: A lookup table in place of a rescale or a window, or a rescale by zero.
    """
    for table in ("ModalityLUTSequence", "VOILUTSequence"):
        if first(searched, table) is not None:
            raise ImageError(
                f"maps its grey levels by a table ({table}), which is not read; "
                "export it with a window or as RGB"
            )
    slope, intercept = (
        next(iter(numbers(searched, keyword)), default)
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0:
        raise ImageError("has a RescaleSlope of zero, which leaves no picture; export it again")
    values = stored.astype(np.float32)
    values *= np.float32(slope)
    values += np.float32(intercept)
    windowed, facts = _window(values, searched)
    if windowed is None:
        ends = sorted(end * slope + intercept for end in _stored_range(dataset))
        windowed = _ramp(values, ends[0], ends[1])
        facts["window"] = f"full range {ends[0]:g} to {ends[1]:g}"
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        windowed = np.float32(1) - windowed
        facts["inverted"] = True
    return windowed, facts


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


def _stored_range(dataset: Dataset) -> tuple[int, int]:
    bits = whole_number(dataset, "BitsStored")
    signed = whole_number(dataset, "PixelRepresentation", default=0) == 1
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
