"""Where the layers of a macula lie, with and without lesions.

Reference:
    Staurenghi et al. 2014, Proposed lexicon for anatomic landmarks in normal posterior segment
    spectral-domain optical coherence tomography, Ophthalmology 121:1572, for the layers' names.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from foveal.synthetic.oct_spec import Cyst, Dome, Macula, OctSpec, Swelling

Profile = Float[np.ndarray, " column"]

LINES = ("ILM", "RNFL", "IPL", "INL", "OPL", "ELM", "EZ", "RPE", "BM")
"""From the vitreous outwards. `RNFL`, `IPL`, `INL` and `OPL` are the outer borders of the layers of
that name, `EZ` and `RPE` inner borders; `ELM` and `BM` are membranes."""
NASAL_MM = 3.0


def heights(spec: OctSpec, row: float, column: Profile) -> dict[str, Profile]:
    """Height of each line above Bruch's membrane in millimetres, with and because of lesions.

    Two more are given: `RPE outer`, below which drusen and detachments lie, and `OS`, the outer end
    of the photoreceptors, below which subretinal fluid lies.
    """
    macula, away = spec.macula, np.hypot(row, column)
    swollen = _total(_bell(s, row, column) for s in spec.swellings) + 0 * column
    outer = _total(dome_height(d, row, column) for d in spec.domes if d.kind != "subretinal fluid")
    fluid = _total(dome_height(d, row, column) for d in spec.domes if d.kind == "subretinal fluid")
    pit = 1 - np.exp(-((away / macula.pit_mm) ** 2))
    # What is lifted from below presses the outer nuclear layer together first, then bulges.
    bell = np.exp(-((away / 0.6) ** 2))
    nuclear = macula.onl + macula.foveal_onl * bell
    pressed = 0.7 * nuclear * np.tanh((outer + 0.5 * fluid) / (0.7 * nuclear))
    found = {"BM": 0 * column, "RPE outer": outer + 0 * column}
    found["RPE"] = found["RPE outer"] + macula.rpe
    found["OS"] = found["RPE"] + fluid
    found["EZ"] = found["OS"] + macula.ez_to_rpe
    found["ELM"] = found["EZ"] + macula.elm_to_ez
    found["OPL"] = found["ELM"] + nuclear - pressed + 0.35 * swollen
    found["INL"] = found["OPL"] + macula.opl * (0.15 + 0.85 * pit) + 0.3 * swollen
    found["IPL"] = found["INL"] + macula.inl * pit + 0.35 * swollen
    found["RNFL"] = found["IPL"] + _ganglion_cells(macula, away)
    found["ILM"] = found["RNFL"] + _nerve_fibres(macula, row, column)
    return found


def membrane(spec: OctSpec, row: float, column: Profile) -> Profile:
    """Depth of Bruch's membrane from the picture's upper edge, in millimetres."""
    pose = spec.pose
    bow = (row**2 + column**2) / (2 * pose.curve_mm)
    return pose.depth_mm + pose.tilt * column + pose.slice_tilt * row - bow


def dome_height(dome: Dome, row: float, column: Profile) -> Profile:
    from_middle = ((row - dome.row) ** 2 + (column - dome.column) ** 2) / dome.radius_mm**2
    return dome.height_mm * np.maximum(1 - from_middle, 0) ** dome.flat


def cyst_extent(spec: OctSpec, cyst: Cyst, row: float, column: Profile) -> tuple[float, Profile]:
    """Height of the cyst's middle above Bruch's membrane and its half depth at each column."""
    there = heights(spec, cyst.row, np.array([cyst.column]))
    inner, outer = float(there["IPL"][0]), float(there["ELM"][0])
    from_middle = ((row - cyst.row) ** 2 + (column - cyst.column) ** 2) / cyst.radius_mm**2
    half = cyst.half_depth_mm * np.sqrt(np.maximum(1 - from_middle, 0))
    return inner + (outer - inner) * cyst.level, half


def _ganglion_cells(macula: Macula, away: Profile) -> Profile:
    """None in the fovea, thickest one millimetre away, three fifths of that in the periphery."""
    rise = 1 - np.exp(-((away / (0.9 * macula.pit_mm)) ** 2))
    return macula.gcl_ipl * rise * (0.6 + 0.4 * np.exp(-(((away - 1.0) / 0.9) ** 2)))


def _nerve_fibres(macula: Macula, row: float, column: Profile) -> Profile:
    """Thickest towards the disc, where all fibres go; a film over the fovea."""
    rise = 1 - np.exp(-(np.hypot(row, column) ** 2))
    nasal = np.clip(column / NASAL_MM, 0, 1.5) ** 1.5
    return macula.rnfl * (0.08 + 0.17 * rise + 0.75 * nasal)


def _bell(swelling: Swelling, row: float, column: Profile) -> Profile:
    away = ((row - swelling.row) ** 2 + (column - swelling.column) ** 2) / swelling.radius_mm**2
    return swelling.height_mm * np.exp(-away)


def _total(profiles: Iterable[Profile]) -> Profile | float:
    """The highest of overlapping domes and bells."""
    highest: Profile | float = 0.0
    for profile in profiles:
        highest = np.maximum(highest, profile)
    return highest
