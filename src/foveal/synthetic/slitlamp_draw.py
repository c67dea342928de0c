"""Draws the healthy front of an eye, and how it was photographed."""

from math import cos, hypot, pi, sin

import numpy as np

from foveal.synthetic.slitlamp_spec import (
    Cornea,
    Highlight,
    Illumination,
    Iris,
    Lids,
    Lighting,
    Pupil,
    Sclera,
    SlitLamp,
)
from foveal.synthetic.spec import Spot, Vessel

SLIT_LAMPS = {
    lamp.name: lamp
    for lamp in (
        SlitLamp(
            name="halogen",
            gains=(1.08, 0.97, 0.80),
            contrast=1.05,
            blur_mm=0.030,
            noise=0.008,
            vignette=0.15,
            round_lamp=False,
        ),
        SlitLamp(
            name="led",
            gains=(0.98, 1.0, 1.02),
            contrast=1.15,
            blur_mm=0.020,
            noise=0.006,
            vignette=0.05,
            round_lamp=True,
        ),
        SlitLamp(
            name="vintage",
            gains=(1.05, 0.95, 0.88),
            contrast=0.92,
            blur_mm=0.045,
            noise=0.012,
            vignette=0.25,
            round_lamp=False,
        ),
        SlitLamp(
            name="handheld",
            gains=(1.0, 0.98, 0.92),
            contrast=1.0,
            blur_mm=0.055,
            noise=0.010,
            vignette=0.35,
            round_lamp=True,
        ),
    )
}


def draw_lids(random: np.random.Generator) -> Lids:
    upper, lower = random.uniform(4.2, 6.0), random.uniform(5.0, 6.3)
    half_width, slant = random.uniform(13.5, 15.5), random.uniform(0.0, 0.06)
    bare = Lids(
        upper_mm=upper,
        lower_mm=lower,
        half_width_mm=half_width,
        slant=slant,
        skin=random.beta(1.5, 2.0),
        lashes=(),
    )
    lashes = (*_lashes(random, bare, up=True), *_lashes(random, bare, up=False))
    return Lids(**{**vars(bare), "lashes": lashes})


