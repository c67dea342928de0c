"""Measures by name: other names that people use, and those that mean several things."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

ALIASES: Mapping[str, str] = {
    "energy_in_lesion": "relevance_mass",
    "ebpg": "relevance_mass",
    "rma": "relevance_mass",
    "rra": "relevance_rank_accuracy",
    "jaccard": "iou",
    "dsc": "dice",
    "increase_in_drop": "excess_drop",
    "occlusion_drop": "masked_roi_drop",
    "symmetric_relevance_gain": "srg",
}
"""Other names, and the measure's own."""

_AMBIGUOUS: Mapping[str, str] = {
    "sensitivity_n": "three meanings: sensitivity_n, how well summed attributions of n patches "
    "follow the drop of the score (Ancona et al. 2018, higher is better); max_sensitivity, the "
    "largest change of the map under small noise (Yeh et al. 2019, lower is better); and "
    "drop_at_fraction, the drop of the score when the top share is removed",
    "drop": "three meanings: average_drop, what the score loses when only what the map highlights "
    "is kept (lower is better); masked_roi_drop, what it loses when that is taken away (higher is "
    "better); and excess_drop, how much more than without regions drawn at random",
    "increase_in_confidence": "two meanings: pct_increase_confidence, in what share of images the "
    "score rises when only what the map highlights is kept; and sufficiency_delta, by how much",
}
"""What a name may mean, that is no measure's own."""


def measure_named(name: str, known: Collection[str]) -> str:
    """The measure's own name, from that or another; case, spaces and hyphens do not matter.

    Args:
        name: As people write it.
        known: The measures to choose from, by their own names.

    Raises:
        ValueError: A name that is not known, with the nearest, or one with several meanings.
    """
    if name in known:
        return name
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if plain in _AMBIGUOUS:
        raise ValueError(f"{name!r} has {_AMBIGUOUS[plain]}; name the one you mean")
    own = ALIASES.get(plain, plain)
    if own not in known:
        near = get_close_matches(plain, list(known), n=2) or list(known)
        raise ValueError(f"there is no measure {name!r} here; near names: {', '.join(near)}")
    return own
