"""Whether removal curves may be read here at all: said beside the numbers that they would give."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from foveal.analysis import informative_gain, rank_agreement, separations, uninformative
from foveal.analysis.gains import GAIN
from foveal.core import Score
from foveal.report.words import counted, listed, map_name, number
from foveal.store import Explained


class Verdicts:
    """The headline of faithfulness of each model, target and method, image by image."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, str], list[dict[str, Score]]] = {}

    def add(self, model: str, target: str, maps: Sequence[Explained]) -> None:
        """Count the maps of one image for one target."""
        found = {e.key: score for e in maps for score in _headline(e)}
        self._images.setdefault((model, target), []).append(found)

    def judged(self, model: str, target: str, key: str) -> list[Score] | None:
        """One method's headline without uninformative baselines; `None` where there are none."""
        images = self._images.get((model, target), [])
        blind = uninformative([_known(image) for image in images if image])
        own = [informative_gain(image[key], blind) for image in images if key in image]
        return own if blind else None

    def notes(self, model: str, target: str, label: Callable[[str], str]) -> Iterator[str]:
        """What must be known before the numbers are read; `label` names a map by its key."""
        images = self._images.get((model, target), [])
        named = [{label(k): one for k, one in image.items()} for image in images]
        return verdict_notes(named, left_out=True)


def named_headline(maps: Sequence[Explained]) -> dict[str, Score]:
    """The headline of faithfulness of one image's maps, where it was measured."""
    return {map_name(e.key, e.attribution): score for e in maps for score in _headline(e)}


def verdict_notes(
    images: Sequence[Mapping[str, Score]], *, left_out: bool = False
) -> Iterator[str]:
    """Baselines under which curves judge no map, and whether all of them rank the methods alike.

    `images` holds the `srg` of each image's maps by method. Methods are ranked on the images that
    have a map of each. `left_out` says that the numbers shown beside are those of `judged`.
    """
    own = separations([_known(image) for image in images if image])
    blind = [one for one in own if one.verdict == "uninformative"]
    if blind:
        said = [f"{one.baseline} (AUROC {number(one.auroc)})" for one in blind]
        yield (
            f"Curves are uninformative with {listed(said)} in place of what is removed: over "
            f"{counted(blind[0].images, 'image')} not even the model’s own order of patches stands "
            "out from random ones. Do not judge maps by SRG, AOPC, deletion or insertion there."
            + (" The SRG of these tables leaves it out." if left_out else "")
        )
    methods = dict.fromkeys(method for image in images for method in image)
    whole = [image for image in images if len(image) == len(methods)]
    ranks = rank_agreement(
        {method: [image[method] for image in whole] for method in methods},
        left_out=[one.baseline for one in blind],
    )
    if ranks.verdict == "inconclusive" and ranks.w is not None:
        best = [f"{method} with {baseline}" for baseline, method in ranks.best.items()]
        yield (
            "Which method is best by SRG is inconclusive: the baselines rank them differently "
            f"(Kendall’s W {number(ranks.w)}; first: {listed(best)})."
        )


def left_out_note(left_out: Sequence[str]) -> Iterator[str]:
    """That an image's own SRG is over more baselines than the tables of all images, where it is."""
    if left_out:
        yield (
            "This image’s SRG is over all its baselines; the tables of all images leave out "
            f"{listed(list(left_out))}, with which curves judge no map over all images together."
        )


def _known(image: Mapping[str, Score]) -> Score:
    """One that has a value, if any has: an empty map has no curves beside which others stand."""
    scores = list(image.values())
    return next((score for score in scores if score.value is not None), scores[0])


def _headline(explained: Explained) -> list[Score]:
    return [m.score for m in explained.scores if m.score.name == GAIN]
