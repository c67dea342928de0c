"""LIME and KernelSHAP: coefficients that are known, and the parts of the image they belong to."""

from itertools import permutations
from math import exp, sqrt

import numpy as np
import pytest
import torch
from nets import Convolutional, images
from torch import Tensor, nn

from foveal.core import Region
from foveal.doors import attribute
from foveal.explainers import LIME, Frame, KernelSHAP
from foveal.explainers.base import Draw
from foveal.explainers.engine import Request, Task, explain_batch
from foveal.explainers.superpixels import label_image, superpixels
from foveal.explainers.watching import Network

QUARTERS = torch.zeros(8, 8, dtype=torch.long)
QUARTERS[:4, 4:], QUARTERS[4:, :4], QUARTERS[4:, 4:] = 1, 2, 3
STRIPES = torch.arange(10).div(2, rounding_mode="floor").expand(8, 10)
"""Five segments, two columns each."""


class OfMeans(nn.Module):
    """One logit: a function of the means over the segments."""

    def __init__(self, labels: Tensor, function: object) -> None:
        super().__init__()
        self.register_buffer("labels", labels)
        self.function = function

    def means(self, batch: Tensor) -> Tensor:
        numbers = range(int(self.labels.max()) + 1)
        return torch.stack([batch[..., self.labels == n].mean(dim=(1, 2)) for n in numbers], 1)

    def forward(self, batch: Tensor) -> Tensor:
        return self.function(self.means(batch))[:, None]


def linear(means: Tensor) -> Tensor:
    return means @ torch.tensor([2.0, -1.0, 0.5, 3.0]) + 0.25


def crowded(means: Tensor) -> Tensor:
    """Segments that matter only together, and one that matters against another."""
    return (means[:, 0] * means[:, 1] - means[:, 2] * means[:, 3]).exp() + means[:, 4] ** 2


