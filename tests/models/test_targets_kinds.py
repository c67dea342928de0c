"""Contrasts, values, cells, boundaries, several heads: closed forms, and one law for all kinds."""

import math
from collections import namedtuple
from dataclasses import make_dataclass

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from torch import Tensor

from foveal.core import Target
from foveal.models.heads import probabilities
from foveal.models.targets import fix, with_score

LOGITS = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]])


def score(target: object, output: object, head: str = "softmax", count: int = 1) -> list[float]:
    fixed = fix(target, output, count=count, head=head)  # type: ignore[arg-type]
    return fixed.score(output, torch.arange(count)).tolist()


def test_a_contrast_is_the_difference_of_two_logits_and_the_log_odds_between_the_two():
    difference = [2.0, 0.5]
    assert score(Target(index=1, against=2), LOGITS, count=2) == difference
    p = LOGITS.softmax(dim=1)
    odds = (p[:, 1] / p[:, 2]).log().tolist()
    log_odds = score(Target(index=1, against=2, score="log-odds"), LOGITS, count=2)
    assert log_odds == pytest.approx(odds, rel=1e-5)
    share = (p[:, 1] / (p[:, 1] + p[:, 2])).tolist()
    probability = Target(index=1, against=2, score="probability")
    assert score(probability, LOGITS, count=2) == pytest.approx(share)


def test_with_sigmoids_a_contrast_is_the_log_odds_given_exactly_one_of_the_two():
    p, q = (1 / (1 + math.exp(-z)) for z in (1.0, -1.0))
    odds = math.log(p * (1 - q) / (q * (1 - p)))
    assert score(Target(index=1, against=2), LOGITS[:1], "sigmoid") == pytest.approx([odds])


@pytest.mark.parametrize("head", ["cumulative", "coral"])
def test_a_contrast_of_grades_is_taken_from_their_probabilities(head):
    output = torch.tensor([[2.0, 0.5, -1.0]])
    grades = probabilities(output, head)[0].tolist()
    expected = math.log(grades[3] / grades[0])
    assert score(Target(index=3, against=0), output, head) == pytest.approx([expected])


def test_a_contrast_is_no_class_and_says_what_it_is():
    fixed = fix(Target(index=1, against=2), LOGITS, count=2)
    assert (fixed.labels[0], fixed.indices[0], fixed.modes[0]) == (
        "class 1 vs 2", None, "log-odds",
    )  # fmt: skip
    read = fix(with_score(Target(index=1, against=2), "probability"), LOGITS, count=2)
    assert read.modes == ("probability", "probability")


def test_regression_values_keep_their_sign_in_every_mode():
    field = torch.tensor([[-3.0, 1.5, 0.5]])
    for mode in ("logit", "probability", "log-odds"):
        assert score(Target(index=0, score=mode), field, "identity") == [-3.0]
        assert score(Target(index=1, against=0, score=mode), field, "identity") == [4.5]
        assert score(Target(pixels="all", score=mode), field, "identity") == pytest.approx([-1 / 3])
    assert fix(0, field, count=1, head="identity").modes == ("value",)


@pytest.mark.parametrize("head", ["identity", "softmax"])
def test_the_cells_of_a_vector_are_averaged_over_all_or_a_sector(head):
    field = torch.arange(52.0)[None]
    upper = np.arange(52) < 26
    assert score(Target(pixels="all"), field, head) == [25.5]
    assert score(Target(pixels=upper), field, head) == [12.5]
    assert score(Target(pixels=(7,)), field, head) == [7.0]
    fixed = fix(Target(pixels=upper), field, count=1, head=head)  # type: ignore[arg-type]
    assert (fixed.labels, fixed.indices, fixed.modes) == (
        ("mean in a region",),
        (None,),
        ("value",),
    )


