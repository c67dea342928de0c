"""Scores over all images at once, such as TCAV's: a row each, read from the run's header."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foveal.core import Score


@dataclass(frozen=True, kw_only=True)
class ConceptScore:
    """Whether one concept counts for one target at one layer."""

    key: str
    """The method's name in the run."""
    target: str
    score: Score

    @property
    def concept(self) -> str:
        """What it asks about, in the user's words."""
        return str(self.score.params["concept"])

    @property
    def layer(self) -> str:
        """Where the concept was looked for."""
        return str(self.score.params["layer"])

    @property
    def examples(self) -> int:
        """Examples of the concept."""
        return _whole(self.score.params["concept_examples"])

    @property
    def images(self) -> int:
        """Images whose score had a gradient at the layer."""
        return _whole(self.score.parts["images"])

    @property
    def p(self) -> float | None:
        """Two-sided, against random sets; missing where nothing was tested."""
        return _number(self.score.parts.get("p"))

    @property
    def p_holm(self) -> float | None:
        """The same adjusted over all concepts and layers of the call."""
        return _number(self.score.parts.get("p_holm"))

    @property
    def accuracy(self) -> float | None:
        """Share of held-out examples that the classifier tells apart; 0.5 is chance."""
        return _number(self.score.parts.get("accuracy"))

    @property
    def random(self) -> Sequence[float]:
        """The scores of random sets in the concept's place."""
        return self.score.null or ()


def concept_scores(header: Mapping[str, Any]) -> list[ConceptScore]:
    """The scores in a run's header, in their order; none for a run that asked for none."""
    return [
        ConceptScore(key=one["method"]["key"], target=one["target"], score=_score(one["score"]))
        for one in header.get("together", ())
    ]


def methods_of(header: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cards of all methods of a run: those that draw maps, then those about all images."""
    return [*header["methods"], *_joint(header)]


def _joint(header: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    told = {one["method"]["key"]: one["method"] for one in header.get("together", ())}
    yield from told.values()


def _score(table: Mapping[str, Any]) -> Score:
    low, high = table["range"]
    null = table["null"]
    return Score(**{**table, "range": (low, high), "null": None if null is None else tuple(null)})


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
