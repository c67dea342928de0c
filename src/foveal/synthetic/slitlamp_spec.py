"""The plain numbers the front of an eye is made of.

Places are (row, column) in millimetres from the middle of the cornea, as in a right eye: rows grow
downwards, columns grow towards the nose. A left eye is mirrored when it is rendered.
"""

from dataclasses import dataclass
from typing import Literal

from foveal.synthetic.spec import Point, Side, Spot, Vessel

CornealKind = Literal["corneal infiltrate", "ring infiltrate", "hypopyon"]
LensKind = Literal["nuclear opacity", "cortical opacity", "posterior subcapsular opacity"]
FrontKind = Literal[CornealKind, LensKind]
Illumination = Literal["diffuse", "slit"]
Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class FrontLesion:
    """One lesion of the cornea, the anterior chamber or the lens, made of spots in millimetres.

    Raises:
        ValueError: A lesion of nothing.
    """

    kind: FrontKind
    spots: tuple[Spot, ...]
    tint: float
    """From grey white (0) to yellow (1)."""

    def __post_init__(self) -> None:
        if not self.spots:
            raise ValueError(f"a lesion of the kind {self.kind!r} needs something to show")


@dataclass(frozen=True, kw_only=True)
class Lids:
    upper_mm: float
    """From the middle of the cornea up to the highest point of the upper lid's margin."""
    lower_mm: float
    """The same down to the lowest point of the lower lid's margin."""
    half_width_mm: float
    """Half the distance of the corners."""
    slant: float
    """How far the temporal corner lies above the nasal one, as a share of their distance."""
    skin: float
    """Melanin of the skin: 0 fair, 1 dark."""
    lashes: tuple[Vessel, ...]
    """Each lash from its root to its tip."""


@dataclass(frozen=True, kw_only=True)
class Sclera:
    yellow: float
    """From bluish (0) to yellowish (1) white."""
    redness: float
    """Flush of the conjunctiva, in [0, 1]; it tells no class from another."""
    vessels: tuple[Vessel, ...]


@dataclass(frozen=True, kw_only=True)
class Iris:
    pigment: float
    """0 blue, 1 dark brown."""
    collarette: float
    """Where its inner zone ends, as a share of the way from pupil to limbus."""
    contrast: float
    """Of its fibres."""
    crypts: tuple[Spot, ...]
    """Holes in its front layer."""


@dataclass(frozen=True, kw_only=True)
class Cornea:
    radius_mm: float
    """Half the horizontal diameter."""
    aspect: float
    """Vertical by horizontal diameter."""
    arcus: float
    """Strength of the pale ring of age near the limbus, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Pupil:
    row: float
    column: float
    radius_mm: float
    glow: float
    """How much the clear lens behind it scatters, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Highlight:
    """An image of the lamp on the wet surface; places in millimetres."""

    row: float
    column: float
    half_height: float
    half_width: float
    strength: float


@dataclass(frozen=True, kw_only=True)
class SlitLamp:
    """A style of instrument and camera."""

    name: str
    gains: Colour
    """Red, green and blue."""
    contrast: float
    """Exponent of the tone curve."""
    blur_mm: float
    """Standard deviation of the optics' blur on the eye."""
    noise: float
    """Standard deviation of the sensor's noise, as a share of full brightness."""
    vignette: float
    """Share of the light that is lost in the picture's corners."""
    round_lamp: bool
    """Whether highlights are round, or upright like the slit's own image."""


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """How one photograph was taken."""

    illumination: Illumination
    """The whole eye evenly, or a narrow beam from the side."""
    width_mm: float
    """Of the scene, left to right."""
    middle: Point
    """Place on the eye in the middle of the picture."""
    brightness: float
    ambient: float
    """Share of the light that reaches what the beam misses; 1 when there is none."""
    beam_mm: float
    """Width of the beam."""
    beam_column: float
    """Where the beam meets the top of the cornea."""
    beam_tilt: float
    """Tangent of the angle between beam and view; its sign says from which side."""
    light: Point
    """Where diffuse light is brightest, in millimetres from the middle of the cornea."""
    fall_off: float
    """Share of diffuse light that is lost 12 mm away."""
    highlights: tuple[Highlight, ...]
    seed: int
    """Of the sensor's noise."""


@dataclass(frozen=True, kw_only=True)
class SlitLampSpec:
    """Everything that is random about a slit lamp photograph.

    `dataclasses.replace` makes the counterfactual: the same eye with other lesions, on the other
    side or under other light.
    """

    seed: int
    """What it was drawn from, and what its textures are made of; an edited eye keeps it."""
    laterality: Side
    lids: Lids
    sclera: Sclera
    cornea: Cornea
    iris: Iris
    pupil: Pupil
    lesions: tuple[FrontLesion, ...]
    device: SlitLamp
    lighting: Lighting
