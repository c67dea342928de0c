"""One case as the page shows it: pictures as text, numbers as words, and nothing else of it.

A sheet does not hold its case, so that a long run is never in memory at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

import numpy as np

from foveal.analysis.gains import Blind
from foveal.analysis.records import pooled_target
from foveal.report.carry import way_of
from foveal.report.curves import CurvePlot, curve_plots
from foveal.report.diagnosis import FindingSheet, finding_sheets
from foveal.report.drawing import small_picture
from foveal.report.examined import QualityRow, anatomy_in_words, quality_in_words, quality_rows
from foveal.report.inline import picture_uri
from foveal.report.pictures import MapSheet, PictureSheet, map_grid, map_sheet, picture_sheet
from foveal.report.tables import ScoreTable, score_table
from foveal.report.verdicts import left_out_note, named_headline, verdict_notes
from foveal.report.words import (
    SEGMENTATION,
    answer_in_words,
    counted,
    listed,
    map_name,
    number,
    percent,
    title,
)
from foveal.store import Case, Explained, View


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One output of the model."""

    name: str
    value: float
    calibrated: float | None
    predicted: bool


@dataclass(frozen=True, kw_only=True)
class TargetSheet:
    """All maps that answer one question."""

    target: str
    maps: tuple[MapSheet, ...]
    scores: ScoreTable
    curves: tuple[CurvePlot, ...]
    notes: tuple[str, ...]
    """What belongs to some of the maps, each said once."""
    findings: tuple[FindingSheet, ...]


@dataclass(frozen=True, kw_only=True)
class StageSheet:
    """The picture before the first step, or after one."""

    uri: str
    name: str
    settings: str


@dataclass(frozen=True, kw_only=True)
class ViewSheet:
    """What one model said, and why."""

    model: str
    label: str
    outputs: str
    """What the outputs are."""
    bars: tuple[Bar, ...]
    shares: bool
    """Whether all outputs lie in [0, 1] and can be drawn as bars."""
    calibrated: bool
    """Whether calibrated probabilities stand beside the model's own."""
    steps: tuple[str, ...]
    stages: tuple["StageSheet", ...]
    losses: tuple[str, ...]
    targets: tuple[TargetSheet, ...]


@dataclass(frozen=True, kw_only=True)
class CaseSheet:
    """One image as the page shows it."""

    anchor: str
    name: str
    title: str
    facts: tuple[tuple[str, str], ...]
    quality: tuple[QualityRow, ...]
    picture: PictureSheet
    views: tuple[ViewSheet, ...]


def case_sheet(case: Case, blind: Blind = MappingProxyType({})) -> CaseSheet:
    """The sheet of one case.

    `blind` names what the tables of the run's images leave out of SRG, so that the case says it.

    Raises:
        ValueError: A case that failed: it has no picture.
        StoreError: A stored step that is damaged or needs a package that is not there.
    """
    picture = picture_sheet(case)
    return CaseSheet(
        anchor=anchor(case.id),
        name=case.id,
        title=title(case),
        facts=tuple(_facts(case)),
        quality=tuple(quality_rows(case)),
        picture=picture,
        views=tuple(view_sheet(case, view, picture, blind) for view in case.views),
    )


def anchor(name: str) -> str:
    """What links to a case: the same wherever it is shown, and without its name."""
    return f"case-{sha256(name.encode()).hexdigest()[:10]}"


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    for term, text in (("Patient", case.patient), ("Eye", case.eye), ("Visit", case.visit)):
        if text is not None:
            yield term, text
    for label, text in case.labels.items():
        yield label.replace("_", " ").capitalize(), text
    if case.grid is not None:
        yield "Original", f"{case.grid[0]} rows × {case.grid[1]} columns"
    spacing = [f"{number(1000 * side)} µm" for side in case.spacing_mm or ()]
    yield "Pixel spacing", " × ".join(spacing) or "not known"
    if case.sha256 is not None:
        yield "SHA-256 of the file", f"{case.sha256[:16]}…"
    if (quality := quality_in_words(case)) is not None:
        yield "Quality", quality
    if anatomy := anatomy_in_words(case):
        yield "Anatomy", anatomy