@pytest.mark.parametrize(
    "method",
    [
        LIME(segments=QUARTERS, ridge=0.0, samples=40, score="logit"),
        KernelSHAP(segments=QUARTERS),
        KernelSHAP(segments=QUARTERS, samples=10),
    ],
    ids=["lime", "all coalitions", "drawn coalitions"],
)
def test_a_score_linear_in_the_means_of_the_segments_gives_its_coefficients(method):
    model, batch = OfMeans(QUARTERS, linear), images(2, side=8)
    maps = attribute(model, batch, method)
    parts = maps.info[method.name].parts
    # Hiding with 0 takes away weight times mean.
    expected = model.means(batch) * torch.tensor([2.0, -1.0, 0.5, 3.0])
    torch.testing.assert_close(parts["coefficients"], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(parts["intercept"], torch.tensor([0.25, 0.25]), rtol=0, atol=1e-5)
    torch.testing.assert_close(parts["r2"], torch.ones(2))
    assert torch.equal(parts["segments"], QUARTERS.expand(2, 8, 8))
    torch.testing.assert_close(maps[method.name][:, 0, 7], expected[:, 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(maps[method.name][:, 7, 0], expected[:, 2], rtol=0, atol=1e-5)


def test_lime_equals_its_slow_twin():
    """Equation 2 of the paper with cosine distance and ridge, by the normal equations."""
    model, batch = OfMeans(STRIPES, crowded), images(1, side=10)[:, :, :8]
    method = LIME(segments=STRIPES, samples=60, score="logit", width=0.3, ridge=2.0)
    parts = attribute(model, batch, method, seed=7).info["lime"].parts
    rows = [torch.ones(5), *(Draw(7).uniform(0, (60, 5)) < 0.5).float()]
    design, scores, weights = [], [], []
    for present in rows:
        shown = batch * present[STRIPES]
        scores.append(float(model(shown)))
        cosine = float(present.sum()) / (sqrt(5) * sqrt(float((present**2).sum()) or 1.0))
        weights.append(exp(-(((1 - cosine) / 0.3) ** 2)))
        design.append([*present.tolist(), 1.0])
    a, y, w = np.array(design), np.array(scores), np.array(weights)
    penalty = np.diag([2.0] * 5 + [0.0])
    solution = np.linalg.solve(a.T @ (w[:, None] * a) + penalty, a.T @ (w * y))
    np.testing.assert_allclose(parts["coefficients"][0], solution[:5], atol=1e-5)
    np.testing.assert_allclose(parts["intercept"], solution[5:], atol=1e-5)
    mean = (w * y).sum() / w.sum()
    r2 = 1 - (w * (y - a @ solution) ** 2).sum() / (w * (y - mean) ** 2).sum()
    assert 0.2 < r2 < 0.99
    np.testing.assert_allclose(parts["r2"], r2, atol=1e-5)


def _shapley(value: object, players: int) -> list[float]:
    """The mean gain of each player over all orders of coming."""
    gains = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        present = torch.zeros(players, dtype=torch.bool)
        for player in order:
            before = value(present)
            present[player] = True
            gains[player] += value(present) - before
    return gains / len(orders)


def test_all_coalitions_give_the_exact_shapley_values():
    model, batch = OfMeans(STRIPES, crowded), images(2, side=10)[:, :, :8]
    maps = attribute(model, batch, KernelSHAP(segments=STRIPES, fill=0.3))
    parts, cost = maps.info["kernelshap"].parts, maps.info["kernelshap"].cost
    assert cost["forward"] == 2 * (2**5 - 1)
    for row, image in enumerate(batch):
        expected = _shapley(
            lambda present, image=image: float(
                model(torch.where(present[STRIPES], image, 0.3)[None])
            ),
            5,
        )
        np.testing.assert_allclose(parts["coefficients"][row], expected, atol=1e-5)
    assert bool((parts["r2"] < 0.999).all())


def test_the_values_sum_to_the_change_of_the_score_also_when_coalitions_are_drawn():
    model, batch = Convolutional(), images(2)
    parts = attribute(model, batch, KernelSHAP(superpixels=12, samples=30), target=1).info
    shap, scores = parts["kernelshap"].parts, parts["kernelshap"].scores
    nobody = model.eval()(torch.zeros_like(batch))[:, 1].detach()
    torch.testing.assert_close(shap["intercept"], nobody)
    total = shap["coefficients"].nan_to_num().sum(dim=1)
    torch.testing.assert_close(total, scores - nobody, rtol=0, atol=1e-4)


def test_drawn_coalitions_come_close_to_all_and_closer_with_more():
    model, batch = Convolutional(), images(1)
    labels = torch.arange(24 * 24).reshape(24, 24) // 52  # twelve bands
    few, many, every = (
        attribute(model, batch, KernelSHAP(segments=labels, samples=n), target=1, seed=1)
        .info["kernelshap"]
        .parts
        for n in (60, 1500, 4094)
    )
    exact = every["coefficients"]
    away = [float((part["coefficients"] - exact).norm() / exact.norm()) for part in (few, many)]
    assert away[1] < 0.05
    assert away[1] < away[0]
    assert float(few["stability"]) < float(every["stability"]) == 1


def test_drawn_coalitions_come_in_pairs_whose_sizes_follow_the_kernel():
    method = KernelSHAP(samples=4000)
    table = method._coalitions(14, Draw(3))
    assert table.shape == (4000, 14)
    assert torch.equal(table[::2], ~table[1::2])
    sizes = np.bincount(table.sum(dim=1), minlength=15)
    assert sizes[0] == sizes[14] == 0
    kernel = np.array([1 / (s * (14 - s)) for s in range(1, 14)])
    np.testing.assert_allclose(sizes[1:14] / 4000, kernel / kernel.sum(), atol=0.02)


def test_lime_explains_the_probability_of_a_class_unless_told_otherwise():
    model, batch = Convolutional(), images(1)
    logits = model.eval()(batch).detach()
    assert float(attribute(model, batch, LIME(samples=4), target=2).info["lime"].scores) == (
        pytest.approx(float(logits.softmax(dim=1)[0, 2]))
    )
    by_logit = attribute(model, batch, LIME(samples=4, score="logit"), target=2)
    assert float(by_logit.info["lime"].scores) == pytest.approx(float(logits[0, 2]))


@pytest.mark.parametrize("name", ["lime", "kernelshap"])
def test_a_constant_score_gives_a_zero_map_without_an_r2(name):
    class Constant(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return batch.new_full((len(batch), 1), 0.3)

    info = attribute(Constant(), images(1), name).info[name]
    assert info.reasons == ("zero_map",)
    assert bool(info.parts["r2"].isnan().all())


@pytest.mark.parametrize("name", ["lime", "kernelshap"])
def test_scores_that_are_not_finite_give_no_map_but_its_reason(name):
    class Broken(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return batch.mean(dim=(1, 2, 3)).sub(0.4).sqrt()[:, None]

    maps = attribute(Broken(), images(1), name)
    assert maps.info[name].reasons == ("nan_map",)
    assert not maps[name].any()


METHODS = [
    pytest.param(LIME(samples=30, superpixels=9), id="lime"),
    pytest.param(KernelSHAP(samples=30, superpixels=9), id="kernelshap"),
]


@pytest.mark.parametrize("method", METHODS)
def test_parts_of_a_batch_are_those_of_its_images_whatever_the_bound(method):
    model, batch = Convolutional().double(), images(3).double()
    batch[1] = batch[1].mean()  # a flat image gets another number of superpixels
    together, alone = (
        attribute(model, batch, method, target=1, max_batch=bound).info[method.name].parts
        for bound in (16, 1)
    )
    assert bool(together["coefficients"].isnan().any())
    for name, part in together.items():
        torch.testing.assert_close(part, alone[name], equal_nan=True)
    one = attribute(model, batch[1:2], method, target=1).info[method.name].parts["coefficients"]
    own = together["coefficients"][1]
    torch.testing.assert_close(own[: one.shape[1]], one[0])
    assert bool(own[one.shape[1] :].isnan().all())


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_draws_other_samples(method):
    model, batch = Convolutional(), images(1)
    one, same, other = (
        attribute(model, batch, method, target=1, seed=seed)[method.name] for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_outside_the_field_is_hidden_or_coloured(method):
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    field = ((rows - 12) ** 2 + (columns - 12) ** 2 < 81)[None]
    seen: list[Tensor] = []

    def forward(batch: Tensor) -> Tensor:
        seen.append(batch[:, :, ~field[0]])
        return batch.mean(dim=(2, 3))

    batch = images(1)
    frame = Frame(display=True, field=field)
    outcome = explain_batch(
        Network(forward=forward, module=None),
        batch,
        {"it": Task(explainer=method)},
        Request(target=0, frame=frame),
    )["it"]
    outside = torch.cat(seen)
    assert torch.equal(outside, batch[:, :, ~field[0]].expand_as(outside))
    assert not outcome.maps[~field].any()
    assert int(outcome.parts["segments"].max()) > 3
    assert torch.equal(outcome.parts["segments"] == -1, ~field)


def _multimodal(method: object, *beside: Tensor) -> dict[str, object]:
    """score = the four quarters' weighted means + .1 age - sex + the mean of a second image."""

    def forward(image: Tensor, age: Tensor, second: Tensor, facts: Tensor) -> Tensor:
        quarters = linear(OfMeans(QUARTERS, linear).means(image))
        return (quarters + 0.1 * age[:, 0] + second.mean(dim=(1, 2, 3)) - facts[:, 1])[:, None]

    outcome = explain_batch(
        Network(forward=forward, module=None),
        images(2, side=8),
        {"it": Task(explainer=method)},
        Request(beside=beside, max_batch=3),
    )["it"]
    return dict(outcome.parts)


BESIDE = (
    torch.tensor([[70.0], [40.0]]),  # age
    images(2, side=4, seed=9),  # another image, which stays
    torch.tensor([[5.0, 1.0], [6.0, 0.0]]),  # something the score ignores, and sex
)


@pytest.mark.parametrize(
    "method",
    [LIME(segments=QUARTERS, ridge=0.0, samples=60, tabular=[60, 0, 0.5], score="logit"),
     KernelSHAP(segments=QUARTERS, tabular=torch.tensor([60, 0, 0.5]))],
    ids=["lime", "kernelshap"],
)  # fmt: skip
def test_features_beside_the_image_get_a_coefficient_against_their_reference(method):
    parts = _multimodal(method, *BESIDE)
    # .1 (age - 60), nothing, -(sex - .5)
    expected = torch.tensor([[1.0, 0.0, -0.5], [-2.0, 0.0, 0.5]])
    torch.testing.assert_close(parts["tabular"], expected, rtol=0, atol=1e-5)
    image = OfMeans(QUARTERS, linear).means(images(2, side=8))
    torch.testing.assert_close(
        parts["coefficients"], image * torch.tensor([2, -1, 0.5, 3]), rtol=0, atol=1e-5
    )


def test_inputs_beside_the_image_stay_where_no_reference_is_given():
    parts = _multimodal(KernelSHAP(segments=QUARTERS), *BESIDE)
    assert "tabular" not in parts
    stays = 0.25 + 0.1 * BESIDE[0][:, 0] + BESIDE[1].mean(dim=(1, 2, 3)) - BESIDE[2][:, 1]
    torch.testing.assert_close(parts["intercept"], stays, rtol=0, atol=1e-5)


def test_another_number_of_references_than_features_is_refused():
    with pytest.raises(ValueError, match=r"2 references, but the model is given 3 features"):
        _multimodal(LIME(tabular=[60, 0]), *BESIDE)
    with pytest.raises(ValueError, match="0 features"):
        attribute(Convolutional(), images(1), LIME(tabular=[60]))


def _square(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((6, 6), bool)
    mask[start:stop, start:stop] = True
    return mask


def test_a_pixel_belongs_to_the_first_mask_that_has_it_and_what_is_in_none_is_the_rest():
    disc, macula = Region(name="disc", mask=_square(0, 2)), torch.from_numpy(_square(1, 4))
    labels = label_image([disc, macula])
    assert labels[1, 1] == 0
    assert labels[1, 2] == 1
    assert labels[0, 2] == labels[5, 5] == 2
    assert labels.flatten().bincount().tolist() == [4, 8, 24]
    assert torch.equal(label_image(torch.from_numpy(np.stack([_square(0, 6)]))), torch.zeros(6, 6))


def test_numbers_of_a_label_image_need_not_follow_each_other_and_negative_ones_stay():
    labels = torch.tensor([[[-1, 7], [3, 3]], [[2, 2], [2, 5]]])
    parts = superpixels(labels, 10, torch.rand(2, 3, 2, 2), Frame())
    assert parts.labels.tolist() == [[[-1, 1], [0, 0]], [[0, 0], [0, 1]]]
    assert parts.counts == (2, 2)


def test_each_image_may_have_its_own_segments_also_in_parts_of_the_batch():
    own = torch.stack([QUARTERS, QUARTERS.T, QUARTERS.clamp(max=1)])
    batch, model = images(3, side=8), Convolutional()
    bounded = attribute(model, batch, KernelSHAP(segments=own), target=0, max_batch=1)
    for row in range(3):
        alone = attribute(model, batch[row : row + 1], KernelSHAP(segments=own[row]), target=0)
        torch.testing.assert_close(bounded["kernelshap"][row : row + 1], alone["kernelshap"])


def test_a_single_segment_gets_all_of_the_change():
    model, batch = OfMeans(QUARTERS, linear), images(1, side=8)
    everything = torch.zeros(8, 8, dtype=torch.long)
    maps = attribute(model, batch, KernelSHAP(segments=everything))
    change = model(batch) - 0.25
    torch.testing.assert_close(maps["kernelshap"], change.expand(1, 8, 8))


def test_superpixels_of_a_volume_are_supervoxels():
    volume = torch.zeros(1, 1, 6, 8, 8)
    volume[:, :, 3:] = 1.0
    labels = superpixels(None, 8, volume, Frame()).labels[0]
    assert int(labels.max()) > 0
    assert not set(labels[:3].unique().tolist()) & set(labels[3:].unique().tolist())


REFUSED = [
    (LIME, {"superpixels": 0}, ValueError, "superpixels must be at least 1"),
    (LIME, {"samples": True}, TypeError, "samples must be a whole number"),
    (LIME, {"width": 0.0}, ValueError, "width must be above 0"),
    (LIME, {"ridge": -1.0}, ValueError, "ridge must not be negative"),
    (LIME, {"groups": 9, "samples": 8}, ValueError, "9 groups were asked of 8 samples"),
    (KernelSHAP, {"segments": []}, ValueError, "at least one mask"),
    (KernelSHAP, {"segments": torch.rand(4, 4)}, TypeError, "whole numbers"),
    (KernelSHAP, {"segments": [np.ones((4, 4))]}, TypeError, "boolean array"),
    (
        LIME,
        {"segments": [np.ones((4, 4), bool), np.ones((5, 4), bool)]},
        ValueError,
        "must have one grid",
    ),
    (LIME, {"segments": [_square(0, 4), _square(1, 3)]}, ValueError, "mask 1 has no pixel"),
    (LIME, {"tabular": torch.zeros(2, 2)}, ValueError, "one finite number for each feature"),
    (LIME, {"tabular": [float("nan")]}, ValueError, "finite"),
]


@pytest.mark.parametrize(
    ("cls", "settings", "error", "match"), REFUSED, ids=[r[3].split()[0] for r in REFUSED]
)
def test_settings_that_make_no_sense_are_refused(cls, settings, error, match):
    with pytest.raises(error, match=match):
        cls(**settings)


def test_segments_of_another_grid_or_without_a_part_are_refused():
    with pytest.raises(ValueError, match=r"do not fit 1 images of \(24, 24\)"):
        attribute(Convolutional(), images(1), LIME(segments=QUARTERS))
    with pytest.raises(ValueError, match="all are negative"):
        attribute(Convolutional(), images(1), LIME(segments=torch.full((24, 24), -1)))
