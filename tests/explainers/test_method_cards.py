"""What each method says of itself: its question, when to use it on eyes, its cost, its source."""

import inspect
import re

import pytest
import torch
from nets import Convolutional

from foveal.doors import attribute
from foveal.explainers import Method, methods

METHODS = [pytest.param(method, id=method.name) for method in methods()]
DRAWN = [
    pytest.param(method, id=method.name)
    for method in methods()
    if re.match(r"\d+ F", method.cost)
    and method.name not in ("expectedgradients", "tcav", "lrp")  # they need more than a name
    and "attention" not in method.cost
]
PLACE = r"\b(equations?|sections?|algorithm|theorem|proposition|table|eq\.|sec\.|prop\.) ?\d"
FORMULA = r"(mean|variance|:) .*\w\("
SPARED = 5
"""The clean pass, and a few with which sparing passes is tried."""


def paragraphs(method: Method) -> list[str]:
    return [" ".join(part.split()) for part in (inspect.getdoc(method.cls) or "").split("\n\n")]


def about_eyes(method: Method) -> str:
    (found,) = [part for part in paragraphs(method) if part.startswith("On eyes")]
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_method_says_when_to_use_it_on_eyes_and_when_not(method):
    text = about_eyes(method)
    assert re.search(r"\b(use|answers)\b", text, re.IGNORECASE)
    assert re.search(r"\b(not|only|nothing)\b", text, re.IGNORECASE)
    seen = "lesion|aneurysm|haemorrhage|drusen|exudate|vessel|disc|macula|OCT|fluid|retina"
    assert len(set(re.findall(seen, text, re.IGNORECASE))) >= 2


@pytest.mark.parametrize("method", METHODS)
def test_its_cost_in_words_is_its_cards(method):
    (words,) = re.findall(r"It costs (.*?)\.(?: |$)", about_eyes(method))
    assert re.search(r"\bpass(es)?\b", words)
    assert re.findall(r"\d{2,}", words.split(":")[0]) == list(
        dict.fromkeys(re.findall(r"\d{2,}", method.cost))
    )
    assert ("backward" in words) == bool(re.search(r"\bB\b", method.cost))
    assert ("above the" in words) == ("B above the layer" in method.cost)


@pytest.mark.parametrize("method", METHODS)
def test_its_source_is_a_paper_and_a_place_in_it(method):
    (source,) = [part for part in paragraphs(method) if part.startswith("Reference:")]
    for text in (source, method.reference):
        assert re.search(r"[A-Z]\w+ (et al\. |and \w+ )?(19|20)\d\d, ", text)
    assert re.search(PLACE, source) or "=" in source
    assert re.search(PLACE, method.reference) or re.search(r"[:,] .*[/(^]", method.reference)
    (year,) = set(re.findall(r"\b20\d\d\b", method.reference))
    assert year in source, "card and docstring cite the same paper"


@pytest.mark.parametrize("method", METHODS)
def test_its_card_is_complete(method):
    assert method.question.endswith("?")
    assert method.sign
    assert method.grid
    assert method.needs


@pytest.mark.parametrize("method", DRAWN)
def test_the_passes_that_it_makes_are_those_on_its_card(method):
    """225 windows of the default size fit an image of 64 x 64."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    cost = attribute(Convolutional(), image, method.name, target=1).info[method.name].cost
    own = method.cost.split(" for a volume")[0].replace(", 3375 F", "")
    channels = Convolutional().head.in_features if "F a channel" in own else 0
    forward = channels or sum(int(n) for n in re.findall(r"(\d+) F", own))
    assert 0 <= cost["forward"] + cost["shared_forward"] - forward <= SPARED
    if "B above" not in own:
        backward = sum(int(n) for n in re.findall(r"(\d+) B\b", own))
        assert cost["backward"] + cost["shared_backward"] == backward