def view_sheet(
    case: Case, view: View, picture: PictureSheet, blind: Blind = MappingProxyType({})
) -> ViewSheet:
    """What one model said of a case, and the maps of the view with their scores."""
    values = view.prediction.values
    way = way_of(case, view, map_grid(picture))
    anatomy = [region.name for region in view.regions if region.kind == "anatomy"]
    targets = []
    for target in dict.fromkeys(e.attribution.target for e in view.explained):
        maps = [e for e in view.explained if e.attribution.target == target]
        headline = named_headline(maps)
        left_out = blind.get((view.model, pooled_target(target)), ()) if headline else ()
        targets.append(
            TargetSheet(
                target=target,
                maps=tuple(map_sheet(case, view, e, way, picture) for e in maps),
                scores=score_table(maps, anatomy),
                curves=tuple(curve_plots(maps)),
                notes=(*verdict_notes([headline]), *left_out_note(left_out), *_notes(maps)),
                findings=tuple(finding_sheets(maps)),
            )
        )
    return ViewSheet(
        model=view.model,
        label=answer_in_words(view.prediction.label),
        outputs=_outputs(view),
        bars=tuple(
            Bar(
                name=name,
                value=value,
                calibrated=view.prediction.calibrated.get(name),
                predicted=name == view.prediction.label,
            )
            for name, value in values.items()
        ),
        shares=view.prediction.unit is None and all(0 <= v <= 1 for v in values.values()),
        calibrated=bool(view.prediction.calibrated),
        steps=tuple(_step(step) for step in view.steps),
        stages=tuple(_stages(case, view)),
        losses=tuple(_losses(view)),
        targets=tuple(targets),
    )


def _outputs(view: View) -> str:
    if view.prediction.unit is not None:
        return f"Value in {view.prediction.unit}"
    if view.prediction.label == SEGMENTATION:
        return "Mean probability"
    return "Output" if view.prediction.index is None else "Probability"


def _notes(maps: Sequence[Explained]) -> Iterator[str]:
    """Each note once, with the maps it belongs to where these are not all."""
    for note in dict.fromkeys(note for e in maps for note in e.attribution.notes):
        owners = [map_name(e.key, e.attribution) for e in maps if note in e.attribution.notes]
        yield note if len(owners) == len(maps) else f"{listed(owners)}: {note}"


def _losses(view: View) -> Iterator[str]:
    for loss in view.losses:
        if loss.lesions_lost or (loss.area_kept is not None and loss.area_kept < 1):
            kept = "" if loss.area_kept is None else f", {percent(loss.area_kept)} of its area kept"
            found = counted(loss.lesions, "area")
            yield f"{loss.region}: {loss.lesions_lost} of {found} lost{kept}"


def _step(numbers: Mapping[str, object]) -> str:
    """A step by its name, its settings and its grids; the boxes stay in the store."""
    settings = [
        f"{name} {'yes' if value is True else 'no' if value is False else value}"
        for name, value in numbers.items()
        if not isinstance(value, Sequence) or (isinstance(value, str) and name != "step")
    ]
    grids = [f"{grid[0]} × {grid[1]}" for grid in _grids(numbers)]
    return f"{numbers['step']} ({', '.join([' → '.join(grids), *settings])})"


def _stages(case: Case, view: View) -> Iterator[StageSheet]:
    """Before the first step and after each; none where a run kept no pictures of them."""
    if not view.stages:
        return
    first = small_picture(case, max(max(stage.shape[:2]) for stage in view.stages))
    yield StageSheet(uri=picture_uri(first), name="as it was read", settings="")
    for step, picture in zip(view.steps, view.stages, strict=True):
        coloured = picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)
        yield StageSheet(
            uri=picture_uri(np.ascontiguousarray(coloured)),
            name=str(step["step"]),
            settings=_step(step).partition(" ")[2],
        )


def _grids(numbers: Mapping[str, object]) -> Iterator[Sequence[object]]:
    for name in ("source", "target"):
        grid = numbers.get(name)
        if isinstance(grid, Sequence) and len(grid) == 2:
            yield grid