def test_a_dense_regression_is_its_mean_a_cell_or_a_region():
    thickness = torch.tensor([[[[-1.0, 3.0], [4.0, 2.0]]]])
    mask = np.array([[True, False], [True, False]])
    assert score(None, thickness, "identity") == [2.0]  # also where it is negative
    assert score(Target(pixels=(0, 1)), thickness, "identity") == [3.0]
    assert score(Target(pixels=mask), thickness, "identity") == [1.5]
    assert score(Target(pixels="all"), thickness) == [2.0]  # one output: no class to be named
    layers = torch.cat([thickness, thickness + 10], dim=1)
    assert score(1, layers, "identity") == [12.0]
    assert score(Target(index=1, against=0), layers, "identity") == [10.0]


def test_a_dense_contrast_is_averaged_over_the_pixels_of_its_first_class():
    output = torch.tensor([[[[2.0, 0.0, 5.0]], [[1.0, 4.0, 1.0]]]])
    assert score(Target(index=0, against=1), output) == [2.5]  # of 1 and 4
    p = [1 / (1 + math.exp(-z)) for z in (1, 4)]
    probability = Target(index=0, against=1, score="probability")
    assert score(probability, output) == pytest.approx([sum(p) / 2])


def test_a_boundary_is_the_predicted_pixels_beside_another_class_and_not_the_images_edge():
    wins = np.zeros((4, 5), bool)
    wins[:3, :3] = True
    logits = torch.stack([torch.zeros(4, 5), torch.as_tensor(wins) * 2.0 - 1])[None]
    logits[0, 1] += torch.arange(20.0).reshape(4, 5) / 100
    edge = wins & ~binary_erosion(wins, border_value=1)
    assert edge.tolist() == [[False, False, True, False, False]] * 2 + [
        [True, True, True, False, False], [False] * 5,
    ]  # fmt: skip
    expected = logits[0, 1].numpy()[edge].mean()
    assert score(Target(index=1, pixels="boundary"), logits) == pytest.approx([expected])


def test_the_boundary_in_a_volume_has_neighbours_in_all_three_directions():
    generator = torch.Generator().manual_seed(0)
    volume = torch.randn(1, 3, 5, 6, 7, generator=generator)
    wins = volume[0].argmax(dim=0).numpy() == 2
    edge = wins & ~binary_erosion(wins, border_value=1)
    expected = volume[0, 2].numpy()[edge].mean()
    assert score(Target(index=2, pixels="boundary"), volume) == pytest.approx([expected])


def test_a_class_without_a_boundary_says_whether_it_is_nowhere_or_everywhere():
    output = torch.zeros(1, 2, 3, 3)
    output[:, 1] = 1
    for index, reason in ((0, "empty_mask"), (1, "full_mask")):
        fixed = fix(Target(index=index, pixels="boundary"), output, count=1)
        assert fixed.reasons == (reason,)
        assert fixed.score(output, torch.zeros(1, dtype=torch.long)).tolist() == [0.0]


HEADS = {"grade": LOGITS, "age": torch.tensor([61.0, 47.0]), "mask": torch.ones(2, 1, 2, 2)}


def test_a_head_is_picked_by_its_key_or_its_position():
    assert score(Target(output="grade", index=2), HEADS, count=2) == [-1.0, 0.0]
    assert score(Target(output="grade"), HEADS, count=2) == [1.0, 2.0]
    assert score(Target(output="age"), HEADS, count=2) == [61.0, 47.0]
    assert score(Target(output=1), tuple(HEADS.values()), count=2) == [61.0, 47.0]
    assert score(Target(output=0, index=0), list(HEADS.values()), count=2) == [0.0, 2.0]
    assert fix(Target(output="grade"), HEADS, count=2).labels == ("grade: class 1",
                                                                  "grade: class 0")  # fmt: skip


Named = namedtuple("Named", HEADS)
DataClass = make_dataclass("DataClass", HEADS)


@pytest.mark.parametrize("kind", [Named, DataClass])
def test_a_part_of_a_named_tuple_or_a_data_class_is_picked_by_its_name(kind):
    outputs = kind(*HEADS.values())
    assert score(Target(output="grade", index=2), outputs, count=2) == [-1.0, 0.0]
    with pytest.raises(ValueError, match=r"of grade, age, mask; .*Target\(output='grade'.*\.grade"):
        score(0, outputs, count=2)
    with pytest.raises(ValueError, match="output='disc' does not exist"):
        score(Target(output="disc"), outputs, count=2)


