"""Paints the retina itself: what each pixel would reflect under even white light.

Pigment and blood take light away (Beer and Lambert: densities add up); nerve tissue, exudates and
reflexes cover what lies behind them. Colours are chosen by eye against photographs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import gaussian_filter

from foveal.synthetic.fibres import fibre_number
from foveal.synthetic.layers import smoothstep, spot_layer, vessel_layers
from foveal.synthetic.mixing import Colour, Picture, Plane, cover, planes, through
from foveal.synthetic.spec import Disc, FundusSpec, Ground, Lesion, LesionKind, Vessel
from foveal.synthetic.view import View, smooth_noise

Mask = Bool[np.ndarray, "row column"]

SCLERA: Colour = (1.0, 0.83, 0.64)
RIM_PINK: Colour = (0.92, 0.54, 0.34)
RIM_PALE: Colour = (0.96, 0.65, 0.43)
CUP: Colour = (1.0, 0.86, 0.58)
HARD_EXUDATE: Colour = (1.0, 0.84, 0.30)
SOFT_EXUDATE: Colour = (0.98, 0.88, 0.66)
REFLEX: Colour = (1.0, 0.86, 0.70)
POOLED_BLOOD: Colour = (0.38, 0.06, 0.03)

# Textures of one seed: each has a lattice of its own.
MOTTLING = ((0.11, 8.0), (0.06, 3.0), (0.03, 0.9), (0.03, 0.25))
"""Amount and grid in degrees of the pigment's octaves, textures 0 to 3."""
CHOROIDAL_BLOOD, CHOROIDAL_PATCHES, LESION_BORDERS, DISC_BORDER, FIBRES = 4, 7, 9, 10, 20

# Optical densities: what one unit takes away from red, green and blue.
MELANIN: Colour = (0.45, 0.75, 1.0)
CHOROID: Colour = (0.05, 0.35, 0.75)
VEIN: Colour = (0.21, 0.86, 0.66)
ARTERY: Colour = (0.09, 0.66, 0.50)
CLOT: Colour = (0.23, 0.90, 0.60)


@dataclass(frozen=True, kw_only=True, eq=False)
class Retina:
    """What no lesion changes, painted once: the ground, and the vessels as a film before it."""

    ground: Picture
    passes: Picture
    """Share of light that the vessels let through."""
    adds: Picture
    """Light that the vessels' reflexes add."""
    grain: Plane
    """Makes the borders of lesions ragged."""
    disc: Mask
    cup: Mask
    vessels: Mask
    """Between the walls of arteries and veins."""


def paint_retina(spec: FundusSpec, view: View) -> Retina:
    from_disc, from_cup = _disc_places(spec, view)
    passes, adds, vessels = _film(view, spec.vessels)
    return Retina(
        ground=_disc(_ground(spec, view), spec, view, from_disc, from_cup),
        passes=passes,
        adds=adds,
        grain=_noise(spec.ground, view, LESION_BORDERS, 0.22),
        disc=from_disc <= 1,
        cup=from_cup <= 1,
        vessels=vessels,
    )


def add_lesions(retina: Retina, lesions: tuple[Lesion, ...], view: View) -> Picture:
    """Hard exudates lie behind the vessels, all other lesions are drawn before them."""

    def layer(kind: LesionKind) -> Plane:
        spots = (spot for lesion in lesions if lesion.kind == kind for spot in lesion.spots)
        return spot_layer(view, spots, retina.grain)

    picture = cover(retina.ground, HARD_EXUDATE, layer("hard exudates"))
    picture = picture * retina.passes + retina.adds
    picture = picture * through(CLOT, np.maximum(layer("haemorrhages"), layer("microaneurysms")))
    passes, adds, _ = _film(view, [v for lesion in lesions for v in lesion.vessels])
    picture = cover(picture * passes + adds, SOFT_EXUDATE, layer("soft exudates"))
    return cover(picture, POOLED_BLOOD, layer("preretinal haemorrhage"))


def _ground(spec: FundusSpec, view: View) -> Picture:
    """Pigment epithelium, choroid and nerve fibres."""
    ground, (row, column) = spec.ground, view.offsets
    from_fovea = np.hypot(row, column)
    lutea = np.exp(-((from_fovea / 2.4) ** 2)) + 0.55 * np.exp(-((from_fovea / 6.5) ** 2))
    octaves = enumerate(MOTTLING)
    mottling = sum(amount * _noise(ground, view, layer, step) for layer, (amount, step) in octaves)
    ribbons = ground.tessellation * _choroidal_vessels(ground, view, from_fovea)
    melanin = 0.35 + 0.75 * ground.pigment + mottling + 0.55 * ground.macula * lutea
    melanin = melanin + 0.35 * ground.tessellation - 0.75 * ribbons
    choroid = 0.85 + 0.16 * _noise(ground, view, CHOROIDAL_BLOOD, 6.0) + 0.15 * ribbons
    picture = planes(SCLERA) * through(MELANIN, melanin) * through(CHOROID, choroid)
    picture = cover(picture, REFLEX, ground.fibres * _fibres(ground, spec.disc, view))
    foveal_reflex = np.exp(-(((row - 0.06) / 0.16) ** 2 + (column / 0.22) ** 2))
    return cover(picture, REFLEX, ground.reflex * foveal_reflex)


