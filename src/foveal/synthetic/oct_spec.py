"""The plain numbers a macula in section is made of.

Places on the retina are (row, column) in millimetres from the fovea, as in a right eye: rows, one
for each section, grow downwards, columns grow towards the nose. Depths and heights are in
millimetres. A left eye is mirrored when it is rendered.
"""

from dataclasses import dataclass
from typing import Literal

from foveal.synthetic.spec import Side

DomeKind = Literal["drusen", "pigment epithelial detachment", "subretinal fluid"]
OctKind = Literal[DomeKind, "intraretinal fluid"]


@dataclass(frozen=True, kw_only=True)
class Dome:
    """What lifts the layers above it.

    Drusen and detachments lie between Bruch's membrane and the pigment epithelium, subretinal fluid
    between the epithelium and the photoreceptors.

    Raises:
        ValueError: A height or radius that is not positive.
    """

    kind: DomeKind
    row: float
    column: float
    height_mm: float
    radius_mm: float
    flat: float
    """Exponent of the profile: 1 a parabola, below 1 a steep side and a flat top."""

    def __post_init__(self) -> None:
        if self.height_mm <= 0 or self.radius_mm <= 0:
            raise ValueError(
                "a dome needs a positive height and radius, "
                f"but has {self.height_mm} and {self.radius_mm}"
            )


@dataclass(frozen=True, kw_only=True)
class Cyst:
    """Fluid within the retina: an ellipsoid, round as seen from above.

    Raises:
        ValueError: A half axis that is not positive.
    """

    row: float
    column: float
    level: float
    """Of its middle, as a share of the way from the inner nuclear layer (0) to the external
    limiting membrane (1)."""
    half_depth_mm: float
    radius_mm: float

    def __post_init__(self) -> None:
        if self.half_depth_mm <= 0 or self.radius_mm <= 0:
            raise ValueError(
                "a cyst needs positive half axes, "
                f"but has {self.half_depth_mm} and {self.radius_mm}"
            )


@dataclass(frozen=True, kw_only=True)
class Swelling:
    """Thickening of the inner nuclear to outer nuclear layers, bell-shaped."""

    row: float
    column: float
    height_mm: float
    radius_mm: float


@dataclass(frozen=True, kw_only=True)
class Macula:
    """Thickness of each layer away from the fovea, in millimetres, and the shape of the pit."""

    rnfl: float
    """Nerve fibre layer 3 mm nasal of the fovea; temporally there is a quarter of it."""
    gcl_ipl: float
    """Ganglion cell and inner plexiform layers at their thickest, one millimetre from the fovea."""
    inl: float
    opl: float
    onl: float
    foveal_onl: float
    """By how much the outer nuclear layer is thicker in the fovea."""
    elm_to_ez: float
    ez_to_rpe: float
    rpe: float
    choroid: float
    pit_mm: float
    """Radius of the foveal pit: inner layers reach 63 % of their thickness there."""


@dataclass(frozen=True, kw_only=True)
class RetinalVessel:
    """A vessel in the inner retina; it runs along column + slope * row + bend * row²."""

    column: float
    slope: float
    bend: float
    radius_mm: float
    shadow: float
    """Share of the light that it takes from what lies below."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How the eye lay before the device."""

    depth_mm: float
    """Of Bruch's membrane below the fovea, from the upper edge."""
    tilt: float
    """Slope of Bruch's membrane along a section."""
    slice_tilt: float
    """The same across sections."""
    curve_mm: float
    """Radius of its curvature; the fovea lies deepest when it is positive."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A style of device."""

    name: str
    depth_mm: float
    """Of the picture."""
    width_mm: float
    looks: float
    """How many independent speckle patterns are averaged: contrast is 1 / sqrt(looks)."""
    grain: float
    """Standard deviation of a speckle's blur, in pixels of a 496 by 512 section."""
    floor: float
    """Grey level of the detector's noise."""
    compression: float
    """Exponent that makes intensities visible; 1 shows them as they are."""
    fall_off_db: float
    """How much signal is lost from the upper to the lower edge."""


@dataclass(frozen=True, kw_only=True)
class OctSpec:
    """Everything that is random about a macula and how it was scanned.

    `dataclasses.replace` makes the counterfactual: the same eye without a lesion, on the other side
    or in another device.
    """

    seed: int
    """What it was drawn from, and what its textures are made of; an edited eye keeps it."""
    laterality: Side
    macula: Macula
    vessels: tuple[RetinalVessel, ...]
    domes: tuple[Dome, ...]
    cysts: tuple[Cyst, ...]
    swellings: tuple[Swelling, ...]
    pose: Pose
    hyaloid_mm: float | None
    """Height of the detached vitreous face above the fovea; `None` where it is attached."""
    brightness: float
    """Multiplies the grey levels of tissue."""
    scanner: Scanner
    scan_seed: int
    """Of the speckle."""
