"""From the raw output to the number that is explained."""

import math

import pytest
import torch
from torch import Tensor

from foveal.core import Target
from foveal.models.heads import predicted_class, probabilities
from foveal.models.targets import fix

LOGITS = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]])
ROWS = torch.arange(2)


def score(target: object, output: Tensor, head: str = "softmax") -> list[float]:
    fixed = fix(target, output, count=len(output), head=head)  # type: ignore[arg-type]
    return fixed.score(output, torch.arange(len(output))).tolist()


def softmax(row: list[float], index: int) -> float:
    return math.exp(row[index]) / sum(map(math.exp, row))


def test_no_target_is_each_samples_own_class_and_stays_it_for_its_probes():
    fixed = fix(None, LOGITS, count=2)
    assert fixed.indices == (1, 0)
    probes = torch.tensor([[5.0, 6.0, 7.0], [8.0, 9.0, 10.0], [11.0, 12.0, 13.0]])
    assert fixed.score(probes, torch.tensor([1, 0, 1])).tolist() == [5.0, 9.0, 11.0]


@pytest.mark.parametrize("target", [[2, 0], torch.tensor([2, 0]), (Target(index=2), 0)])
def test_each_sample_may_have_its_own_target(target):
    assert score(target, LOGITS) == [-1.0, 2.0]


def test_samples_may_mix_classes_and_callables():
    assert score([1, lambda output: output[:, 0] * 10], LOGITS) == [1.0, 20.0]


@pytest.mark.parametrize("output", [torch.tensor([3.0, -2.0]), torch.tensor([[3.0], [-2.0]])])
def test_a_single_output_is_explained_as_it_is(output):
    assert score(None, output) == [3.0, -2.0]
    assert score(0, output) == [3.0, -2.0]


def test_probability_and_log_odds_are_taken_from_the_logits():
    p = [softmax(row, 1) for row in LOGITS.tolist()]
    assert score(Target(index=1, score="probability"), LOGITS) == pytest.approx(p)
    odds = [math.log(q / (1 - q)) for q in p]
    assert score(Target(index=1, score="log-odds"), LOGITS) == pytest.approx(odds)


def test_log_odds_of_a_sure_model_are_finite():
    sure = torch.tensor([[40.0, 0.0, 0.0]])
    assert score(Target(index=0, score="log-odds"), sure) == pytest.approx([40 - math.log(2)])


def test_with_sigmoids_every_class_stands_alone():
    assert score(Target(index=2, score="log-odds"), LOGITS, "sigmoid") == [-1.0, 0.0]
    p = [1 / (1 + math.exp(1)), 0.5]
    assert score(Target(index=2, score="probability"), LOGITS, "sigmoid") == pytest.approx(p)


def test_a_grade_or_more_is_the_log_odds_of_its_probability():
    p = [softmax(row, 1) + softmax(row, 2) for row in LOGITS.tolist()]
    odds = [math.log(q / (1 - q)) for q in p]
    assert score(Target(at_least=1), LOGITS) == pytest.approx(odds, rel=1e-5)
    assert score(Target(at_least=1, score="probability"), LOGITS) == pytest.approx(p)


@pytest.mark.parametrize("head", ["cumulative", "coral"])
def test_ordinal_heads_give_their_own_logit_for_a_grade_or_more(head):
    output = torch.tensor([[2.0, 0.5, -1.0]])
    assert score(Target(at_least=2), output, head) == [0.5]
    assert predicted_class(output, head).tolist() == [2]
    at_least = [1 / (1 + math.exp(-z)) for z in (2.0, 0.5, -1.0)]
    grades = [1 - at_least[0], at_least[0] - at_least[1], at_least[1] - at_least[2], at_least[2]]
    assert probabilities(output, head)[0].tolist() == pytest.approx(grades)
    odds = math.log(grades[3] / (1 - grades[3]))
    assert score(3, output, head) == pytest.approx([odds])


def test_a_dense_output_is_averaged_over_the_chosen_pixels():
    output = torch.arange(16.0).reshape(1, 2, 2, 4)
    mask = torch.zeros(2, 4, dtype=torch.bool)
    mask[0, 1:3] = True
    assert score(Target(index=0, pixels="all"), output) == [3.5]
    assert score(Target(index=0, pixels=mask.numpy()), output) == [1.5]
    assert score(Target(index=0, pixels=(1, 3)), output) == [7.0]
    assert score(1, output) == [11.5]  # class 1 wins everywhere
    assert fix(0, output, count=1).reasons == ("empty_mask",)


def test_a_single_dense_logit_is_predicted_where_it_is_positive():
    output = torch.tensor([[[[-1.0, 2.0], [4.0, -3.0]]]])
    assert score(0, output) == [3.0]


def test_each_pixel_of_a_dense_output_has_its_own_log_odds():
    output = torch.tensor([[[[2.0, 0.0]], [[0.0, 1.0]]]])
    assert score(Target(index=0, pixels="all", score="log-odds"), output) == [0.5]


WRONG = [
    pytest.param(3, LOGITS, "softmax", "class 3 does not exist: the model has 3", id="class"),
    pytest.param(4, LOGITS, "cumulative", "the model has 4 classes", id="ordinal class"),
    pytest.param(Target(at_least=3), LOGITS, "softmax", "class 3 does not exist", id="grade"),
    pytest.param([0, 1, 2], LOGITS, "softmax", "3 targets for 2 images", id="too many"),
    pytest.param(None, torch.zeros(2, 3, 4, 4), "softmax", "one score a pixel", id="dense"),
    pytest.param(Target(index=0, pixels=(4, 0)), torch.zeros(2, 3, 4, 4), "softmax",
                 "outside the output", id="point"),
    pytest.param(Target(index=0, pixels=torch.ones(3, 3, dtype=torch.bool).numpy()),
                 torch.zeros(2, 3, 4, 4), "softmax", "mask is", id="mask"),
    pytest.param(lambda output: output, LOGITS, "softmax", "one number per sample", id="callable"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "output", "head", "message"), WRONG)
def test_a_target_that_does_not_fit_says_why(target, output, head, message):
    with pytest.raises(ValueError, match=message):
        score(target, output, head)


@pytest.mark.parametrize(
    "settings", [{"index": 1, "at_least": 1}, {"index": -1}, {"at_least": 0}], ids=str
)
def test_a_target_is_checked_at_birth(settings):
    with pytest.raises(ValueError, match=r"must|either"):
        Target(**settings)


def test_a_multilabel_segmentation_predicts_each_class_for_itself():
    output = torch.full((1, 3, 2, 2), -4.0)
    output[0, 1] = -3.0  # the largest, but not predicted
    assert fix(1, output, count=1, head="sigmoid").reasons == ("empty_mask",)
    output[0, 0, 0, 0], output[0, 1, 0, 0] = 4.0, 5.0
    fixed = fix(0, output, count=1, head="sigmoid")
    assert fixed.reasons == (None,)
    assert fixed.score(output, torch.zeros(1, dtype=torch.long)).tolist() == [4.0]


def test_a_class_may_be_a_tensor_of_one_number_but_no_truth_value():
    assert fix(torch.tensor(2), LOGITS, count=2).indices == (2, 2)
    with pytest.raises(ValueError, match="but is True"):
        fix(True, LOGITS, count=2)


def test_a_pixel_needs_as_many_places_as_the_output_has_axes():
    with pytest.raises(ValueError, match=r"pixel \(1, 1, 1\) lies outside"):
        fix(Target(index=0, pixels=(1, 1, 1)), torch.zeros(1, 2, 4, 4), count=1)
