"""Targets by the names that a model card gives them."""

from dataclasses import replace
from difflib import get_close_matches

from foveal.core import Target
from foveal.models.card import Card

_VERSUS, _BOUNDARY = "-vs-", "-boundary"


def named_target(name: str, card: Card) -> Target:
    """The target of a name; a target's label is a name of it as well.

    `predicted`; a class of the card; `A-vs-B`, the contrast of two; `grade>=k` of an ordinal model;
    `A-boundary` of a segmentation; `value`, a value's own name or the `mean` of several of a
    regression, whose labels carry the card's unit: `acuity (letters)`.

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
    if text not in card.classes and _VERSUS in text:
        return _contrast(text, card)
    if text not in card.classes and card.task == "segmentation" and text.endswith(_BOUNDARY):
        inner = _class(text.removesuffix(_BOUNDARY), card)
        return replace(inner, pixels="boundary", label=text)
    return _class(text, card)


def _predicted(card: Card) -> Target:
    if card.task in ("segmentation", "multilabel"):
        raise ValueError(
            f"a {card.task} model predicts no single class: name one of {', '.join(card.classes)}"
        )
    return Target(label="predicted")


def _class(name: str, card: Card) -> Target:
    index = _index(name, card)
    if card.outputs > 1 or card.activation in ("cumulative", "coral"):
        return Target(index=index, label=name)
    positive = card.classes[-1]
    if name != positive:
        raise ValueError(
            f"the single output of {card.name} speaks for {positive!r}; explain that one: the "
            f"negative part of its map is what speaks for {name!r}"
        )
    return Target(index=0, label=name)


def _contrast(text: str, card: Card) -> Target:
    one, other = text.split(_VERSUS, 1)
    index, against = _index(one, card), _index(other, card)
    if card.outputs == 1 and index != against:  # its logit is the log-odds of the two
        return replace(_class(one, card), label=text)
    return Target(index=index, against=against, label=text)


def _index(name: str, card: Card) -> int:
    if name not in card.classes:
        near = (get_close_matches(name, card.classes, n=1) or card.classes)[0]
        raise ValueError(
            f"{card.name} has no class {name!r}; it has {', '.join(card.classes)} "
            f"(did you mean {near!r}?)"
        )
    return card.classes.index(name)


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
    unit = f" ({card.output.unit})" if card.output.unit else ""
    name, known = text.removesuffix(unit), card.classes
    if name in ("predicted", "value") and len(known) < 2:
        return Target(index=0, label=(known[0] if known else "value") + unit)
    if name in known:
        return Target(index=known.index(name), label=name + unit)
    if name == "mean" and len(known) > 1:
        return Target(pixels="all", label=name + unit)
    one, _, other = name.partition(_VERSUS)
    if one in known and other in known:
        return Target(index=known.index(one), against=known.index(other), label=name + unit)
    values = ", ".join((*known, *(["mean"] if len(known) > 1 else []))) or "one value"
    raise ValueError(f"{card.name} gives {values}; name one of them")