def test_samples_may_ask_different_heads_and_callables_of_the_whole_output():
    targets = [Target(output="age"), lambda output: output["grade"][:, 1] + output["age"]]
    assert score(targets, HEADS, count=2) == [61.0, 47.5]


def test_half_precision_is_scored_in_float32():
    halves = {"grade": LOGITS.bfloat16()}
    fixed = fix(Target(output="grade", index=0), halves, count=2)
    assert fixed.score(halves, torch.arange(2)).dtype == torch.float32


def _dense(seed: int = 0) -> Tensor:
    return torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(seed))


def _rows(seed: int = 0) -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def _heads(seed: int = 0) -> dict[str, Tensor]:
    return {"rows": _rows(seed), "dense": _dense(seed)}


def _boxes(seed: int = 0) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(3, 4, 2, generator=generator) * 3
    last = first + 1 + torch.rand(3, 4, 2, generator=generator) * 3
    scores = torch.rand(3, 4, generator=generator)
    labels = torch.tensor([1, 2, 1, 2])
    boxes = torch.cat([first, last], dim=2)
    return [{"boxes": b, "labels": labels, "scores": s} for b, s in zip(boxes, scores, strict=True)]


KINDS = [
    pytest.param(None, _rows, "softmax", id="predicted"),
    pytest.param(2, _rows, "softmax", id="class"),
    pytest.param(Target(index=2, score="probability"), _rows, "softmax", id="probability"),
    pytest.param(Target(index=2, score="log-odds"), _rows, "softmax", id="log-odds"),
    pytest.param(Target(index=2, against=0), _rows, "softmax", id="contrast"),
    pytest.param(Target(index=4, against=0), _rows, "coral", id="contrast of grades"),
    pytest.param(Target(at_least=2), _rows, "softmax", id="grade or more"),
    pytest.param(Target(at_least=2), _rows, "cumulative", id="cumulative"),
    pytest.param(Target(pixels="all"), _rows, "identity", id="mean of a vector"),
    pytest.param(Target(pixels=np.array([True, False, True, False])), _rows, "identity",
                 id="sector of a vector"),
    pytest.param(1, _dense, "softmax", id="predicted pixels"),
    pytest.param(Target(index=1, pixels="boundary"), _dense, "softmax", id="boundary"),
    pytest.param(Target(index=1, pixels=(2, 3)), _dense, "softmax", id="point"),
    pytest.param(Target(index=1, against=2, pixels="all"), _dense, "softmax", id="dense contrast"),
    pytest.param(1, _dense, "identity", id="dense regression"),
    pytest.param(Target(output="dense", index=0), _heads, "softmax", id="a head"),
    pytest.param(Target(index=2), _boxes, "softmax", id="box of a class"),
    pytest.param(Target(box=(0.0, 0.0, 3.0, 3.0)), _boxes, "softmax", id="box given"),
    pytest.param(lambda rows: rows[:, 0] ** 2, _rows, "softmax", id="callable"),
]  # fmt: skip


def alone(output: object, row: int) -> object:
    if isinstance(output, dict):
        return {key: value[row : row + 1] for key, value in output.items()}
    return output[row : row + 1]  # type: ignore[index]


@pytest.mark.parametrize(("target", "make", "head"), KINDS)
def test_a_batch_one_target_each_and_single_images_give_the_same(target, make, head):
    clean, later = make(0), make(1)
    together = fix(target, clean, count=3, head=head)
    each = fix([target] * 3, clean, count=3, head=head)
    for name in ("labels", "indices", "modes", "reasons"):
        assert getattr(each, name) == getattr(together, name)
    order = torch.tensor([2, 0, 1])  # the probes of samples come back in any order
    expected = [
        fix(target, alone(clean, owner), count=1, head=head)
        .score(alone(later, row), torch.zeros(1, dtype=torch.long))
        .item()
        for row, owner in enumerate(order.tolist())
    ]
    assert together.score(later, order).tolist() == pytest.approx(expected, rel=1e-6)
    assert each.score(later, order).tolist() == pytest.approx(expected, rel=1e-6)
    assert len(set(expected)) == 3  # so that an exchange of samples would be seen


