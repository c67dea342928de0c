"""Deletion and insertion curves as lines in a small plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foveal.core import Score
from foveal.report.outlines import Line
from foveal.report.words import map_name, measure_name, number, percent
from foveal.store import Explained

WIDTH, HEIGHT = 240, 120
"""Of the plot's area, in its own units."""
_DASHES = ("", "5 3", "1.5 2.5")


@dataclass(frozen=True, kw_only=True)
class CurveLine:
    """One curve over the share of the field that is removed or put back."""

    name: str
    line: Line
    dashes: str
    area: str
    band: Line | None
    """Around the curves of random orders, from their lowest to their highest; closed."""


@dataclass(frozen=True, kw_only=True)
class CurvePlot:
    """The curves of one map."""

    title: str
    words: str
    """What the curves show, for readers who cannot see them."""
    low: str
    high: str
    """The scores at the lower and the upper edge."""
    lines: tuple[CurveLine, ...]

    @property
    def banded(self) -> bool:
        """Whether random orders are drawn too."""
        return any(line.band is not None for line in self.lines)


def curve_plots(maps: Sequence[Explained]) -> list[CurvePlot]:
    """The curves of the maps that have some, all on one scale."""
    found = [(explained, _curves(explained)) for explained in maps]
    scores = [score for _, own in found for score in own]
    if not scores:
        return []
    low, high = _span(scores)
    return [
        CurvePlot(
            title=map_name(explained.key, explained.attribution),
            words=_words(explained, own),
            low=number(low),
            high=number(high),
            lines=tuple(
                _line(score, dashes, low, high) for score, dashes in zip(own, _DASHES, strict=False)
            ),
        )
        for explained, own in found
        if own
    ]


def _curves(explained: Explained) -> list[Score]:
    """The scores with curves, each curve once: several areas may be taken under one."""
    found: dict[object, Score] = {}
    for measured in explained.scores:
        parts = measured.score.parts
        if measured.score.value is not None and {"fractions", "scores"} <= parts.keys():
            found.setdefault(str(parts["scores"]), measured.score)
    return list(found.values())


def _span(scores: Sequence[Score]) -> tuple[float, float]:
    """From 0 to 1 for probabilities, else what the curves need: noise must not look like much."""
    if all(score.range == (0, 1) for score in scores):
        return 0.0, 1.0
    values = [value for score in scores for value in _numbers(score.parts, "scores")]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _line(score: Score, dashes: str, low: float, high: float) -> CurveLine:
    fractions = _numbers(score.parts, "fractions")
    random = [_placed(fractions, curve, low, high) for curve in _random(score.parts)]
    band = None
    if random:
        rows = np.stack([line[:, 0] for line in random])
        columns = random[0][:, 1]
        edges = np.concatenate([rows.min(axis=0), rows.max(axis=0)[::-1]])
        band = np.stack([edges, np.concatenate([columns, columns[::-1]])], axis=1)
    return CurveLine(
        name=_name(score),
        line=_placed(fractions, _numbers(score.parts, "scores"), low, high),
        dashes=dashes,
        area=number(score.value or 0.0),
        band=band,
    )


def _placed(fractions: Sequence[float], values: Sequence[float], low: float, high: float) -> Line:
    shares = (high - np.asarray(values, dtype=np.float64)) / (high - low)
    return np.stack([HEIGHT * shares.clip(0, 1), WIDTH * np.asarray(fractions)], axis=1)


def _words(explained: Explained, scores: Sequence[Score]) -> str:
    said = "; ".join(f"{_name(score).lower()}: {_course(score)}" for score in scores)
    return f"{map_name(explained.key, explained.attribution)}, {said}."


def _course(score: Score) -> str:
    fractions, values = (_numbers(score.parts, part) for part in ("fractions", "scores"))
    start, end = number(values[0]), number(values[-1])
    if start == end:
        return f"the score starts and ends at {start}"
    middle = (values[0] + values[-1]) / 2
    pairs = zip(fractions, values, strict=True)
    half = next(f for f, value in pairs if _past(values, value, middle))
    return f"the score goes from {start} to {end}, half of the way at {percent(half)} of the field"


def _name(score: Score) -> str:
    return measure_name(score.name.removesuffix("_auc"))


def _past(values: Sequence[float], value: float, middle: float) -> bool:
    return value <= middle if values[0] > values[-1] else value >= middle


def _numbers(parts: Mapping[str, object], name: str) -> list[float]:
    return [float(value) for value in parts[name]]  # type: ignore[union-attr, attr-defined]


def _random(parts: Mapping[str, object]) -> Sequence[Sequence[float]]:
    """Scores of random orders at the same fractions, where the measure kept them."""
    return parts.get("null_scores", ())  # type: ignore[return-value]