def _choroidal_vessels(ground: Ground, view: View, from_fovea: Plane) -> Plane:
    """Pale ribbons, seen in patches and not behind the macula."""
    ribbons, _ = vessel_layers(view, ground.choroid)
    shown = np.clip(0.55 + 0.5 * _noise(ground, view, CHOROIDAL_PATCHES, 11.0), 0, 1)
    shown = shown * (1 - np.exp(-((from_fovea / 9.0) ** 2)))
    return gaussian_filter(ribbons, 0.14 * view.pixels_per_unit) * shown


def _fibres(ground: Ground, disc: Disc, view: View) -> Plane:
    """Streaks of the nerve fibre layer, brightest where it is thick, above and below the disc."""
    row, column = view.offsets
    down, across = row - disc.row, column - disc.column
    number = fibre_number(row, column, disc)
    random = np.random.default_rng([ground.seed, FIBRES])
    streaks, bundles = (
        np.interp(number, np.linspace(-2 * np.pi, 2 * np.pi, count), random.standard_normal(count))
        for count in (500, 60)
    )
    bearing = np.abs(np.arctan2(down, -across))
    thick = np.exp(-(((bearing - 1.05) / 0.5) ** 2) - ((np.hypot(down, across) - 5) / 5.5) ** 2)
    return thick * np.clip(0.4 + 0.15 * streaks + 0.4 * bundles, 0, 1.5)


def _disc_places(spec: FundusSpec, view: View) -> tuple[Plane, Plane]:
    """Distances from the middle of the disc and of the cup: 1 on their borders."""
    disc, (row, column) = spec.disc, view.offsets
    down, across = (row - disc.row) / disc.aspect, column - disc.column
    wavy = 0.02 * _noise(spec.ground, view, DISC_BORDER, 1.6)
    from_cup = np.hypot(down, across + 0.12 * disc.radius) / (disc.radius * disc.cup_ratio)
    return np.hypot(down, across) / disc.radius + wavy, from_cup


def _disc(
    picture: Picture, spec: FundusSpec, view: View, from_disc: Plane, from_cup: Plane
) -> Picture:
    """The glow around the disc, the crescent beside it, the rim, and the cup."""
    disc, (row, column) = spec.disc, view.offsets
    temporal = (disc.column - column) / (np.hypot(row - disc.row, column - disc.column) + 0.3)
    picture = cover(picture, REFLEX, 0.09 * np.exp(-1.4 * np.maximum(from_disc - 0.9, 0)))
    crescent = np.exp(-(((from_disc - 1.06) / 0.07) ** 2)) * np.maximum(temporal, 0) ** 0.7
    picture = cover(picture, CUP, 0.5 * disc.crescent * crescent)
    pale = np.clip(disc.pallor + 0.25 * temporal - 0.4 * np.maximum(from_disc - 0.7, 0), 0, 1)
    rim = planes(RIM_PINK) + (planes(RIM_PALE) - planes(RIM_PINK)) * pale
    border = 0.22 - 0.07 * temporal
    picture = picture + (rim - picture) * (0.96 * smoothstep((1 - from_disc) / border + 0.5))
    return cover(picture, CUP, 0.85 * smoothstep((1 - from_cup) / 0.8 + 0.5))


def _film(view: View, vessels: Iterable[Vessel]) -> tuple[Picture, Picture, Mask]:
    """What vessels let through, what their reflexes add, and where they are.

    Arteries cross in front of veins.
    """
    vessels = tuple(vessels)
    veins, in_vein = vessel_layers(view, (v for v in vessels if v.kind == "vein"))
    arteries, in_artery = vessel_layers(view, (v for v in vessels if v.kind == "artery"))
    dull = 0.05 * veins * smoothstep((in_vein - 0.55) / 0.45)
    bright = 0.24 * arteries * smoothstep((in_artery - 0.45) / 0.4)
    before_veins = through(ARTERY, arteries) * (1 - bright)
    passes = through(VEIN, veins) * (1 - dull) * before_veins
    adds = planes(REFLEX) * (dull * before_veins + bright)
    return passes, adds, (in_vein > 0) | (in_artery > 0)


def _noise(ground: Ground, view: View, layer: int, step_deg: float) -> Plane:
    return smooth_noise(view, seed=ground.seed, layer=layer, step_deg=step_deg)
