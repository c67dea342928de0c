"""What networks made elsewhere than in torch need: their layout, and logits for probabilities."""

from collections.abc import Sequence
from typing import Literal

from foveal.core import ModelError
from foveal.models.card import Card

Squashing = Literal["softmax", "sigmoid"]
"""An activation after which a score has lost its scale."""


def takes_channels_last(shape: Sequence[object], card: Card, *, unsure: bool) -> bool:
    """Whether input of this shape, the batch axis first, has its channels after rows and columns.

    Args:
        shape: As the network declares it; what is not a number may be of any length.
        card: The model's card.
        unsure: The answer where both orders fit.

    Raises:
        ModelError: Neither order fits the size and color of the card.
    """
    channels, size = card.input.channels, card.input.size
    first = _fits(shape, (channels, *size))
    last = _fits(shape, (*size, channels))
    if not first and not last:
        raise ModelError(
            f"{card.name} takes one input of shape {tuple(shape)}, but its card says {channels} "
            f"channels on {size[0]} rows and {size[1]} columns; look at size and color under "
            "[input]. Networks of several inputs need loader 'python'"
        )
    return unsure if first and last else last


def squashing_of(card: Card) -> Squashing | None:
    """The last activation that a network may have, where it has to come off.

    What is explained is the logit: after softmax or sigmoid a score has lost its scale, and
    probabilities would be made of probabilities. A regression's last activation is part of its
    value.
    """
    if card.activation == "identity":
        return None
    return "softmax" if card.activation == "softmax" else "sigmoid"


def check_fits_head(found: str, wanted: Squashing, card: Card) -> None:
    """Refuse a network whose last activation is another than its card's head.

    Raises:
        ModelError: The head on the card contradicts the network.
    """
    if found in ("softmax", "sigmoid") and found != wanted:
        raise ModelError(
            f"{card.name} ends in {found}, but the head of its card is {card.activation!r}; write "
            f'head = "{found}" in the model card'
        )


def _fits(shape: Sequence[object], expected: tuple[int, ...]) -> bool:
    """Whether a declared shape allows images of the expected one."""
    if len(shape) != len(expected) + 1:
        return False
    return all(
        not isinstance(side, int) or side == wanted
        for side, wanted in zip(shape[1:], expected, strict=True)
    )
