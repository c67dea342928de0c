"""Targets by their names on the card."""

import math

import pytest
import torch
from nets import Convolutional

from foveal.core import FovealWarning
from foveal.models import Card, describe, load
from foveal.models.names import named_target
from foveal.models.targets import fix

DR = ["No DR", "Mild", "Severe"]
FIELD = {"task": "regression", "classes": ["upper", "lower"], "output": {"unit": "dB"}}
ACUITY = {"task": "regression", "output": {"unit": "letters"}}


def card(**settings: object) -> Card:
    facts = {"name": "net", "loader": "memory", "input": {"size": [8, 8]}}
    return Card.model_validate({**facts, **settings})


NAMES = [
    pytest.param({"task": "ordinal", "classes": DR}, "Severe-vs-Mild", "Severe-vs-Mild", -3.0,
                 id="contrast"),
    pytest.param({"task": "multilabel", "classes": DR}, "Mild-vs-No DR", "Mild-vs-No DR", 1.0,
                 id="contrast of labels"),
    pytest.param({"task": "binary", "classes": ["healthy", "DR"]}, "DR-vs-healthy",
                 "DR-vs-healthy", 0.0, id="contrast of a single logit"),
    pytest.param({"task": "multiclass", "classes": ["A-vs-B", "C", "D"]}, "A-vs-B", "A-vs-B", 0.0,
                 id="a class of that name"),
    pytest.param({"task": "ordinal", "classes": DR}, "grade>=2", "grade >= 2",
                 -2 - math.log(math.exp(1) + math.exp(0)), id="grade"),
    pytest.param(ACUITY, "value", "value (letters)", 0.0, id="value with its unit"),
    pytest.param(ACUITY, "predicted", "value (letters)", 0.0, id="predicted value"),
    pytest.param({**ACUITY, "classes": ["acuity"]}, "acuity", "acuity (letters)", 0.0,
                 id="value by its name"),
    pytest.param({"task": "regression"}, "value", "value", 0.0, id="value without a unit"),
    pytest.param(FIELD, "lower", "lower (dB)", 1.0, id="one of several values"),
    pytest.param(FIELD, "mean", "mean (dB)", 0.5, id="mean of the values"),
    pytest.param(FIELD, "lower-vs-upper", "lower-vs-upper (dB)", 1.0, id="difference of values"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "name", "label", "expected"), NAMES)
def test_a_name_gives_its_number_and_the_label_is_a_name_again(settings, name, label, expected):
    known = card(**settings)
    output = torch.tensor([[0.0, 1.0, -2.0][: known.outputs]])
    for text in (name, label):
        target = named_target(text, known)
        assert target.label == label
        fixed = fix(target, output, count=1, head=known.activation)
        number = fixed.score(output, torch.zeros(1, dtype=torch.long)).item()
        assert number == pytest.approx(expected)


def test_the_boundary_of_a_segmentation_goes_by_its_class():
    known = card(task="segmentation", classes=["background", "fluid"])
    target = named_target("fluid-boundary", known)
    assert (target.index, target.pixels, target.label) == (1, "boundary", "fluid-boundary")
    single = card(task="segmentation", classes=["background", "fluid"], head="sigmoid")
    assert named_target("fluid-boundary", single).index == 0


WRONG = [
    pytest.param({"task": "ordinal", "classes": DR}, "Sever-vs-Mild",
                 "no class 'Sever'.*did you mean 'Severe'", id="first"),
    pytest.param({"task": "ordinal", "classes": DR}, "Severe-vs-mild",
                 "no class 'mild'.*did you mean 'Mild'", id="second"),
    pytest.param({"task": "ordinal", "classes": DR}, "Mild-vs-Mild", "another class", id="itself"),
    pytest.param({"task": "binary", "classes": ["healthy", "DR"]}, "healthy-vs-DR",
                 "speaks for 'DR'", id="negative class first"),
    pytest.param({"task": "ordinal", "classes": DR}, "Mild-boundary", "no class 'Mild-boundary'",
                 id="boundary without pixels"),
    pytest.param(FIELD, "value", "gives upper, lower, mean; name one", id="several values"),
    pytest.param(FIELD, "lower-vs-nasal", "gives upper, lower, mean; name one", id="no such value"),
    pytest.param(ACUITY, "mean", "gives one value", id="mean of one value"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "name", "message"), WRONG)
def test_a_name_that_the_card_does_not_have_says_what_there_is(settings, name, message):
    with pytest.raises(ValueError, match=message):
        named_target(name, card(**settings))


def test_a_model_of_several_values_is_described_by_its_first():
    facts = card(**FIELD, input={"size": [24, 24]}).model_dump(exclude_none=True)
    with pytest.warns(FovealWarning, match="has no .check"):
        network = load(facts, module=Convolutional(classes=2))
    assert describe(network).choice is not None
