"""Targets by the names that a model card gives them."""

from difflib import get_close_matches

from foveal.core import Target
from foveal.models.card import Card


def named_target(name: str, card: Card) -> Target:
    """`predicted`, a class of the card, `grade>=k` of an ordinal model, `value` of a regression.

    Raises:
        ValueError: A name that the card does not have; the nearest are offered.
    """
    text = name.strip()
    if text.replace(" ", "").startswith("grade>="):
        return _at_least(text, card)
    if card.task == "regression":
        return _value(text, card)
    if text == "predicted":
        return _predicted(card)
    if text not in card.classes:
        near = (get_close_matches(text, card.classes, n=1) or card.classes)[0]
        raise ValueError(
            f"{card.name} has no class {text!r}; it has {', '.join(card.classes)} "
            f"(did you mean {near!r}?)"
        )
    return _class(text, card)


def _predicted(card: Card) -> Target:
    if card.task in ("segmentation", "multilabel"):
        raise ValueError(
            f"a {card.task} model predicts no single class: name one of {', '.join(card.classes)}"
        )
    return Target(label="predicted")


def _class(name: str, card: Card) -> Target:
    index = card.classes.index(name)
    if card.outputs > 1 or card.activation in ("cumulative", "coral"):
        return Target(index=index, label=name)
    positive = card.classes[-1]
    if name != positive:
        raise ValueError(
            f"the single output of {card.name} speaks for {positive!r}; explain that one: the "
            f"negative part of its map is what speaks for {name!r}"
        )
    return Target(index=0, label=name)


def _at_least(text: str, card: Card) -> Target:
    grade = text.split(">=", 1)[1].strip()
    if card.task != "ordinal":
        raise ValueError(f"{text!r} needs an ordinal task, but {card.name} is {card.task}")
    highest = len(card.classes) - 1
    if not grade.isdigit() or not 1 <= int(grade) <= highest:
        raise ValueError(
            f"{text!r}: the grade must be 1 to {highest}, as {', '.join(card.classes)} are 0 to "
            f"{highest}"
        )
    return Target(at_least=int(grade), label=f"grade >= {int(grade)}")


def _value(text: str, card: Card) -> Target:
    if text in ("predicted", "value") and len(card.classes) < 2:
        return Target(index=0, label=card.classes[0] if card.classes else "value")
    if text in card.classes:
        return Target(index=card.classes.index(text), label=text)
    raise ValueError(
        f"{card.name} gives {', '.join(card.classes) or 'one value'}; name one of them"
    )
