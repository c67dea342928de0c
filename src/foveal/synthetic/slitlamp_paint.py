"""Paints the front of an eye: what it reflects, and how the lamp lights it.

Colours are chosen by eye. The beam is a sheet of light that crosses the line of sight at an angle,
so the deeper a surface lies, the further to the side the beam meets it: cornea, iris and lens are
lit at different places, which is what the slit lamp was invented for.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, map_coordinates

from foveal.synthetic.layers import smoothstep, spot_layer, vessel_layers
from foveal.synthetic.mixing import Colour, Picture, Plane, cover, planes, through
from foveal.synthetic.slitlamp_draw import lid_margins
from foveal.synthetic.slitlamp_lesions import CORNEAL_KINDS
from foveal.synthetic.slitlamp_spec import FrontLesion, SlitLampSpec
from foveal.synthetic.view import View, smooth_noise

Mask = Bool[np.ndarray, "row column"]

WHITE, YELLOWISH = (0.84, 0.84, 0.86), (0.85, 0.80, 0.69)
BLUE_IRIS, BROWN_IRIS = (0.40, 0.50, 0.58), (0.27, 0.145, 0.075)
LENS_GLOW: Colour = (0.13, 0.14, 0.15)
FAIR_SKIN, DARK_SKIN = (0.84, 0.62, 0.51), (0.36, 0.22, 0.16)
LID_MARGIN: Colour = (0.80, 0.53, 0.47)
LASH: Colour = (0.05, 0.04, 0.04)
GREY_WHITE, YELLOW_WHITE = (0.86, 0.88, 0.86), (0.88, 0.80, 0.58)
NUCLEAR_GREY, NUCLEAR_AMBER = (0.62, 0.62, 0.55), (0.66, 0.47, 0.20)
CORNEAL_SCATTER: Colour = (0.26, 0.31, 0.36)
PINK_FOLD: Colour = (0.80, 0.45, 0.40)
BLOOD: Colour = (0.12, 0.85, 0.75)

IRIS_DEPTH_MM, LENS_DEPTHS_MM = 2.9, (3.1, 6.8)
CORNEAL_CURVE_MM, CORNEAL_THICKNESS_MM, EYE_RADIUS_MM = 7.8, 0.55, 11.5
LASH_DENSITY = 0.92
LESION_BORDERS, SCLERAL_MOTTLING, SKIN_TEXTURE, SKIN_SHADE = range(4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Front:
    """What no lesion changes, painted once."""

    sclera_and_iris: Picture
    """What lies around the lens, lit evenly."""
    lens: Picture
    pupil: Plane
    """Share of each pixel that shows the lens."""
    cornea: Plane
    """Share of each pixel that lies behind the cornea."""
    open: Plane
    """Share of each pixel that no lid covers."""
    lids: Picture
    lashes: Plane
    grain: Plane
    """Makes the borders of lesions ragged."""
    anatomy: dict[str, Mask]


@dataclass(frozen=True, kw_only=True, eq=False)
class Light:
    """How much light reaches each surface."""

    surface: Plane
    """Lids, sclera and iris."""
    lens: Plane
    cornea: Plane
    scatter: Plane
    """What the clear cornea itself sends back where the beam crosses it."""


def paint_front(spec: SlitLampSpec, view: View) -> Front:
    row, column = view.offsets
    from_limbus = np.hypot(row / spec.cornea.aspect, column) / spec.cornea.radius_mm
    from_pupil = np.hypot(row - spec.pupil.row, column - spec.pupil.column) / spec.pupil.radius_mm
    upper, lower = lid_margins(spec.lids, view.columns)
    inside = np.minimum(row - upper[None, :], lower[None, :] - row).astype(np.float32)
    sharp = view.pixels_per_unit
    # The limbus is a gradual change from the clear to the white.
    cornea = smoothstep((1 - from_limbus) * spec.cornea.radius_mm / 0.7 + 0.5)
    sclera = _sclera(spec, view, from_limbus)
    iris = _iris(spec, view, from_pupil, from_limbus)
    lashes, _ = vessel_layers(view, spec.lids.lashes)
    opened = np.clip(inside * sharp + 0.5, 0, 1)
    seen = inside > 0
    pupil, iris_ends = from_pupil <= 1, from_limbus <= 0.97
    return Front(
        sclera_and_iris=sclera + (iris - sclera) * cornea,
        lens=_lens(spec, from_pupil),
        pupil=np.clip((1 - from_pupil) * spec.pupil.radius_mm * sharp + 0.5, 0, 1),
        cornea=np.clip((1 - from_limbus) * spec.cornea.radius_mm * sharp + 0.5, 0, 1),
        open=opened,
        lids=_lids(spec, view, inside, upper),
        lashes=LASH_DENSITY * lashes,
        grain=smooth_noise(view, seed=spec.seed, layer=LESION_BORDERS, step_deg=0.35),
        anatomy={
            "cornea": (from_limbus <= 1) & seen,
            "limbus": (np.abs(from_limbus - 1) * spec.cornea.radius_mm <= 0.5) & seen,
            "iris": iris_ends & ~pupil & seen,
            "pupil": pupil & seen,
            "sclera": (from_limbus > 1) & seen,
            "palpebral fissure": seen,
            "eyelids": ~seen,
            "lashes": lashes > 0.5,
        },
    )


def set_light(spec: SlitLampSpec, view: View) -> Light:
    lighting, (row, column) = spec.lighting, view.offsets
    away = np.hypot(row - lighting.light[0], column - lighting.light[1]) / 12
    even = (1.08 - lighting.fall_off * np.minimum(away, 1.5) ** 2).astype(np.float32)
    if lighting.illumination == "diffuse":
        nothing = np.zeros((len(view.rows), len(view.columns)), np.float32)
        even = np.broadcast_to(even, nothing.shape)
        return Light(surface=even, lens=even, cornea=even, scatter=nothing)
    from_axis = np.hypot(row, column)
    curve = CORNEAL_CURVE_MM - np.sqrt(np.maximum(CORNEAL_CURVE_MM**2 - from_axis**2, 4))
    white = 2.4 + np.maximum(from_axis**2 - spec.cornea.radius_mm**2, 0) / (2 * EYE_RADIUS_MM)
    within = smoothstep((spec.cornea.radius_mm - from_axis) / 0.8)
    depth = white + (IRIS_DEPTH_MM - white) * within
    lit = 0.9 * even * lighting.ambient
    cornea = _beam(spec, view, curve, curve + CORNEAL_THICKNESS_MM)
    lens = _beam(spec, view, np.full_like(depth, LENS_DEPTHS_MM[0]), LENS_DEPTHS_MM[1])
    return Light(
        surface=lit + 1.1 * _beam(spec, view, depth, depth),
        lens=lit + 0.9 * lens,
        cornea=lit + 1.1 * cornea,
        scatter=cornea,
    )


def light_front(
    front: Front, light: Light, view: View, lesions: tuple[FrontLesion, ...]
) -> Picture:
    """The lit eye: lens lesions lie behind the pupil, all others before the iris."""
    lens = front.lens
    for lesion in lesions:
        if lesion.kind not in CORNEAL_KINDS:
            lens = cover(lens, _colour(lesion), spot_layer(view, lesion.spots, front.grain))
    surface = front.sclera_and_iris * light.surface
    picture = surface + (lens * light.lens - surface) * front.pupil
    for lesion in lesions:
        if lesion.kind in CORNEAL_KINDS:
            shown = spot_layer(view, lesion.spots, front.grain) * front.cornea
            lit = light.surface if lesion.kind == "hypopyon" else light.cornea
            picture = picture + (planes(_colour(lesion)) * lit - picture) * shown
    picture = picture + planes(CORNEAL_SCATTER) * light.scatter * front.cornea
    picture = picture + (front.lids * light.surface - picture) * (1 - front.open)
    return picture + (planes(LASH) * light.surface - picture) * front.lashes


def _beam(spec: SlitLampSpec, view: View, first: Plane, last: Plane | float) -> Plane:
    """Whether the beam meets anything between two depths along the line of sight."""
    lighting, (_, column) = spec.lighting, view.offsets
    one, other = (lighting.beam_column + lighting.beam_tilt * depth for depth in (first, last))
    low, high = np.minimum(one, other), np.maximum(one, other)
    outside = np.maximum(low - column, column - high) - lighting.beam_mm / 2
    return smoothstep(0.5 - outside / 0.12).astype(np.float32)


def _sclera(spec: SlitLampSpec, view: View, from_limbus: Plane) -> Picture:
    sclera = spec.sclera
    row, column = view.offsets
    mottled = 0.03 * smooth_noise(view, seed=spec.seed, layer=SCLERAL_MOTTLING, step_deg=1.2)
    round_off = 1 - 0.35 * np.clip((np.hypot(row * 1.2, column) - 5) / 11, 0, 1) ** 1.5
    picture = _between(WHITE, YELLOWISH, sclera.yellow) * (round_off + mottled).astype(np.float32)
    deep, _ = vessel_layers(view, (v for v in sclera.vessels if v.kind == "artery"))
    near, _ = vessel_layers(view, (v for v in sclera.vessels if v.kind == "vein"))
    # Ciliary flush: strongest beside the limbus, fading over three millimetres.
    beside = np.exp(-np.maximum(from_limbus - 1, 0) * spec.cornea.radius_mm / 3.0)
    flush = sclera.redness * (0.10 + 0.35 * beside)
    blurred = gaussian_filter(deep, 0.03 * view.pixels_per_unit)
    picture = picture * through(BLOOD, flush + 0.7 * blurred + 0.75 * near)
    fold = np.exp(-(((column - 0.93 * spec.lids.half_width_mm) / 1.3) ** 2) - (row / 2.2) ** 2)
    return cover(picture, PINK_FOLD, 0.9 * fold)


def _iris(spec: SlitLampSpec, view: View, from_pupil: Plane, from_limbus: Plane) -> Picture:
    iris, (row, column) = spec.iris, view.offsets
    angle = np.arctan2(row - spec.pupil.row, column - spec.pupil.column)
    start = spec.pupil.radius_mm * (from_pupil - 1)
    whole = start + np.maximum((1 - from_limbus) * spec.cornea.radius_mm, 0) + 1e-3
    share = np.clip(start / whole, 0, 1)
    random = np.random.default_rng([spec.seed, 11])
    wavy = angle + 0.07 * _polar(random, angle, share, 24, 5)
    fibres = 0.6 * _polar(random, wavy, share, 170, 4) + 0.4 * _polar(random, wavy, share, 70, 6)
    furrows = np.exp(-(((share - 0.72) / 0.035) ** 2)) + np.exp(-(((share - 0.88) / 0.03) ** 2))
    ruff = smoothstep((iris.collarette + 0.03 * _polar(random, angle, share, 30, 3) - share) / 0.06)
    amount = np.clip(iris.pigment * 1.05 + 0.22 * ruff * (1 - iris.pigment), 0, 1)
    base = planes(BLUE_IRIS) + (planes(BROWN_IRIS) - planes(BLUE_IRIS)) * amount
    rim = 1 - 0.55 * smoothstep((share - 0.84) / 0.16)
    bright = 1 + 0.34 * iris.contrast * fibres - 0.10 * furrows + 0.10 * ruff
    edge = 1 - 0.75 * np.exp(-np.maximum(start, 0) / 0.09)
    picture = base * (np.clip(bright, 0.35, 1.8) * rim * edge).astype(np.float32)
    crypts = spot_layer(view, iris.crypts, np.zeros_like(share))
    picture = picture * (1 - 0.6 * crypts)
    arcus = spec.cornea.arcus * np.exp(-(((from_limbus - 0.91) / 0.045) ** 2))
    return cover(picture, GREY_WHITE, 0.7 * arcus)


def _polar(
    random: np.random.Generator, angle: Plane, share: Plane, around: int, along: int
) -> Plane:
    """A random field over the iris, of so many nodes around and along; it closes on itself."""
    nodes = random.standard_normal((around, along)).astype(np.float32)
    closed = np.concatenate([nodes, nodes[:2]])
    places = [(angle / (2 * pi)) % 1 * around, share * (along - 1)]
    return map_coordinates(closed, places, order=1, mode="nearest")


def _lens(spec: SlitLampSpec, from_pupil: Plane) -> Picture:
    shade = np.exp(-(from_pupil**2)) * (0.25 + spec.pupil.glow)
    return planes((0.012, 0.012, 0.014)) + planes(LENS_GLOW) * shade


def _lids(
    spec: SlitLampSpec, view: View, inside: Plane, upper: Float[np.ndarray, " column"]
) -> Picture:
    texture = 0.05 * smooth_noise(view, seed=spec.seed, layer=SKIN_TEXTURE, step_deg=0.35)
    shade = 0.06 * smooth_noise(view, seed=spec.seed, layer=SKIN_SHADE, step_deg=3.0)
    away, (row, _) = np.maximum(-inside, 0), view.offsets
    above = row < upper[None, :] + 0.01
    crease = 0.3 * np.exp(-(((away - 4.2) / 0.5) ** 2)) * above
    skin = _between(FAIR_SKIN, DARK_SKIN, spec.lids.skin) * (1 + texture + shade - crease)
    margin = 1 - smoothstep((away - 0.75) / 0.5)
    wet = np.exp(-(((away - 0.12) / 0.1) ** 2)) * ~above
    rim = planes(LID_MARGIN) * (1 - 0.35 * spec.lids.skin) * (1 + 0.25 * wet)
    return skin + (rim - skin) * margin


def _between(one: Colour, other: Colour, share: float) -> Float[np.ndarray, "3 1 1"]:
    return planes(one) + (planes(other) - planes(one)) * np.float32(share)


def _colour(lesion: FrontLesion) -> Colour:
    ends = (
        (NUCLEAR_GREY, NUCLEAR_AMBER)
        if lesion.kind == "nuclear opacity"
        else (GREY_WHITE, YELLOW_WHITE)
    )
    red, green, blue = _between(*ends, lesion.tint).ravel()
    return float(red), float(green), float(blue)
