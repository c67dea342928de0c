"""The plain numbers an eye is made of. Drawing fills them in, rendering only reads them.

Places on the retina are (row, column) in degrees of visual angle from the fovea, as in a right
eye: rows grow downwards, columns grow towards the nose. A left eye is mirrored when it is rendered.
"""

from dataclasses import dataclass
from typing import Literal

LesionKind = Literal[
    "microaneurysms",
    "haemorrhages",
    "hard exudates",
    "soft exudates",
    "neovascularisation",
    "preretinal haemorrhage",
]
Side = Literal["right", "left"]
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Vessel:
    """One vessel from its origin to its end.

    Raises:
        ValueError: Fewer than two points, or not one radius for each.
    """

    kind: Literal["artery", "vein", "choroidal"]
    points: tuple[Point, ...]
    """The centre line; it is drawn as a smooth curve through these places."""
    radii: tuple[float, ...]
    """Half the calibre at each point, in degrees."""

    def __post_init__(self) -> None:
        if len(self.points) < 2 or len(self.points) != len(self.radii):
            raise ValueError(
                "a vessel needs two points or more and a radius for each, "
                f"but has {len(self.points)} points and {len(self.radii)} radii"
            )


@dataclass(frozen=True, kw_only=True)
class Spot:
    """An elliptical patch; lesions are made of them.

    Raises:
        ValueError: A radius that is not positive, or a strength outside [0, 1].
    """

    row: float
    column: float
    radius: float
    """Half the shorter diameter, in degrees."""
    strength: float
    """How much of it shows, in [0, 1]."""
    stretch: float = 1.0
    """Longer by shorter diameter."""
    angle: float = 0.0
    """Of the longer diameter, in radians from the row axis towards the column axis."""
    rough: float = 0.0
    """How ragged the border is, as a share of the radius."""
    soft: float = 0.2
    """Over which share of the radius the border fades."""
    level: float | None = None
    """Blood settles: nothing shows above this row."""

    def __post_init__(self) -> None:
        if self.radius <= 0 or not 0 <= self.strength <= 1:
            raise ValueError(
                "a spot needs a positive radius and a strength in [0, 1], "
                f"but has {self.radius} and {self.strength}"
            )


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One lesion; new vessels are drawn as vessels, everything else as spots.

    Raises:
        ValueError: A lesion of nothing.
    """

    kind: LesionKind
    spots: tuple[Spot, ...] = ()
    """The first one is where it is counted."""
    vessels: tuple[Vessel, ...] = ()

    def __post_init__(self) -> None:
        if not self.spots and (self.kind != "neovascularisation" or not self.vessels):
            raise ValueError(f"a lesion of the kind {self.kind!r} needs something to show")


@dataclass(frozen=True, kw_only=True)
class Disc:
    """The optic disc and its cup."""

    row: float
    column: float
    radius: float
    """Half the horizontal diameter, in degrees."""
    aspect: float
    """Vertical by horizontal diameter."""
    cup_ratio: float
    """Cup by disc diameter."""
    pallor: float
    """From a pink (0) to a pale (1) rim."""
    crescent: float
    """Strength of the pale crescent beside the temporal border, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What lies behind the vessels: pigment, choroid and macula."""

    pigment: float
    """Melanin of the pigment epithelium: 0 blond, 1 dark brown."""
    tessellation: float
    """How clearly choroidal vessels shine through, in [0, 1]."""
    choroid: tuple[Vessel, ...]
    macula: float
    """How much darker the macula is, in [0, 1]."""
    reflex: float
    """Brightness of the foveal reflex, in [0, 1]."""
    fibres: float
    """Brightness of the nerve fibre layer's streaks, in [0, 1]."""
    seed: int
    """Of the texture."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A style of camera."""

    name: str
    field_deg: float
    """Diameter of the field of view."""
    diameter: float
    """Of the field, as a share of the picture's side."""
    clip: float
    """Half the height left of the field, as a share of its radius: 1 keeps the full circle."""
    notch: bool
    """A mark in the rim at the upper right, which tells a picture's upright position."""
    gains: tuple[float, float, float]
    """Red, green and blue."""
    contrast: float
    """Exponent of the tone curve."""
    haze: tuple[float, float, float]
    """Colour of stray light."""
    blur_deg: float
    """Standard deviation of the optics' blur on the retina."""
    chroma_blur_deg: float
    """The same for colour, which compression keeps at a coarser grid."""
    noise: float
    """Standard deviation of the sensor's noise, as a share of full brightness."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How one photograph was taken."""

    gaze: Point
    """Place on the retina in the middle of the field."""
    brightness: float
    """Multiplies the signal."""
    light: Point
    """Where the light is brightest, in field radii from the middle."""
    fall_off: float
    """Share of the light that is lost towards the rim."""
    haze: float
    """Share of stray light at the rim, where the light is weakest, in [0, 1]."""
    focus: float
    """Multiplies the optics' blur: 1 is sharp."""
    seed: int
    """Of the sensor's noise."""


@dataclass(frozen=True, kw_only=True)
class FundusSpec:
    """Everything that is random about a fundus photograph.

    `dataclasses.replace` makes the counterfactual: the same eye with other lesions, on the other
    side or through another camera.
    """

    seed: int
    """What it was drawn from; an edited eye keeps it."""
    laterality: Side
    disc: Disc
    ground: Ground
    vessels: tuple[Vessel, ...]
    lesions: tuple[Lesion, ...]
    device: Device
    exposure: Exposure
