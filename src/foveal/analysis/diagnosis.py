"""What is wrong with a map, and what to do next: a table of checks over its scores."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foveal.analysis.causes import (
    background_cause,
    background_warning,
    diffuse_cause,
    empty_cause,
    unverified_cause,
)
from foveal.analysis.symptoms import (
    OUTSIDE,
    Answer,
    Known,
    at_least,
    both,
    negated,
    percentile,
)
from foveal.core import Evidence, Finding, Score
from foveal.store import Measured

FEWEST_MAPS = 20
"""Fewer maps of a model have no 95th percentile of their variance."""

Look = tuple[str, bool]
"""A measure, and whether it is taken on the lesions."""
_PLACE: tuple[Look, ...] = (("dice_over_max", True), ("dice", True), ("mass_lift", True))
_MAP: Look = ("excess_drop", True)
_MAP_AT_FIVE_PERCENT: Look = ("excess_drop", False)
_LESIONS: Look = ("lesion_drop", True)
_LOOK_AT_FILE = (
    "look at the map's file, its grid and its scale; ask who made it what its values mean"
)
_ASK_MAKER = (
    "do not use the map as a reason of this model; ask who made it for which model, target and "
    "photograph"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One check of the table."""

    label: str
    holds: Callable[[Known], Answer]
    looks_at: tuple[Look, ...]
    next_step: str
    elsewhere: str | None = None
    """The next step for a map that was made elsewhere, whose method nobody here can change."""
    cause: Callable[[Known], str | None] = lambda known: None
    needs: tuple[Look, ...] = ()
    """Without one of these it cannot be checked; `looks_at` by default."""


def _placed(*places: str) -> Callable[[Known], Answer]:
    return lambda known: None if known.place is None else known.place in places


def _focus(
    label: str,
    place: str,
    next_step: str,
    *,
    map: bool,
    lesions: bool | None = None,
    elsewhere: str | None = None,
) -> Row:
    """A check of where the map lies, and of what the model depends on.

    Map and lesions are compared at equal areas. Where the lesions do not matter there is nothing to
    compare, and the map's strongest 5 % of the field may answer for it too.
    """
    at_some_size = lesions is False

    def holds(known: Known) -> Answer:
        matters = known.map_matters_at_some_size if at_some_size else known.map_matters
        answers = [_placed(place)(known), matters if map else negated(matters)]
        if lesions is not None:
            answers.append(known.lesions_matter if lesions else negated(known.lesions_matter))
        return both(*answers)

    drops = (_MAP,) + (() if lesions is None else (_LESIONS,))
    larger = (_MAP_AT_FIVE_PERCENT,) if at_some_size else ()
    return Row(
        label=label,
        holds=holds,
        looks_at=(*_PLACE, *drops, *larger, ("early_auc", False)),
        needs=(("dice", True), *drops),
        next_step=next_step,
        elsewhere=elsewhere,
    )


ROWS: tuple[Row, ...] = (
    Row(
        label="EMPTY",
        holds=lambda known: known.emptiness is not None,
        looks_at=(("ebc", False), ("out_of_fov_mass", False)),
        cause=empty_cause,
        next_step="draw the negative evidence: result.show(signed=True); then ask for another "
        "class: foveal explain CARD IMAGE --target CLASS",
        elsewhere="nothing to do where nothing was to be marked; else " + _LOOK_AT_FILE,
    ),
    Row(
        label="BACKGROUND",
        holds=lambda known: None if known.outside is None else known.outside > OUTSIDE,
        looks_at=(("out_of_fov_mass", False),),
        cause=background_cause,
        next_step="look at the field that was found: foveal check IMAGE; a mark or a text outside "
        "the eye is a shortcut of the model: cut it away and compare what the model says",
        elsewhere=_LOOK_AT_FILE,
    ),
    Row(
        label="METHOD_INSENSITIVE",
        holds=lambda known: known.insensitive,
        looks_at=(("mprt", False),),
        next_step="read another method that notices a ruined model: foveal explain CARD IMAGES "
        "--method gradcam --method hirescam --level full",
    ),
    Row(
        label="NOISY",
        holds=lambda known: at_least(known.noisy, 2),
        looks_at=(
            ("hfpr", False),
            ("grad_sparsity", False),
            ("repeat_variance", False),
            ("avg_sensitivity", False),
        ),
        next_step="average the noise away: foveal explain CARD IMAGE --method smoothgrad --method "
        "integratedgradients; averaging helps if repeat_variance says averaged_ratio near 0.25; "
        "explain logits instead of probabilities",
        elsewhere=_LOOK_AT_FILE,
    ),
    Row(
        label="DIFFUSE",
        holds=lambda known: at_least(known.diffuse, 1),
        looks_at=(("ebc", False), ("mean_attribution_area", False)),
        cause=diffuse_cause,
        next_step="compare layers on a development split: foveal.measures.layer_study; or foveal "
        "explain CARD IMAGE --method layercam --method gradcam++ --layer AN_EARLIER_ONE",
        elsewhere=_LOOK_AT_FILE,
    ),
    _focus(
        "PASS",
        "good",
        map=True,
        next_step="compare with the other methods and images: foveal report RUN",
    ),
    _focus(
        "PLAUSIBLE_NOT_FAITHFUL",
        "good",
        map=False,
        next_step="do not use the map as a reason; try a method of another family: foveal explain "
        "CARD IMAGE --method occlusion --method hirescam",
        elsewhere=_ASK_MAKER,
    ),
    _focus(
        "SHORTCUT_SUSPECTED",
        "poor",
        map=True,
        lesions=False,
        next_step="take away what the map points at and compare what the model says; plant it and "
        "train again as in docs/diagnosis.md; then mend the data",
    ),
    _focus(
        "MISLEADING_MAP",
        "poor",
        map=False,
        lesions=True,
        next_step="change the method, not the model: foveal explain CARD IMAGE --method "
        "integratedgradients --method occlusion",
        elsewhere=_ASK_MAKER,
    ),
    _focus(
        "MIXED_EVIDENCE",
        "poor",
        map=True,
        lesions=True,
        next_step="name what the map points at beside the lesions: foveal measure RUN --regions "
        "PATTERN --measure region_shares",
    ),
    _focus(
        "REDUNDANT_OR_OOD",
        "poor",
        map=False,
        lesions=False,
        next_step="ask with another baseline and a larger region: foveal.measure(result, "
        'baseline="field-mean"), foveal.measures.excess_drop(area=0.2)',
    ),
    Row(
        label="REVIEW",
        holds=_placed("between"),
        looks_at=(*_PLACE, _MAP, _LESIONS, ("early_auc", False)),
        needs=(("dice", True),),
        next_step="look at the map beside the outlines: foveal report RUN",
    ),
    Row(
        label="UNVERIFIED_FOCUS",
        holds=lambda known: True,
        looks_at=(("dice", True), _MAP),
        cause=unverified_cause,
        next_step="give outlines of lesions and let the model be asked: foveal measure RUN "
        "--regions PATTERN --card CARD [--trust]",
    ),
)
"""The checks in their order: the first that holds is the finding.

The tree of the text this project starts from, whose limits are illustrations: no regulator has
published any. The last row always holds.
"""


