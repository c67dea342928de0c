"""What a run keeps of one image. The page docs/store.md says the same in prose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from foveal.core import (
    Attribution,
    Finding,
    Grid,
    Laterality,
    Modality,
    Prediction,
    Region,
    Score,
)

ALL_LESIONS = "all lesions"
"""What a run calls the region that joins the lesions of an image."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A score of one map, and the region it was measured on, where there is one."""

    score: Score
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One map, its scores, and what is wrong with it."""

    key: str
    """The method's name in the run: its own, or the one the plan gave it, with `@layer`."""
    attribution: Attribution
    scores: tuple[Measured, ...] = ()
    finding: Finding | None = None
    """`None` until the run is diagnosed, which is the last that is done of it."""


class MapName(NamedTuple):
    """What tells the maps of a run apart."""

    image: str
    model: str
    key: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One map without its values: what the diagnosis looks at."""

    name: MapName
    reason: str | None
    """Why the map is empty, a code of `REASONS`, where it is."""
    scores: tuple[Measured, ...]
    finding: Finding | None = None


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a region lost on the way to the model's grid, where small lesions vanish."""

    region: str
    lesions: int
    lesions_lost: int
    area_kept: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One image as one model saw it, what the model said, and why."""

    model: str
    steps: tuple[Mapping[str, object], ...]
    """Each step's `numbers()`, first step first; `foveal.images.revive` makes steps of them."""
    stages: tuple[UInt8[np.ndarray, "_ _ _"], ...] = ()
    """The picture after each step, small; none where the run is older than these."""
    pixels: Float[np.ndarray, "channel row column"]
    """Prepared, in display units."""
    field: Bool[np.ndarray, "row column"]
    """The field of view on the prepared grid."""
    prediction: Prediction
    regions: tuple[Region, ...] = ()
    """On the prepared grid."""
    losses: tuple[Loss, ...] = ()
    explained: tuple[Explained, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One image of a run: what it is, how it went, and what each model said about it."""

    id: str
    """Its pseudonym, or its name where the plan keeps identity."""
    patient: str | None = None
    eye: str | None = None
    visit: str | None = None
    laterality: Laterality = "unknown"
    modality: Modality = "unknown"
    grid: Grid | None = None
    """Rows and columns of the original."""
    spacing_mm: tuple[float, float] | None = None
    sha256: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further columns of the cohort's manifest, such as the grade."""
    picture: UInt8[np.ndarray, "row column channel"] | None = None
    """A display copy of the original, its larger side at most 1600 pixels."""
    regions: tuple[Region, ...] = ()
    """On the display copy's grid."""
    views: tuple[View, ...] = ()
    failure: str | None = None
    """What went wrong, in words without names or paths; then there is nothing after `labels`."""
