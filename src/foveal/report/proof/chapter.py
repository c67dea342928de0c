"""The cohort's numbers as a page holds them: conclusions, plots, and tiles of the gallery."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from foveal.analysis.confidence import LEAST_AUC
from foveal.report.proof.conclude import Proof, proof_of
from foveal.report.proof.paper import Plot
from foveal.report.proof.picks import chosen
from foveal.report.proof.plots_of_maps import map_plots
from foveal.report.proof.plots_of_models import model_plots
from foveal.report.proof.tiles import Tile, tile
from foveal.report.words import ELSEWHERE
from foveal.store import Case, Run


class Chapter:
    """Made from a run's tables before its cases are read; then it takes the pictures it needs."""

    def __init__(self, run: Run, header: Mapping[str, Any], proof: Proof | None = None) -> None:
        self.proof: Proof = proof or proof_of(run, header)
        self.images = chosen(self.proof.picks)
        """Those of the gallery, which a page shows one by one too."""
        self._tiles: dict[str, Tile] = {}
        self._elsewhere = [m["key"] for m in header["methods"] if m["name"] == ELSEWHERE]

    def add(self, case: Case) -> None:
        """Take a case's pictures if the gallery shows it."""
        if case.id in self.images and case.failure is None:
            self._tiles[case.id] = tile(case, self._elsewhere)

    def parts(self, label: Callable[[str], str]) -> Mapping[str, object]:
        """What the template needs.

        Args:
            label: What a map's name in the run is in words.
        """
        return {
            "proof": self.proof,
            "plots": list(plots(self.proof, label)),
            "tiles": self._tiles,
            "unit": self.proof.unit,
            "least_auc": LEAST_AUC,
        }


def plots(proof: Proof, label: Callable[[str], str]) -> Iterator[Plot]:
    """All plots of a cohort."""
    yield from map_plots(proof.matches, proof.removals, label)
    yield from model_plots(proof.performances, proof.trusts, label)