def diagnose_map(
    measured: Sequence[Measured],
    *,
    reason: str | None = None,
    gate: Score | None = None,
    variance_limit: float | None = None,
    elsewhere: bool = False,
) -> Finding:
    """What is wrong with one map, by its scores; a score that was not made is said to be missing.

    Args:
        measured: The scores of the map, on the whole field and on regions.
        reason: Why the map is empty, a code of `REASONS`, where it is.
        gate: `foveal.measures.mprt` over the images of several patients, with its verdict.
        variance_limit: The 95th percentile of `repeat_variance` over the model's maps, see
            `variance_limit`.
        elsewhere: Whether the map was made elsewhere; then the next step blames no method.
    """
    known = Known(
        measured, reason=reason, gate=gate, variance_limit=variance_limit, elsewhere=elsewhere
    )
    open_rows: list[Row] = []
    for row in ROWS[:-1]:
        answer = row.holds(known)
        if answer:
            break
        if answer is None:
            open_rows.append(row)
    else:
        row = ROWS[-1]
    return Finding(
        label=row.label,
        cause=row.cause(known),
        evidence=tuple(_evidence(row, known)),
        unchecked=tuple(_unchecked(open_rows, known)),
        warnings=tuple(background_warning(known) if row.label != "BACKGROUND" else ()),
        next_step=(row.elsewhere if elsewhere else None) or row.next_step,
    )


def variance_limit(values: Iterable[float]) -> float | None:
    """The 95th percentile of `repeat_variance` over the maps of a model.

    Missing with fewer than 20 maps.
    """
    known = list(values)
    return float(np.percentile(known, 95)) if len(known) >= FEWEST_MAPS else None


def frequencies(findings: Iterable[Finding]) -> dict[str, int]:
    """How often each finding was made, in the order of the table."""
    counts = Counter(finding.label for finding in findings)
    return {row.label: counts[row.label] for row in ROWS if counts[row.label]}


def _evidence(row: Row, known: Known) -> Iterator[Evidence]:
    looks = [(name, *_found(known, name, on_lesions)) for name, on_lesions in row.looks_at]
    yield from dict.fromkeys(_told(*look) for look in looks)
    if row.label == "UNVERIFIED_FOCUS":
        for region, score in known.shares().items():
            yield _told("region_shares", region, score)


def _found(known: Known, name: str, on_lesions: bool) -> tuple[str | None, Score | None]:
    """The score a check looked at: a drop on the lesions, else that of the whole field."""
    score = known.score(name, on_lesions=on_lesions)
    if score is None and name == "excess_drop":
        whole = known.score(name)
        return (None, whole) if whole is not None else (known.lesions, None)
    return (known.lesions if on_lesions else None), score


def _told(name: str, region: str | None, score: Score | None) -> Evidence:
    if score is None:
        return Evidence(measure=name, region=region, reason="not measured")
    if score.value is None:
        return Evidence(measure=name, region=region, reason=score.reason_text)
    return Evidence(
        measure=name,
        region=region,
        value=score.value,
        chance=score.chance,
        percentile=percentile(score),
    )


def _unchecked(rows: Sequence[Row], known: Known) -> Iterator[str]:
    """The checks that wanted a score, those that wanted the same one together."""
    labels: dict[str, list[str]] = {}
    for row in rows:
        labels.setdefault(_wanting(row, known), []).append(row.label)
    for wanting, names in labels.items():
        yield f"{', '.join(names)} not ruled out: {wanting}"


def _wanting(row: Row, known: Known) -> str:
    missing = []
    for name, on_lesions in row.needs or row.looks_at:
        region, score = _found(known, name, on_lesions)
        place = f" on {region}" if region else ""
        if score is None:
            missing.append(f"{name}{place} was not measured")
        elif score.value is None:
            missing.append(f"{name}{place} is missing ({score.reason_text})")
    return "; ".join(missing) or "too few images for a verdict"
