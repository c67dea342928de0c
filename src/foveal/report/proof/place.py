"""Is the model sure where its map is on the lesions, and what could say so without outlines?"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from foveal.analysis.confidence import (
    DECISIONS,
    ConfidenceLocalisation,
    Decision,
    ProxyCheck,
    conf_loc_corr,
    decide,
    validate_proxy,
)
from foveal.analysis.records import Place, Records
from foveal.analysis.resampling import Bootstrap
from foveal.images.names import region_name
from foveal.report.proof.matches import headline_regions
from foveal.report.proof.performance import Judged
from foveal.report.proof.thresholds import Halves
from foveal.report.words import counted

PLACED = "relevance_mass"
"""The measure of place that confidence is set against; a map is on the lesions above its chance."""
PROXIES = ("out_of_fov_mass", "avg_sensitivity")
"""Measures that need no outlined lesion; both are low on good maps."""
QUALITY = ("quality", "image_quality")
"""Columns of the manifest that tell an image's quality by a number; the first that does is held
still beside the lesion area, since both raise confidence and localisation."""
ENRICHMENT = "mass_lift"
"""Tried on each structure that has an outline. Some draw maps away from the lesions and others lie
below them, so the patients that choose the threshold choose its side too."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A number of the map alone in the place of the outlined lesions."""

    measure: str
    region: str | None
    """The structure; never a lesion."""
    higher: bool
    """Whether the map counts as on the lesions from the threshold up, or down."""
    check: ProxyCheck
    images: int
    """That judge it."""
    reason: str | None
    """Why it has no threshold, and so cannot be judged."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """One method's maps beside the model's confidence, over images with outlined lesions."""

    method: str
    target: str
    correlation: ConfidenceLocalisation
    held: tuple[str, ...]
    """What the partial correlation holds still."""
    decisions: Mapping[Decision, int]
    """Over the patients that judge the threshold."""
    proxies: tuple[Proxy, ...]
    no_proxy: str | None
    """Why there is none."""
    confidence: Float[np.ndarray, " row"]
    mass: Float[np.ndarray, " row"]
    right: Bool[np.ndarray, " row"]


class Sure(NamedTuple):
    """When an answer counts as sure."""

    confidence: Float[np.ndarray, " image"]
    """NaN where there is none."""
    threshold: float | None
    judges: Bool[np.ndarray, " image"]
    """Images of the patients that judge the threshold."""

    @property
    def answers(self) -> Bool[np.ndarray, " image"]:
        return self.confidence >= (np.inf if self.threshold is None else self.threshold)


def placed(
    one: Judged, records: Records, sure: Sure, parts: Halves | None, how: Bootstrap
) -> Iterator[Placed]:
    """Each method's maps that have a number on outlined lesions.

    Args:
        one: The model's answers and the truth.
        records: The run.
        sure: When an answer counts as sure.
        parts: Who chooses the thresholds of the proxies, and who judges them.
        how: Of the intervals.
    """
    own = [p for p in records.scores.places if p.model == one.model and p.measure == PLACED]
    quality = _quality(records)
    for target, key in dict.fromkeys((place.target, place.key) for place in own):
        regions = [p.region for p in own if (p.target, p.key) == (target, key)]
        (region, *others) = headline_regions(regions)
        if others:
            continue  # anatomy alone says nothing of the right place
        found = records.scores.column(Place(one.model, target, key, PLACED, region))
        rows = np.isfinite(found.value) & np.isfinite(found.chance) & np.isfinite(sure.confidence)
        if not rows.any():
            continue
        there = found.value > found.chance
        told = rows & sure.judges
        counts = Counter(decide(sure.answers[told], there[told]))
        spots = _spots(records, one.model, target, key)
        controls = {"lesion area": found.chance, **quality}
        yield Placed(
            method=key,
            target=target,
            correlation=conf_loc_corr(
                sure.confidence, np.where(rows, found.value, np.nan), records.units,
                correct=one.right, controls=tuple(controls.values()), how=how,
            ),
            held=tuple(controls),
            decisions={decision: counts[decision] for decision in DECISIONS},
            proxies=() if parts is None else tuple(
                _proxy(records, spot, rows, there, sure, parts, how) for spot in spots
            ),
            no_proxy=_no_proxy(records, spots, parts),
            confidence=sure.confidence[rows],
            mass=found.value[rows],
            right=one.right[rows],
        )  # fmt: skip


def _quality(records: Records) -> dict[str, Float[np.ndarray, " image"]]:
    """The images' quality by its name; nothing where no column has two different numbers."""
    for name in QUALITY:
        values = np.array([_number(text) for text in records.facts.get(name, ())])
        if len(np.unique(values[np.isfinite(values)])) > 1:
            return {"image quality": values}
    return {}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:  # a grade in words has no order that is known here
        return np.nan


def _spots(records: Records, model: str, target: str, key: str) -> list[Place]:
    """What was measured of a method's maps that needs no outlined lesion."""
    own = [p for p in records.scores.places if (p.model, p.target, p.key) == (model, target, key)]
    plain = [p for p in own if p.measure in PROXIES and p.region is None]
    structures = [p for p in own if p.measure == ENRICHMENT and _is_structure(p.region)]
    return [p for p in (*plain, *structures) if np.isfinite(records.scores.column(p).value).any()]


def _is_structure(region: str | None) -> bool:
    return region is not None and region_name(region, {})[1] == "anatomy"


def _no_proxy(records: Records, spots: list[Place], parts: Halves | None) -> str | None:
    if parts is None:
        return (
            f"one {records.units.unit} only: no threshold can be chosen on some and judged on "
            "others"
        )
    if not spots:
        return (
            "the run measured none of them: mass outside the field, average sensitivity, or the "
            "enrichment of a structure such as the optic disc"
        )
    return None


def _proxy(
    records: Records,
    spot: Place,
    rows: Bool[np.ndarray, " image"],
    there: Bool[np.ndarray, " image"],
    sure: Sure,
    parts: Halves,
    how: Bootstrap,
) -> Proxy:
    values = records.scores.column(spot).value
    rows = rows & np.isfinite(values)
    choose, judge = rows & parts.choose, rows & parts.judge
    higher = spot.measure == ENRICHMENT and _higher(values[choose], there[choose])
    check = validate_proxy(
        spot.measure,
        values[rows],
        there[rows],
        sure.answers[rows],
        records.units.chosen(rows),
        parts.choose[rows],
        higher_is_better=higher,
        how=how,
    )
    return Proxy(
        measure=spot.measure,
        region=spot.region,
        higher=higher,
        check=check,
        images=int(judge.sum()),
        reason=None if check.threshold is not None else _no_threshold(there[choose]),
    )


def _higher(values: Float[np.ndarray, " row"], there: Bool[np.ndarray, " row"]) -> bool:
    """Whether maps on the lesions have the higher numbers on average."""
    if there.all() or not there.any():
        return True
    return bool(values[there].mean() >= values[~there].mean())


def _no_threshold(there: Bool[np.ndarray, " row"]) -> str:
    if not there.size:
        return "no map of the patients that choose the threshold has both numbers"
    which = "every one" if there.all() else "none"
    return (
        f"of {counted(len(there), 'map')} of the patients that choose the threshold {which} is on "
        "the lesions"
    )
