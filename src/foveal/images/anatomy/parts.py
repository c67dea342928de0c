"""The anatomy that a plan asks for, as regions beside those that experts marked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from foveal.core import Image, ImageError, Modality, Region
from foveal.images.anatomy.anterior import anterior_regions
from foveal.images.anatomy.eye_frame import DISC_MM
from foveal.images.anatomy.finding import landmarks_of
from foveal.images.anatomy.grids import clock_hours, etdrs_grid, quadrants
from foveal.images.anatomy.landmarks import Landmarks, Place
from foveal.images.anatomy.round_places import circle_around
from foveal.images.anatomy.structure import Structure, missing
from foveal.images.anatomy.vessels import vessels_of

AnatomyPart = Literal[
    "disc", "fovea", "vessels", "etdrs", "quadrants", "clock-hours",
    "eye", "cornea", "pupil", "highlights",
]  # fmt: skip
ANATOMY: tuple[AnatomyPart, ...] = get_args(AnatomyPart)
_FRONT = ("eye", "cornea", "pupil", "highlights")
_GRIDS: dict[str, Callable[[Image, Landmarks], tuple[Region, ...]]] = {
    "etdrs": etdrs_grid,
    "quadrants": quadrants,
    "clock-hours": clock_hours,
}
_PLACED = ("disc", "fovea", *_GRIDS)
_MASKS = {
    **dict.fromkeys(_PLACED, ("optic disc", "disc", "fovea", "foveal avascular zone", "macula")),
    "vessels": ("vessels",),
    "eye": ("eye", "palpebral fissure"),
    "cornea": ("cornea", "limbus"),
    "pupil": ("pupil",),
    "highlights": ("highlights", "specular highlights"),
}
"""Masks that a part rests on, by which it is known in any kind of image."""

_SEEN = {
    "fundus": "photographs of the fundus",
    "oct": "tomography",
    "slit-lamp": "slit lamp photographs",
    "unknown": "an image of an unknown kind; name its modality",
}
_NO_KIND = (
    "nothing says what kind of image this is, and its anatomy is that of a photograph of the "
    "fundus; name its modality"
)


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What was found of the anatomy asked for."""

    regions: tuple[Region, ...]
    """Of kind "anatomy"; without those that experts marked already."""
    facts: dict[str, str | int | float | bool]
    """Under `anatomy.<part>.source` and `.confidence`, for what rests on masks, models or looks; a
    grid's confidence is that of the place it is laid on, and its source says how its millimetres
    are known."""
    notes: tuple[str, ...]
    """What is missing, and why."""


def anatomy_of(image: Image, parts: Sequence[str], *, regions: Sequence[Region] = ()) -> Anatomy:
    """Regions of the anatomy asked for, from masks where there are some, else by looks.

    The disc is the circle with its centre and area, the fovea a circle of one disc diameter, which
    is what anatomists call so (1.5 mm). Looks are those of photographs of the fundus, and of the
    slit lamp for the front of the eye: in other kinds of images only masks count, since the
    confidences hold for these kinds alone.

    Args:
        image: As it was read, without preparation.
        parts: What is asked for.
        regions: What experts marked, on the original grid.

    Raises:
        ImageError: Nothing to see in the image.
        ValueError: A prepared image, or an unknown part.

    Warns:
        FovealWarning: The image says one side, and the fovea lies where the other side has it.
    """
    for part in parts:
        if part not in ANATOMY:
            raise ValueError(f"anatomy must be of {list(ANATOMY)}, but {part!r} is asked for")
    found: list[Region] = []
    structures: list[Structure] = []
    notes: list[str] = []
    facts: dict[str, str | int | float | bool] = {}
    strange = [part for part in parts if _is_strange(part, image, regions)]
    parts = [part for part in parts if part not in strange]
    notes += [f"no {part}: it is not looked for in {_SEEN[image.modality]}" for part in strange]
    if image.modality == "unknown" and any(part not in _FRONT for part in parts):
        notes.append(_NO_KIND)
    if any(part in _PLACED for part in parts):
        landmarks = landmarks_of(image, regions=regions)
        structures += [s for s in _landmarks(landmarks, image) if s.name in parts]
        facts |= _side_facts(landmarks)
        for part in (part for part in parts if part in _GRIDS):
            try:
                grid = _GRIDS[part](image, landmarks)
            except ImageError as problem:
                notes.append(f"no {part}: the image {problem}")
            else:
                found += grid
                facts |= _grid_facts(part, grid, landmarks)
    if "vessels" in parts:
        structures.append(vessels_of(image, regions=regions))
    if any(part in _FRONT for part in parts):
        front = anterior_regions(image, regions=regions)
        structures += [front[part] for part in _FRONT if part in parts]
    for structure in structures:
        facts |= _facts(structure)
        if structure.mask is None:
            notes.append(f"no {structure.name}: {structure.reason}")
    # What experts marked is among their regions already.
    made = [s for s in structures if s.source != "mask"]
    found = [*(s.region for s in made if s.region is not None), *found]
    marked = {region.name for region in regions}
    named = [_renamed(region) for region in found]
    return Anatomy(
        regions=tuple(region for region in named if region.name not in marked),
        facts=facts,
        notes=tuple(notes),
    )