GRID = torch.zeros(2, 3, 4, 4)
WRONG = [
    pytest.param(None, LOGITS, "identity", r"gives 3 values.*target=0 to 2.*pixels='all'",
                 id="several values"),
    pytest.param(3, LOGITS, "identity", "value 3 does not exist: the model has 3 values",
                 id="value"),
    pytest.param(Target(index=0, against=3), LOGITS, "softmax", "class 3 does not exist",
                 id="against"),
    pytest.param(Target(index=0, against=1), LOGITS[:, :1], "sigmoid",
                 "class 1 does not exist: the model has a single output", id="single output"),
    pytest.param(Target(at_least=1), LOGITS, "identity", "needs grades.*gives values",
                 id="grade of a regression"),
    pytest.param(Target(at_least=1), LOGITS, "sigmoid", "needs grades.*stand alone",
                 id="grade of labels"),
    pytest.param(Target(at_least=1), GRID, "softmax", "say which class", id="dense grade"),
    pytest.param(Target(index=0, pixels=(1, 1)), LOGITS, "softmax", "no pixels, so leave pixels=",
                 id="pixels of a class"),
    pytest.param(Target(pixels="boundary"), LOGITS, "softmax", "there is no boundary",
                 id="boundary of a vector"),
    pytest.param(Target(index=0, pixels="boundary"), GRID, "identity", "there is no boundary",
                 id="boundary of a regression"),
    pytest.param(Target(pixels=(3,)), LOGITS, "identity", r"pixel \(3,\) lies outside", id="cell"),
    pytest.param(None, GRID, "identity", "say which class", id="dense values"),
    pytest.param(Target(box=(0.0, 0.0, 1.0, 1.0)), LOGITS, "softmax", "box=.* is for detectors",
                 id="box"),
    pytest.param(0, HEADS, "softmax", r"\['grade', 'age', 'mask'\].*Target\(output='grade'",
                 id="heads"),
    pytest.param(0, tuple(HEADS.values()), "softmax", r"a tuple of 3.*Target\(output=0",
                 id="tuple"),
    pytest.param(Target(output="disc"), HEADS, "softmax", "output='disc' does not exist",
                 id="no such head"),
    pytest.param(Target(output=3), list(HEADS.values()), "softmax", "output=3 does not exist",
                 id="no such position"),
    pytest.param(Target(output="age"), tuple(HEADS.values()), "softmax", "a tuple of 3, so",
                 id="key of a tuple"),
    pytest.param(Target(output=0), LOGITS, "softmax", "a single tensor, so", id="one head"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "output", "head", "message"), WRONG)
def test_a_target_that_the_output_does_not_have_says_why(target, output, head, message):
    with pytest.raises(ValueError, match=message):
        score(target, output, head, count=2)


BORN = [
    pytest.param({"against": 1}, "another class.*index is None", id="against nothing"),
    pytest.param({"index": 1, "against": 1}, "another class.*index is 1", id="against itself"),
    pytest.param({"index": 1, "against": -1}, "against must not be negative", id="negative"),
    pytest.param({"score": "logits"}, "score must be one of 'logit'.*but is 'logits'", id="score"),
    pytest.param({"pixels": "edge"}, "pixels must be one of .*'boundary', but is 'edge'",
                 id="pixels"),
    pytest.param({"box": (4.0, 0.0, 2.0, 3.0)}, "last beyond the first", id="box"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), BORN)
def test_what_no_target_can_be_is_refused_at_birth(settings, message, monkeypatch):
    init = getattr(Target.__init__, "__wrapped__", Target.__init__)
    monkeypatch.setattr(Target, "__init__", init)  # users do not run a type checker
    with pytest.raises(ValueError, match=message):
        Target(**settings)
