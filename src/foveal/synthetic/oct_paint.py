"""Paints one section: what each layer reflects, shadows, loss of signal and speckle.

Grey levels of layers are chosen by eye against sections of volunteers and patients, as they look
after a scanner's compression.

Reference:
    Goodman 1976, Some fundamental properties of speckle, J Opt Soc Am 66:1145: the intensity of
    fully developed speckle has a contrast of one, and the mean of `looks` independent patterns a
    contrast of 1 / sqrt(looks).
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from foveal.synthetic.oct_layers import LINES, Profile, cyst_extent, dome_height, heights, membrane
from foveal.synthetic.oct_spec import OctSpec

Plane = Float[np.ndarray, "row column"]
Mask = Bool[np.ndarray, "row column"]

LAYER_GREY = (0.08, 0.66, 0.45, 0.33, 0.42, 0.25, 0.30, 0.62, 0.78, 0.42)
"""Of the vitreous and of the layer below each of `LINES`."""
DRUSEN_GREY, DETACHMENT_GREY, FLUID_GREY, SCLERA_GREY = 0.50, 0.24, 0.10, 0.24
MEMBRANE_GREY, ZONE_GREY, HYALOID_GREY, VESSEL_GREY = 0.40, 0.78, 0.30, 0.62
LUMEN_GREY, STROMA_GREY = 0.27, 0.48
DISPLAY = 4
"""Intensity is this power of a grey level: scanners show about the fourth root."""
ZONE_MM = 0.011
"""Thickness of the bright ellipsoid zone."""
CHOROID, MOTTLE = 31, 32
TISSUE_FADES_MM = 0.35
"""Depth below the pigment epithelium over which light falls to a third, in grey levels."""


class Section:
    """One section before speckle: its lines in pixel rows, grey levels and masks."""

    def __init__(self, spec: OctSpec, row_mm: float, *, rows: int, columns: int) -> None:
        self.spec, self.row_mm = spec, row_mm
        self.spacing_mm = spec.scanner.depth_mm / rows, spec.scanner.width_mm / columns
        self._nose = 1.0 if spec.laterality == "right" else -1.0
        across = (np.arange(columns) + 0.5 - columns / 2) * self.spacing_mm[1]
        self.column_mm: Profile = self._nose * across
        above = heights(spec, row_mm, self.column_mm)
        bruch = membrane(spec, row_mm, self.column_mm)
        self._borders = {name: (bruch - up) / self.spacing_mm[0] for name, up in above.items()}
        self._bruch_mm = bruch
        self._row = (np.arange(rows) + 0.5)[:, None]
        self.lines = {name: self._borders[name].astype(np.float32) for name in LINES}

    def between(self, inner: str, outer: str) -> Mask:
        """Pixels whose centre lies from one border to the next."""
        return (self._row >= self._borders[inner]) & (self._row < self._borders[outer])

    def lesions(self) -> dict[str, Mask]:
        """The kinds that show in this section."""
        below, fluid = self.between("RPE outer", "BM"), self.between("OS", "RPE")
        detached = below & self._highest_is("pigment epithelial detachment")
        found = {
            "drusen": below & ~detached,
            "pigment epithelial detachment": detached,
            "subretinal fluid": fluid,
            "intraretinal fluid": self._cysts(),
        }
        return {name: mask for name, mask in found.items() if mask.any()}

    def layers(self) -> dict[str, Mask]:
        """Anatomical regions; a layer is what is left of it between and around lesions."""
        cysts = ~self._cysts()
        ends = self._borders["BM"] + self.spec.macula.choroid / self.spacing_mm[0]
        found = {
            "vitreous": self._row < self._borders["ILM"],
            "retina": self.between("ILM", "BM"),
            "retinal nerve fibre layer": self.between("ILM", "RNFL") & cysts,
            "inner nuclear layer": self.between("IPL", "INL") & cysts,
            "outer plexiform layer": self.between("INL", "OPL") & cysts,
            "outer nuclear layer": self.between("OPL", "ELM") & cysts,
            "ellipsoid zone": self._zone(),
            "retinal pigment epithelium": self.between("RPE", "RPE outer"),
            "choroid": (self._row >= self._borders["BM"]) & (self._row < ends),
        }
        return {name: mask for name, mask in found.items() if mask.any()}

    def grey(self) -> Plane:
        """Mean grey level of every pixel, before shadows, noise and speckle."""
        order = sum((self._row >= self._borders[name]).astype(np.int8) for name in LINES)
        grey = np.array(LAYER_GREY, np.float32)[order]
        for membrane_at, width, level in (("ELM", 0.006, MEMBRANE_GREY), ("BM", 0.004, 0.55)):
            grey[self._band(membrane_at, width)] = level
        grey[self._zone()] = ZONE_GREY
        grey = np.where(order == len(LINES), self._choroid(), grey)
        for name, level in (
            ("drusen", DRUSEN_GREY),
            ("pigment epithelial detachment", DETACHMENT_GREY),
            ("subretinal fluid", FLUID_GREY),
            ("intraretinal fluid", FLUID_GREY),
        ):
            mask = self.lesions().get(name)
            if mask is not None:
                grey[mask] = level
        if self.spec.hyaloid_mm is not None:
            grey[self._hyaloid()] = HYALOID_GREY
        fine = 1 + 0.06 * self._texture(MOTTLE, (0.012, 0.05))
        return gaussian_filter1d(grey * fine, 0.7, axis=0) * np.float32(self.spec.brightness)

    def picture(self, random: np.random.Generator) -> Plane:
        """As a person sees it, in [0, 1], at 8 bit."""
        scanner = self.spec.scanner
        signal = self.grey() ** DISPLAY * self._shadows()
        depth = self._row / len(self._row)
        signal = signal * 10 ** (-scanner.fall_off_db / 10 * depth)
        floor = scanner.floor**DISPLAY
        grain = scanner.grain * len(self.column_mm) / 512
        seen = (signal + floor) * speckle(random, signal.shape, scanner.looks, grain)
        shown = np.clip(seen, 0, None) ** scanner.compression
        return np.round(np.clip(shown, 0, 1) * 255).astype(np.float32) / np.float32(255)

    def _highest_is(self, kind: str) -> Mask:
        """Columns where a dome of this kind is the highest of those below the epithelium."""
        nothing = np.zeros(len(self.column_mm))
        mine, others = nothing, nothing
        for dome in self.spec.domes:
            height = dome_height(dome, self.row_mm, self.column_mm)
            if dome.kind == kind:
                mine = np.maximum(mine, height)
            elif dome.kind != "subretinal fluid":
                others = np.maximum(others, height)
        return (mine > others)[None, :] & np.ones(self._row.shape, bool)

    def _cysts(self) -> Mask:
        found = np.zeros((len(self._row), len(self.column_mm)), bool)
        for cyst in self.spec.cysts:
            middle, half = cyst_extent(self.spec, cyst, self.row_mm, self.column_mm)
            if half.any():
                row = (self._bruch_mm - middle) / self.spacing_mm[0]
                found |= np.abs(self._row - row) < half / self.spacing_mm[0]
        return found & self.between("RNFL", "ELM")

    def _band(self, name: str, width_mm: float) -> Mask:
        half = max(width_mm / 2 / self.spacing_mm[0], 0.5)
        return np.abs(self._row - self._borders[name]) < half

    def _zone(self) -> Mask:
        below = (self._row - self._borders["EZ"]) * self.spacing_mm[0]
        return (below >= 0) & (below < ZONE_MM)

    def _hyaloid(self) -> Mask:
        """A thin line that sags towards the fovea."""
        lifted = (self.spec.hyaloid_mm or 0.0) + 0.015 * self.column_mm**2
        row = self._borders["ILM"].mean() - lifted / self.spacing_mm[0]
        return np.abs(self._row - row) < max(0.004 / self.spacing_mm[0], 0.5)

    def _choroid(self) -> Plane:
        """Dark lumens in a bright stroma that fades with depth, and the sclera behind."""
        depth = (self._row - self._borders["BM"]) * self.spacing_mm[0]
        vessels = np.clip(1.4 * self._texture(CHOROID, (0.09, 0.16)) - 0.2, 0, 1)
        vessels = vessels * np.clip(depth / 0.05, 0, 1)
        stroma = STROMA_GREY + (LUMEN_GREY - STROMA_GREY) * vessels
        edge = np.clip((depth - self.spec.macula.choroid) / 0.05, 0, 1)
        whole = stroma + (SCLERA_GREY - stroma) * edge
        return (whole * np.exp(-np.maximum(depth, 0) / (2.5 * TISSUE_FADES_MM))).astype(np.float32)

    def _shadows(self) -> Plane:
        """Share of light left below the blood of each vessel."""
        left = np.ones((len(self._row), len(self.column_mm)), np.float32)
        for vessel in self.spec.vessels:
            place = vessel.column + vessel.slope * self.row_mm + vessel.bend * self.row_mm**2
            across = np.abs(self.column_mm - place) / vessel.radius_mm
            if np.hypot(place, self.row_mm) < 0.5 or across.min() > 1.5:
                continue
            taken = vessel.shadow * np.clip(1.5 - across, 0, 1)
            below = self._row > self._borders["RNFL"] + vessel.radius_mm / self.spacing_mm[0]
            left = left * (1 - taken * below)
        return left

    def _texture(self, layer: int, step_mm: tuple[float, float]) -> Plane:
        """A random field that hangs together in all three directions and follows the membrane."""
        random = np.random.default_rng([self.spec.seed, layer])
        nodes = random.standard_normal((24, 64, 64)).astype(np.float32)
        depth = (self._row * self.spacing_mm[0] - self._bruch_mm) / step_mm[0]
        across = np.broadcast_to(self.column_mm / step_mm[1], depth.shape)
        slice_place = np.full_like(depth, self.row_mm / step_mm[1])
        return map_coordinates(nodes, [slice_place, depth, across], order=1, mode="grid-wrap")


def speckle(
    random: np.random.Generator, shape: tuple[int, ...], looks: float, grain: float
) -> Plane:
    """Factors with mean 1 and standard deviation 1 / sqrt(looks), alike over a grain.

    Gamma noise is smoothed; since smoothing takes contrast, the noise that goes in has as much more
    as the smoothing's squared weights leave of the variance. The mean of `looks` patterns of fully
    developed speckle is a gamma variable of that shape.
    """
    unit = np.zeros((33, 33))
    unit[16, 16] = 1.0
    kept = float((gaussian_filter(unit, grain) ** 2).sum())
    white = random.standard_gamma(looks * kept, size=shape).astype(np.float32)
    return gaussian_filter(white / np.float32(looks * kept), grain)