def lid_margins(lids: Lids, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of the upper and of the lower lid's margin at each column; they meet in the corners.

    The upper lid is highest a little towards the nose, the lower one lowest towards the temple.
    """
    axis = lids.slant * column
    share = np.clip(column / lids.half_width_mm, -1, 1)
    upper = axis - lids.upper_mm * (1 - np.abs(share) ** 2.2) * (1 + 0.12 * share)
    lower = axis + lids.lower_mm * (1 - np.abs(share) ** 2.4) * (1 - 0.12 * share)
    return upper, lower


def draw_sclera(random: np.random.Generator) -> Sclera:
    redness = random.beta(1.1, 1.8)
    trunks = [_conjunctival(random, k, redness) for k in range(18 + int(26 * redness))]
    fine = [_ciliary(random, redness) for _ in range(int(150 * max(0.0, redness - 0.15)))]
    vessels = (*(vessel for family in trunks for vessel in family), *fine)
    return Sclera(yellow=random.uniform(0, 1), redness=redness, vessels=vessels)


def draw_cornea(random: np.random.Generator) -> Cornea:
    return Cornea(
        radius_mm=random.normal(5.85, 0.15),
        aspect=random.uniform(0.91, 0.97),
        arcus=max(0.0, random.uniform(-1.0, 0.6)),
    )


def draw_iris(random: np.random.Generator) -> Iris:
    crypts = []
    for angle in random.uniform(0, 2 * pi, random.integers(0, 9)):
        away = random.uniform(3.2, 4.6)
        crypts.append(
            Spot(
                row=away * sin(angle),
                column=away * cos(angle),
                radius=random.uniform(0.12, 0.25),
                strength=random.uniform(0.3, 0.6),
                stretch=random.uniform(1.2, 2.4),
                angle=pi / 2 - angle,
                rough=0.1,
                soft=0.6,
            )
        )
    return Iris(
        pigment=random.beta(1.0, 0.8),
        collarette=random.uniform(0.25, 0.45),
        contrast=random.uniform(0.5, 1.0),
        crypts=tuple(crypts),
    )


def draw_pupil(random: np.random.Generator) -> Pupil:
    return Pupil(
        row=random.normal(0.0, 0.12),
        column=random.normal(0.2, 0.12),
        radius_mm=random.uniform(1.7, 3.6),
        glow=random.beta(1.5, 4),
    )


def draw_lighting(
    random: np.random.Generator, device: SlitLamp, illumination: Illumination | None
) -> Lighting:
    drawn: Illumination = "slit" if random.random() < 0.35 else "diffuse"
    taken = illumination or drawn
    side = 1 if random.random() < 0.5 else -1
    return Lighting(
        illumination=taken,
        width_mm=random.uniform(14.5, 23.0),
        middle=(random.normal(0.2, 0.5), random.normal(0, 0.8)),
        brightness=random.uniform(0.8, 1.2),
        ambient=random.uniform(0.3, 0.55) if taken == "slit" else 1.0,
        beam_mm=random.uniform(0.25, 1.2),
        beam_column=random.uniform(-2.5, 2.5) - side * 1.5,
        beam_tilt=side * random.uniform(0.5, 0.9),
        light=(random.normal(-0.5, 2.0), random.normal(0, 3.0)),
        fall_off=random.uniform(0.15, 0.45),
        highlights=_highlights(random, device),
        seed=int(random.integers(2**31)),
    )


def _highlights(random: np.random.Generator, device: SlitLamp) -> tuple[Highlight, ...]:
    """One or two images of the lamp on the cornea."""
    drawn = []
    for _ in range(1 + (random.random() < 0.45)):
        half_width = random.uniform(0.15, 0.4)
        tall = 1.0 if device.round_lamp else random.uniform(1.6, 3.0)
        drawn.append(
            Highlight(
                row=random.normal(-0.8, 0.8),
                column=random.normal(0, 1.5),
                half_height=half_width * tall,
                half_width=half_width,
                strength=random.uniform(0.9, 1.0),
            )
        )
    return tuple(drawn)


def _lashes(random: np.random.Generator, lids: Lids, *, up: bool) -> tuple[Vessel, ...]:
    """Roots a little behind the margin; they bend away from the eye."""
    grown, way = [], -1.0 if up else 1.0
    for _ in range(random.integers(45, 80) if up else random.integers(25, 50)):
        column = random.uniform(-0.85, 0.85) * lids.half_width_mm
        margin = lid_margins(lids, np.array([column]))[0 if up else 1][0]
        row = margin + way * random.uniform(0.7, 1.4)
        length = random.uniform(3.0, 6.0) if up else random.uniform(1.2, 2.8)
        lean = 0.6 * column / lids.half_width_mm + random.normal(0, 0.25)
        points = tuple(
            (
                row + way * length * (share**2 * 1.0 - 0.2 * share),
                column + length * lean * share + 0.12 * length * share**2,
            )
            for share in (0.0, 0.35, 0.7, 1.0)
        )
        grown.append(Vessel(kind="choroidal", points=points, radii=(0.07, 0.055, 0.035, 0.01)))
    return tuple(grown)


def _conjunctival(random: np.random.Generator, number: int, redness: float) -> list[Vessel]:
    """A winding vessel that comes in from the side and its branches."""
    angle = pi * (number % 2) + random.normal(0, 0.75)
    away, radius = random.uniform(11.5, 14.5), random.uniform(0.025, 0.06) * (1 + 0.9 * redness)
    start = (away * sin(angle), away * cos(angle))
    family = [_wander(random, start, angle + pi, radius, int(random.integers(7, 16)))]
    trunk = family[0]
    for row, column in trunk.points[2:-1:3]:
        heading = angle + pi + random.choice([-1, 1]) * random.uniform(0.4, 0.9)
        steps = int(random.integers(4, 9))
        family.append(_wander(random, (row, column), heading, radius * 0.6, steps))
    return family


def _wander(
    random: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    radius: float,
    steps: int,
) -> Vessel:
    """Steps of about half a millimetre that end at the cornea."""
    points, turn = [start], 0.0
    for _ in range(steps):
        row, column = points[-1]
        turn = 0.5 * turn + random.normal(0, 0.35)
        bearing = heading + turn
        place = (row + 0.55 * sin(bearing), column + 0.55 * cos(bearing))
        if hypot(*place) < 6.2:
            break
        points.append(place)
    if len(points) < 2:
        row, column = start
        points.append((row * 1.04, column * 1.04))
    radii = tuple(float(r) for r in radius * np.linspace(1, 0.45, len(points)))
    return Vessel(kind="vein", points=tuple(points), radii=radii)


def _ciliary(random: np.random.Generator, redness: float) -> Vessel:
    """Fine straight vessels around the limbus, which fill when the inside of the eye is sore."""
    angle, inner = random.uniform(0, 2 * pi), random.uniform(5.9, 6.2)
    outer = inner + random.exponential(0.9) + 0.5
    bend = random.normal(0, 0.06)
    points = tuple(
        (away * sin(angle + bend * share), away * cos(angle + bend * share))
        for share, away in ((0, outer), (0.5, (inner + outer) / 2), (1, inner))
    )
    radius = random.uniform(0.02, 0.045) * (0.6 + redness)
    return Vessel(kind="artery", points=points, radii=(radius, 0.9 * radius, 0.5 * radius))
