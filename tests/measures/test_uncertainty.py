"""Entropy and margin worked out by hand; dropout with known moments, counted and given back."""

from math import log

import numpy as np
import pytest
import scipy
import torch
from nets import Counting
from torch import nn

from foveal.core import ModelError
from foveal.measures import deep_ensemble, entropy, margin, mc_dropout, mi, msp

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Dropping(nn.Module):
    """Convolution, batch norm, in-place activation, two dropouts, all counted."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before = nn.Sequential(Counting(), nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))
        self.act = nn.ReLU(inplace=True)
        self.twice = nn.Linear(6, 6)
        self.drop = nn.Dropout(0.5)
        self.after = nn.Sequential(Counting(), nn.Dropout(0.2), nn.Linear(6, 3))

    def forward(self, images):
        features = self.before(images)
        self.act(features)  # what it returns is not looked at
        features = features.mean(dim=(2, 3))
        features += self.twice(features)
        # A layer that is called before and after the dropout gives what it knows only once.
        return self.after(self.twice(self.drop(features)))


class Coin(nn.Module):
    """Logit difference 2 x with x of one pixel kept or dropped: p = 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, images):
        kept = self.drop(images.flatten(1)[:, :1])
        return torch.cat([torch.zeros_like(kept), kept], dim=1)


@pytest.mark.parametrize(
    ("chances", "expected"),
    [
        ([1.0, 0.0, 0.0], (0.0, 1.0, 1.0)),
        ([0.25] * 4, (1.0, 0.0, 0.25)),
        ([0.5, 0.25, 0.25], (1.5 * log(2) / log(3), 0.25, 0.5)),
        ([0.2], (scipy.stats.entropy([0.2, 0.8], base=2), 0.6, 0.8)),
    ],
    ids=["sure", "undecided", "three", "single-logit"],
)
def test_entropy_margin_and_highest_probability_are_as_by_hand(chances, expected):
    given = np.array(chances)
    found = entropy(given).value, margin(given).value, msp(given).value
    assert found == pytest.approx(expected)


def test_mutual_information_is_ln_2_when_two_versions_are_sure_of_different_classes():
    score = mi(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert score.value == pytest.approx(log(2))
    assert score.parts["total"] == pytest.approx(log(2))
    assert score.parts["aleatoric"] == 0
    assert score.parts["variance"] == pytest.approx([0.25, 0.25])


def test_mutual_information_is_nothing_when_all_agree_however_undecided():
    score = mi(np.array([[0.4, 0.6]] * 5))
    assert score.value == 0
    assert score.parts["aleatoric"] == pytest.approx(score.parts["total"])


def test_one_version_cannot_disagree_and_what_is_no_number_has_no_entropy():
    assert mi(np.array([[0.4, 0.6]])).reason == "too_few"
    assert mi(np.array([[0.4, 0.6], [np.nan, 1.0]])).reason == "nan_map"
    assert entropy(np.array([np.nan, 0.5])).reason == "nan_map"


def test_labels_that_are_no_distribution_are_refused():
    with pytest.raises(ValueError, match="labels of a multilabel model one by one"):
        entropy(np.array([0.9, 0.8, 0.7]))


def test_dropout_passes_have_the_moments_of_the_coin_they_throw():
    image = torch.full((1, 1), 1.5)
    found = mc_dropout(Coin(), image, passes=4000).probabilities[:, 0, 1]
    # The pixel is dropped, or kept and doubled: sigmoid(0) or sigmoid(3), each half of the time.
    high = 1 / (1 + np.exp(-3))
    assert set(np.round(found, 6)) == {0.5, round(high, 6)}
    assert np.mean(found) == pytest.approx((0.5 + high) / 2, abs=0.015)
    assert np.var(found) == pytest.approx(((high - 0.5) / 2) ** 2, rel=0.01)


def test_what_comes_before_the_first_dropout_runs_once_an_image():
    model = Dropping()
    found = mc_dropout(model, IMAGES, passes=30, max_batch=8)
    assert model.before[0].forwards == [1, 1]
    assert model.after[0].forwards == [8, 8, 8, 6] * 2
    assert found.computed_once == ("before", "twice")
    assert found.probabilities.shape == (30, 2, 3)


def test_the_shared_prefix_changes_nothing():
    model = Dropping()
    found = mc_dropout(model, IMAGES, passes=6, seed=5, max_batch=6)
    slow = []
    for image in IMAGES.split(1):
        model.eval()
        for part in (model.drop, model.after[1]):
            part.train()
        torch.manual_seed(5)
        with torch.no_grad():
            slow.append(model(image.expand(6, -1, -1, -1)).softmax(dim=1))
    np.testing.assert_allclose(found.probabilities, torch.stack(slow, dim=1), atol=1e-6)


def test_dropout_is_seeded_and_does_not_depend_on_the_other_images():
    model = Dropping()
    both = mc_dropout(model, IMAGES, passes=4).probabilities
    alone = mc_dropout(model, IMAGES[1:], passes=4).probabilities
    np.testing.assert_array_equal(both[:, 1:], alone)
    assert not np.array_equal(both, mc_dropout(model, IMAGES, passes=4, seed=1).probabilities)
    assert both.std(axis=0).min() > 0


def test_the_model_is_given_back_untouched_also_after_an_exception():
    model = Dropping().train()
    model.drop.eval()
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    torch.manual_seed(3)
    state = torch.get_rng_state()

    def untouched():
        modes = [part.training for part in model.modules()]
        assert modes == [part is not model.drop for part in model.modules()]
        assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
        assert all(p.requires_grad for p in model.parameters())
        assert torch.equal(torch.get_rng_state(), state)
        for part in model.modules():
            assert "forward" not in vars(part)
            assert not part._forward_hooks
            assert not part._forward_pre_hooks

    mc_dropout(model, IMAGES, passes=2)
    untouched()
    model.after[2].forward = None  # breaks after the dropout
    with pytest.raises(TypeError):
        mc_dropout(model, IMAGES, passes=2)
    del model.after[2].forward
    untouched()


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(192, 3)),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.0), nn.Linear(192, 3)),
    ],
    ids=["none", "never-drops"],
)
def test_a_model_without_dropout_is_refused_with_what_to_do(model):
    with pytest.raises(ModelError, match="compare several trained models instead"):
        mc_dropout(model, IMAGES)


def test_an_ensemble_asks_each_model_once():
    models = [nn.Sequential(Counting(), nn.Flatten(), nn.Linear(192, 3)) for _ in range(5)]
    found = deep_ensemble(models, IMAGES)
    assert [model[0].forwards for model in models] == [[2]] * 5
    expected = np.stack([model(IMAGES).softmax(dim=1).detach().numpy() for model in models])
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert mi(found.probabilities[:, 0]).value > 0


def test_models_of_other_classes_are_no_ensemble():
    models = [nn.Sequential(nn.Flatten(), nn.Linear(192, classes)) for classes in (3, 4)]
    with pytest.raises(ValueError, match="different shapes"):
        deep_ensemble(models, IMAGES)


def test_grades_of_a_cumulative_head_that_contradict_each_other_stay_a_distribution():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor([-2.0, 2.0]))  # P(>= 1) = 0.12 but P(>= 2) = 0.88
    found = deep_ensemble([model, model], IMAGES, head="cumulative").probabilities
    np.testing.assert_allclose(found.sum(axis=2), 1)
