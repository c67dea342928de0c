"""Which proof the explanations of a run need, with what is there and what is missing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foveal.store import ALL_LESIONS, Case, View


@dataclass(frozen=True, kw_only=True)
class NeedRow:
    """One question that has to be answered."""

    asks: str
    there: tuple[tuple[str, int], ...]
    """What answers it, and for how many maps."""
    get: str
    """How to come by an answer where there is none."""


@dataclass(frozen=True, kw_only=True)
class NeedPart:
    """What one model on one kind of image needs."""

    model: str
    modality: str
    title: str
    demand: str
    why: str
    rows: tuple[NeedRow, ...]

    @property
    def answered(self) -> int:
        """Questions that have an answer."""
        return sum(bool(row.there) for row in self.rows)


class ProofFound:
    """Counts which measures have numbers, on what, case by case."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], Counter[tuple[str, str | None]]] = {}

    def add(self, case: Case) -> None:
        """Take in one case."""
        for view in case.views:
            found = self._measured.setdefault((view.model, case.modality), Counter())
            kinds = _kinds(view)
            for explained in view.explained:
                found.update(
                    {
                        (m.score.name, kinds.get(m.region or ""))
                        for m in explained.scores
                        if m.score.value is not None
                    }
                )

    def parts(self, header: Mapping[str, Any]) -> list[NeedPart]:
        """The needs of each model on each kind of image that the run holds."""
        models = {model["name"]: model for model in header["models"]}
        return [
            NeedPart(
                model=model,
                modality=modality,
                title=need["title"],
                demand=need["demand"],
                why=need["why"],
                rows=tuple(
                    NeedRow(
                        asks=proof["asks"],
                        there=tuple(self._there(proof, header, models[model], modality)),
                        get=proof["get"],
                    )
                    for proof in need["proofs"]
                ),
            )
            for (model, modality) in self._measured
            for need in header.get("proof", ())
            if need["modality"] == modality and models[model]["task"] in need["tasks"]
        ]

    def _there(
        self,
        proof: Mapping[str, Any],
        header: Mapping[str, Any],
        model: Mapping[str, Any],
        modality: str,
    ) -> list[tuple[str, int]]:
        if proof["fact"] == "calibrator":
            return [("calibrator", 1)] if model.get("calibrator") else []
        if proof["fact"] == "gate":
            own = [g for g in header.get("gates", ()) if g["model"] == model["name"]]
            decided = [g for g in own if g["score"]["parts"].get("passed") is not None]
            return [("gate", len(decided))] if decided else []
        counts: Counter[str] = Counter()
        for (measure, kind), maps in self._measured[model["name"], modality].items():
            if measure in proof["measures"] and proof["on"] in (None, kind):
                counts[measure] = max(counts[measure], maps)
        return [(m, counts[m]) for m in proof["measures"] if counts[m]]


def _kinds(view: View) -> dict[str, str]:
    """What the regions of a view are, in the words of the table of needs."""
    words = {"lesion": "lesions", "anatomy": "structures"}
    known = {region.name: words[region.kind] for region in view.regions if region.kind in words}
    return {**known, ALL_LESIONS: "lesions"}
