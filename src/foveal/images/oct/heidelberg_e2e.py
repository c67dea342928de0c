"""Heidelberg .E2E archives, through eyepy."""

from pathlib import Path
from typing import Any

import numpy as np

from foveal.core import ImageError, Laterality, Volume
from foveal.images.oct.foreign import about_foreign, needs_oct, pick
from foveal.images.oct.heidelberg_vol import as_line
from foveal.images.oct.intensity import FOURTH_ROOT, fourth_root
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
)

_SIDES: dict[str, Laterality] = {"R": "right", "L": "left", "OD": "right", "OS": "left"}


def read_e2e(
    path: Path, *, sections: Sections, series: int | None, max_pixels: int, sha256: str
) -> Volume:
    """One scan of an archive.

    The archive places sections in degrees: that orders them and gives no millimetres, so spacing
    is `None`; an .xml or .vol export of the same scan says it.

    Raises:
        ImageError: No eyepy, a damaged archive, or several scans and no choice.
    """
    with needs_oct("eyepy"):
        from eyepy.io.he import HeE2eReader
        from eyepy.io.he.vol_reader import SEG_MAPPING

    with about_foreign("Heidelberg E2E"), HeE2eReader(path) as reader:
        scans = [entry for entry in reader.series if _slices(entry)]
        found = pick(scans, series)
        slices = _slices(found)
        metas = [entry.get_meta() for entry in slices]
        grid = int(metas[0]["size_y"]), int(metas[0]["size_x"])
        first, last = chosen(sections, len(slices))
        check_volume(last - first, grid, max_pixels)
        corners = [[meta["start_pos"][::-1], meta["end_pos"][::-1]] for meta in metas]
        names = {number: name for name, number in SEG_MAPPING.items()}
        scan = Scan(
            count=len(slices),
            grid=grid,
            places_degrees=np.array(corners, float),
            lines=_lines(slices, names, grid),
            laterality=_laterality(found),
            source=str(path),
            facts={
                "format": "Heidelberg E2E",
                "display": FOURTH_ROOT,
                "spacing": "not in the file, which places its sections in degrees",
            },
        )

        def load(number: int) -> Section:
            raw = np.asarray(slices[number].get_bscan(), np.float32)
            return Section(pixels=fourth_root(raw[np.newaxis]))

        return assemble(scan, load, sections=sections, sha256=sha256)


def _slices(series: Any) -> list[Any]:
    """The sections of one scan: a slice of a photograph has no place of its own."""
    from eyepy.io.he.e2e_format import TypesEnum

    entries = sorted(series.slices.items())
    return [entry for _, entry in entries if TypesEnum.bscanmeta in entry.folders]


def _lines(slices: list[Any], names: dict[int, str], grid: tuple[int, int]) -> dict[str, Any]:
    from eyepy.io.he.e2e_format import TypesEnum

    lines: dict[str, np.ndarray] = {}
    for place, entry in enumerate(slices):
        held = entry.get_layers() if TypesEnum.layer_annotation in entry.folders else {}
        for number, rows in held.items():
            name = names.get(number, f"layer {number}")
            line = lines.setdefault(name, np.full((len(slices), grid[1]), np.nan, np.float32))
            if len(rows) != grid[1]:
                raise ImageError(f"has a line {name!r} of {len(rows)} values for {grid[1]} columns")
            line[place] = as_line(np.asarray(rows, float), grid[0])
    return {name: line for name, line in lines.items() if np.isfinite(line).any()}


def _laterality(series: Any) -> Laterality:
    try:
        return _SIDES.get(series.laterality(), "unknown")
    except KeyError:
        return "unknown"