def _is_strange(part: str, image: Image, regions: Sequence[Region]) -> bool:
    """Whether nothing is known of the part's looks in this kind of image, and no mask shows it."""
    marked = {region.name for region in regions if region.mask.any()}
    return bool(strange_parts([part], image.modality)) and marked.isdisjoint(_MASKS[part])


def strange_parts(parts: Sequence[str], modality: Modality) -> list[str]:
    """Those that are not known by their looks in this kind of image."""
    return [
        part
        for part in parts
        if modality not in (("slit-lamp",) if part in _FRONT else ("fundus", "unknown"))
    ]


def _landmarks(landmarks: Landmarks, image: Image) -> tuple[Structure, Structure]:
    radius = landmarks.disc_radius
    if radius is None and image.spacing_mm is not None:
        radius = DISC_MM / 2 / max(image.spacing_mm)
    pairs: tuple[tuple[str, Place | None], ...] = (
        ("disc", landmarks.disc),
        ("fovea", landmarks.fovea),
    )
    disc, fovea = (
        missing(name, landmarks.reasons.get(name, "its size is not known"))
        if place is None or radius is None
        else Structure(
            name=name,
            mask=circle_around(place.row, place.column, radius, image.grid),
            confidence=place.confidence,
            source=place.source,
        )
        for name, place in pairs
    )
    return disc, fovea


def _side_facts(landmarks: Landmarks) -> dict[str, str | int | float | bool]:
    if landmarks.laterality_source is None:
        return {}
    facts: dict[str, str | int | float | bool] = {
        "anatomy.side": landmarks.laterality,
        "anatomy.side.source": landmarks.laterality_source,
    }
    if landmarks.laterality_confidence is not None:
        facts["anatomy.side.confidence"] = round(landmarks.laterality_confidence, 3)
    return facts


def _grid_facts(
    part: str, grid: Sequence[Region], landmarks: Landmarks
) -> dict[str, str | int | float | bool]:
    place = landmarks.disc if part == "clock-hours" else landmarks.fovea
    facts: dict[str, str | int | float | bool] = {f"anatomy.{part}.source": grid[0].source or ""}
    if place is not None and place.confidence is not None:
        facts[f"anatomy.{part}.confidence"] = round(place.confidence, 3)
    return facts


def _facts(structure: Structure) -> dict[str, str | int | float | bool]:
    facts: dict[str, str | int | float | bool] = {
        f"anatomy.{structure.name}.source": structure.source or "none"
    }
    if structure.confidence is not None:
        facts[f"anatomy.{structure.name}.confidence"] = round(structure.confidence, 3)
    return facts


def _renamed(region: Region) -> Region:
    """The disc as masks of it are called."""
    return replace(region, name="optic disc") if region.name == "disc" else region
