"""Measures by name: other names that people use, and one that means three things."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

ALIASES: Mapping[str, str] = {
    "energy_in_lesion": "relevance_mass",
    "ebpg": "relevance_mass",
    "jaccard": "iou",
    "dsc": "dice",
}
"""Other names, and the measure's own."""

_AMBIGUOUS = (
    "'sensitivity-n' has three meanings: sensitivity_n, how well summed attributions of n patches "
    "follow the drop of the score (Ancona et al. 2018, higher is better); max_sensitivity, the "
    "largest change of the map under small noise (Yeh et al. 2019, lower is better); and "
    "drop_at_fraction, the drop of the score when the top share is removed; name the one you mean"
)


def measure_named(name: str, known: Collection[str]) -> str:
    """The measure's own name, from that or another.

    Args:
        name: As people write it.
        known: The measures to choose from, by their own names.

    Raises:
        ValueError: A name that is not known, with the nearest, or one with several meanings.
    """
    if name not in known and name.lower().replace(" ", "-") == "sensitivity-n":
        raise ValueError(_AMBIGUOUS)
    own = ALIASES.get(name, name)
    if own not in known:
        near = get_close_matches(name, list(known), n=2) or list(known)
        raise ValueError(f"there is no measure {name!r} here; near names: {', '.join(near)}")
    return own
