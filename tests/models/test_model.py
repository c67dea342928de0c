"""What a model says, by task and head, and its targets by name."""

import math

import pytest
import torch
from torch import Tensor, nn

from foveal.models import Card, Model
from foveal.models.targets import fix

INPUT = {"size": [8, 8]}


class Constant(nn.Module):
    """Gives the same numbers whatever it sees."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, images: Tensor) -> Tensor:
        return self.values.expand(len(images), *self.values.shape)


def model(values: Tensor, **card: object) -> Model:
    table = {"name": "m", "loader": "memory", "input": INPUT, **card}
    return Model(card=Card(**table), module=Constant(values), fingerprint="f")


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


DR = ["No DR", "Mild", "Severe"]
TASKS = [
    pytest.param([0.0, 2.0, 1.0], {"task": "multiclass", "classes": DR}, "Mild", 1, None,
                 id="multiclass"),
    pytest.param([1.5], {"task": "binary", "classes": ["healthy", "DR"]}, "DR", 1,
                 {"healthy": 1 - sigmoid(1.5), "DR": sigmoid(1.5)}, id="one logit"),
    pytest.param([1.0, 0.0], {"task": "binary", "classes": ["healthy", "DR"], "head": "softmax"},
                 "healthy", 0, {"healthy": sigmoid(1), "DR": sigmoid(-1)}, id="two logits"),
    pytest.param([2.0, -1.0], {"task": "ordinal", "head": "cumulative", "classes": DR}, "Mild", 1,
                 {"No DR": sigmoid(-2), "Mild": sigmoid(2) - sigmoid(-1), "Severe": sigmoid(-1)},
                 id="cumulative"),
    pytest.param([3.0, -2.0, 1.0], {"task": "multilabel", "classes": ["AMD", "DR", "RVO"]},
                 "AMD, RVO", None, None, id="multilabel"),
    pytest.param([-3.0, -2.0], {"task": "multilabel", "classes": ["AMD", "DR"]}, "none", None, None,
                 id="no label"),
    pytest.param([61.26], {"task": "regression", "output": {"unit": "letters"}}, "61.3 letters",
                 None, {"value": 61.26}, id="regression"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "card", "label", "index", "expected"), TASKS)
def test_a_prediction_reads_as_the_task_says(values, card, label, index, expected):
    said = model(torch.tensor(values), **card).predict(torch.zeros(1, 3, 8, 8))
    assert (said.label, said.index) == (label, index)
    if expected is not None:
        assert dict(said.values) == pytest.approx(expected)


def test_a_segmentation_gives_the_mean_probability_of_each_class():
    dense = torch.stack([torch.zeros(2, 2), torch.tensor([[4.0, 4.0], [-4.0, -4.0]])])
    said = model(dense, task="segmentation", classes=["background", "disc"]).predict(
        torch.zeros(1, 3, 8, 8)
    )
    assert said.values["disc"] == pytest.approx(0.5)


NAMED = [
    pytest.param({"task": "ordinal", "classes": DR}, "predicted", 1.0, id="predicted"),
    pytest.param({"task": "ordinal", "classes": DR}, "Severe", -2.0, id="class"),
    pytest.param({"task": "ordinal", "classes": DR}, "grade>=2",
                 -2 - math.log(math.exp(1) + math.exp(0)), id="grade"),
    pytest.param({"task": "ordinal", "classes": DR}, "grade >= 1",
                 math.log(math.exp(1) + math.exp(-2)), id="grade with spaces"),
    pytest.param({"task": "regression", "classes": ["upper", "lower", "nasal"]}, "lower", 1.0,
                 id="one of several values"),
]  # fmt: skip


@pytest.mark.parametrize(("card", "name", "expected"), NAMED)
def test_targets_go_by_their_names_on_the_card(card, name, expected):
    values = torch.tensor([0.0, 1.0, -2.0])
    known = model(values, **card)
    output = known.output(torch.zeros(1, 3, 8, 8))
    fixed = fix(known.target(name), output, count=1, head=known.head)
    assert fixed.score(output, torch.zeros(1, dtype=torch.long)).item() == pytest.approx(expected)


WRONG = [
    pytest.param({"task": "ordinal", "classes": DR}, "Sever", "did you mean 'Severe'", id="class"),
    pytest.param({"task": "ordinal", "classes": DR}, "grade>=3", "must be 1 to 2", id="grade"),
    pytest.param({"task": "ordinal", "classes": DR}, "grade>=two", "must be 1 to 2", id="word"),
    pytest.param({"task": "multiclass", "classes": DR}, "grade>=1", "ordinal task", id="no grades"),
    pytest.param({"task": "segmentation", "classes": DR}, "predicted", "name one of", id="dense"),
    pytest.param({"task": "multilabel", "classes": DR}, "predicted", "name one of", id="labels"),
    pytest.param({"task": "regression", "classes": DR}, "value", "name one of them", id="values"),
    pytest.param({"task": "binary", "classes": ["healthy", "DR"]}, "healthy", "speaks for 'DR'",
                 id="negative class"),
]  # fmt: skip


@pytest.mark.parametrize(("card", "name", "message"), WRONG)
def test_a_target_that_the_card_does_not_have_says_what_there_is(card, name, message):
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(3), **card).target(name)


def test_a_single_logit_is_explained_by_its_positive_class():
    known = model(torch.tensor([0.5]), task="binary", classes=["healthy", "DR"])
    assert known.target("DR").index == 0
    assert known.target("predicted").index is None
