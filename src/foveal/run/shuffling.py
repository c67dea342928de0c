"""How alike are maps of different patients? What stability has to be held against."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float

from foveal.analysis.records import Place, pooled_target
from foveal.analysis.shuffled import Shuffled
from foveal.core import Attribution
from foveal.explainers.grid import at_input_size
from foveal.measures.similarity import STATISTICS, Statistic, similarities
from foveal.run.gating import Witness
from foveal.store import Scored

LIKENESS: Mapping[str, Statistic] = MappingProxyType(
    {
        "map_ssim": STATISTICS["ssim"],
        "map_pearson": STATISTICS["pearson"],
        "map_spearman": STATISTICS["spearman"],
        "topk_iou": STATISTICS["topk_iou"],
    }
)
"""The measures that say how alike two maps are, with what they say of one pair."""


def stable_places(maps: Iterable[Scored]) -> list[Place]:
    """Where such a measure has a number, in the order in which they are met."""
    met = dict.fromkeys(
        Place(
            one.name.model, pooled_target(one.name.target), one.name.key, measured.score.name, None
        )
        for one in maps
        for measured in one.scores
        if measured.score.name in LIKENESS and measured.score.value is not None
    )
    return list(met)


def shuffled_of(model: str, witnesses: Sequence[Witness], places: Iterable[Place]) -> Shuffled:
    """What these measures say of maps of different patients, from stored maps alone.

    The pairs are those of one shuffle: each patient's map with that of the next patient who has
    one, the last one's with the first one's, over the field of the first of the two. They keep what
    maps share because eyes, fields and the method are alike. Pairs with a constant map have no
    number, and a place without any is not there.

    Args:
        model: Whose maps.
        witnesses: One image a patient, all prepared for this model.
        places: The numbers that need a chance level; those of other models are passed over.
    """
    found: Shuffled = {}
    for place in places:
        if place.model != model:
            continue
        named = (place.target, place.key)
        own = [(w, _on_grid(w.drawn[named], w)) for w in witnesses if named in w.drawn]
        if len(own) < 2:
            continue
        values = [
            float(similarities(map, other[None], witness.field, LIKENESS[place.measure])[0])
            for (witness, map), (_, other) in zip(own, [*own[1:], own[0]], strict=True)
        ]
        defined = tuple(value for value in values if not np.isnan(value))
        if defined:
            found[place] = defined
    return found


def _on_grid(made: Attribution, witness: Witness) -> Float[np.ndarray, "row column"]:
    blank = torch.empty(1, 1, *witness.field.shape)
    return at_input_size(torch.from_numpy(made.map).unsqueeze(0), blank)[0].numpy()
