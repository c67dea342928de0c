"""TCAV: the concepts a class depends on are found, and chance is not."""

import math

import numpy as np
import pytest
import torch
from nets import Convolutional, images
from torch import Tensor, nn

from foveal.core import Score
from foveal.doors import attribute
from foveal.explainers import TCAV, ConceptSet
from foveal.explainers.base import Draw
from foveal.explainers.cav import Training, Trial, holm, two_sided


class Planted(nn.Module):
    """The first logit rises with channel 0 and falls with channel 1; channel 2 does not matter."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.later = nn.Identity(), nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        up, down, *_, other = self.later(self.layer(batch)).mean(dim=(2, 3)).unbind(dim=1)
        score = up - down + 0.05 * up * other.tanh()  # each image has a gradient of its own
        return torch.stack([score, -score], dim=1)


def noise(count: int, seed: int) -> Tensor:
    return torch.randn(count, 16, 2, 2, generator=torch.Generator().manual_seed(seed))


def shifted(count: int, seed: int, channel: int) -> Tensor:
    """Noise with more in one channel: a concept whose direction is known."""
    values = noise(count, seed)
    values[:, channel] += 2
    return values


CONCEPTS = {
    "raises": shifted(20, 1, 0),
    "lowers": shifted(20, 2, 1),
    "beside": shifted(20, 3, 2),
    "nothing": noise(20, 4),
}
SETTINGS = {"random": noise(60, 5), "runs": 8, "random_sets": 99}
BATCH = noise(9, 6)


def scores(batch: Tensor = BATCH, target: int = 0, layers: object = "layer", **settings: object):
    """The Scores of the planted concepts."""
    tcav = TCAV(**{"concepts": CONCEPTS, **SETTINGS, **settings})
    maps = attribute(Planted(), batch, tcav, target=target, layers=layers)
    assert not maps
    return maps.info["tcav"].parts["concepts"]


@pytest.mark.parametrize("pool", ["none", "mean"])
def test_planted_concepts_are_found_with_their_sign(pool):
    found = scores(pool=pool)
    assert (found["raises"].value, found["lowers"].value) == (1, 0)
    assert max(found["raises"].parts["p"], found["lowers"].parts["p"]) < 0.05
    assert found["beside"].parts["p"] > 0.1


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_examples_are_sent_in_the_precision_of_the_images(precision):
    tcav = TCAV(concepts={"bright": images(12, seed=1) + 1}, random=images(30), random_sets=30)
    single, other = (
        attribute(Convolutional().to(kind), images(4).to(kind), tcav, target=1, layers="top")
        for kind in (torch.float32, precision)
    )
    one, same = (made.info["tcav"].parts["concepts"]["bright"] for made in (single, other))
    assert one.value is not None
    assert same.value == pytest.approx(one.value, abs=0.1)


def test_the_other_class_has_the_other_sign():
    found, other = scores(), scores(target=1)
    for name in ("raises", "lowers", "beside"):
        assert other[name].value == 1 - found[name].value
        assert other[name].parts["p"] == found[name].parts["p"]


def test_what_cannot_be_told_from_random_examples_is_no_concept():
    nothing = scores()["nothing"]
    assert (nothing.value, nothing.reason) == (None, "no_concept")
    assert nothing.parts["accuracy"] < 0.7
    assert scores()["raises"].parts["accuracy"] > 0.9


def test_a_score_says_what_it_was_made_from():
    score = scores()["raises"]
    assert isinstance(score, Score)
    assert (score.range, score.chance, len(score.null)) == ((0, 1), 0.5, 99)
    assert score.params["concept"] == "raises"
    assert [score.params[k] for k in ("examples", "concept_examples", "random_examples")] == [
        *(20, 20, 60)
    ]
    assert (score.parts["images"], len(score.parts["runs"])) == (9, 8)
    assert np.mean(score.null) == pytest.approx(0.5, abs=0.1)


def test_sides_are_balanced_where_random_examples_are_few():
    score = scores(random=noise(24, 7))["raises"]
    assert score.params["examples"] == 12


def test_too_few_examples_are_a_reason():
    found = scores(random=noise(18, 8))
    assert {score.reason for score in found.values()} == {"too_few"}


def test_images_without_a_gradient_are_counted_and_left_out():
    class Dead(Planted):
        """Images whose channel 5 is above 100 have a constant score."""

        def forward(self, batch: Tensor) -> Tensor:
            return super().forward(batch) * (batch[:, 5].amax(dim=(1, 2)) < 100)[:, None]

    dead = BATCH.clone()
    dead[:2, 5] = 200
    tcav = TCAV(concepts=CONCEPTS, **SETTINGS)
    parts = attribute(Dead(), dead, tcav, target=0, layers="layer").info["tcav"].parts
    score, living = parts["concepts"]["raises"], scores(BATCH[2:])["raises"]
    assert (score.parts["images"], score.parts["images_without_gradient"]) == (7, 2)
    assert (score.value, score.null) == (living.value, living.null)
    dead[:, 5] = 200
    nobody = attribute(Dead(), dead, tcav, target=0, layers="layer").info["tcav"].parts
    assert nobody["concepts"]["raises"].reason == "too_few"


def test_a_cav_is_the_ridge_regression_of_the_two_sides():
    """Against the primal normal equations, in the space of the activations."""
    points = noise(40, 9).flatten(1).double()
    points = points - points.mean(dim=0)
    own, pool = torch.arange(12), torch.arange(12, 40)
    training = Training(draw=Draw(3), runs=2, ridge=0.5)
    vectors = training.concept(points @ points.T, own, pool)
    for weights in vectors.weights:
        taught = weights.nonzero().flatten()
        sides = torch.where(taught < 12, 1.0, -1.0).double()
        assert sides.sum() == 0
        centred = points[taught] - points[taught].mean(dim=0)
        penalty = 0.5 * (centred**2).sum(dim=1).mean()
        normal = torch.linalg.solve(
            centred.T @ centred + penalty * torch.eye(64, dtype=torch.float64), centred.T @ sides
        )
        torch.testing.assert_close(weights @ points, normal / normal.norm())


def test_derivatives_are_those_along_the_cav():
    """By finite differences of the score, for a single run with a known CAV."""
    tcav = TCAV(concepts=CONCEPTS, **{**SETTINGS, "runs": 1})
    maps = attribute(Planted(), BATCH, tcav, target=0, layers="layer")
    examples = torch.cat([*CONCEPTS.values(), SETTINGS["random"]]).flatten(1).double()
    points = examples - examples.mean(dim=0)
    training = Training(draw=Draw(0), runs=1, ridge=1.0)
    vectors = training.concept(points @ points.T, torch.arange(20), torch.arange(80, 140))
    step = 1e-4 * (vectors.weights @ points).reshape(1, 16, 2, 2)
    model, batch = Planted(), BATCH.double()
    change = (model(batch + step) - model(batch - step))[:, 0] / 2e-4
    derivative = maps.info["tcav"].parts["derivatives"]["raises"]
    torch.testing.assert_close(derivative.double(), change, rtol=1e-4, atol=1e-6)


def test_images_count_the_same_alone_together_and_in_any_order():
    together = attribute(Planted(), BATCH, TCAV(concepts=CONCEPTS, **SETTINGS), target=0,
                         layers="layer").info["tcav"].parts  # fmt: skip
    few = TCAV(concepts={"beside": CONCEPTS["beside"]}, **{**SETTINGS, "random_sets": 30})
    single = [
        attribute(Planted(), BATCH[row : row + 1], few, target=0, layers="layer")
        .info["tcav"]
        .parts["derivatives"]["beside"]
        for row in range(len(BATCH))
    ]
    torch.testing.assert_close(torch.cat(single), together["derivatives"]["beside"])
    turned = scores(BATCH.flip(0))
    for name, score in together["concepts"].items():
        assert turned[name].value == score.value
        assert turned[name].null == pytest.approx(score.null)


def test_chunks_concepts_and_layers_beside_it_change_no_score():
    everything = scores(layers=["layer", "later"])
    assert set(everything) == {f"{c}@{layer}" for c in CONCEPTS for layer in ("layer", "later")}
    alone = scores(concepts={"raises": CONCEPTS["raises"]})["raises"]
    assert everything["raises@layer"].null == alone.null
    assert everything["raises@layer"].value == alone.value
    assert everything["raises@layer"].parts["p_holm"] == 8 * alone.parts["p"]
    chunked = attribute(Planted(), BATCH, TCAV(concepts=CONCEPTS, **SETTINGS), target=0,
                        layers="layer", max_batch=2).info["tcav"].parts["concepts"]  # fmt: skip
    for name, score in scores().items():
        assert chunked[name].null == pytest.approx(score.null)


def test_it_shares_the_pass_with_methods_that_give_maps():
    model = Convolutional()
    tcav = TCAV(concepts={"bright": images(12) / 2 + 0.5}, random=images(24, seed=8), runs=2)
    both = attribute(model, images(2), ["gradcam", tcav], target=1, layers="top")
    assert list(both) == ["gradcam"]
    assert sum(model.count.forwards) == 2 + 36
    alone = attribute(Convolutional(), images(2), "gradcam", target=1, layers="top")
    torch.testing.assert_close(both["gradcam"], alone["gradcam"])
    assert list(both.info["tcav"].parts["concepts"]) == ["bright"]


def test_about_one_random_concept_in_twenty_is_significant():
    """Under exchangeability the test's level is exact: of 300 tests at 5 %, 4 to 27 (binomial,
    one chance in ten thousand to be outside). The gradient is one for all images, as behind a
    linear head, where the scores themselves are 0 or 1."""
    direction = torch.linspace(-1, 1, 12).double()
    own, pool = torch.arange(10), torch.arange(10, 40)
    significant = 0
    for seed in range(300):
        points = torch.randn(40, 12, generator=torch.Generator().manual_seed(seed)).double()
        points = points - points.mean(dim=0)
        gram, slopes = points @ points.T, (points @ direction).unsqueeze(0)
        training = Training(draw=Draw(seed), runs=3, ridge=1.0)
        trial = Trial(slopes @ training.concept(gram, own, pool).weights.T)
        null = [Trial(slopes @ v.weights.T) for v in training.random(gram, 10, pool, 39)]
        significant += two_sided(trial, null) <= 0.05
    assert 4 <= significant <= 27


def test_the_chance_is_the_rank_on_the_nearer_side_doubled():
    def trial(*derivatives: float) -> Trial:
        return Trial(torch.tensor(derivatives).float().unsqueeze(1))

    null = [trial(1, 1), trial(1, -1), trial(-1, -1), trial(2, 2)]
    # (1.5, 1.5) ties in score with (1, 1) and (2, 2), and lies between them by its mean.
    assert two_sided(trial(1.5, 1.5), null) == pytest.approx(2 * 2 / 5)
    assert two_sided(trial(3, 3), null) == pytest.approx(2 * 1 / 5)
    assert two_sided(trial(-3, -3), null) == pytest.approx(2 * 1 / 5)
    assert two_sided(trial(1, -1), null) == 1


def test_holm_steps_down():
    # Ordered .01, .02, .03, .04: 4 * .01, 3 * .02, 2 * .03, and not below the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


WRONG = [
    pytest.param({"concepts": {}}, "by name", id="no concept"),
    pytest.param({"concepts": {"a": noise(9, 0)}}, "random=images", id="no random examples"),
    pytest.param({"random_sets": 29}, "at least 30", id="few random sets"),
    pytest.param({"runs": 0}, "runs must be at least 1", id="no run"),
    pytest.param({"ridge": 0.0}, "ridge must be positive", id="no penalty"),
    pytest.param({"least_accuracy": 1.0}, "least_accuracy", id="accuracy out of reach"),
    pytest.param({"concepts": {"a": noise(9, 0)[0]}}, "(example, channel", id="one image"),
    pytest.param({"random": noise(9, 0) / 0}, "finite", id="not finite"),
    pytest.param({"random": torch.rand(9, 16, 3, 3)}, "random ones", id="another size"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_say_what_to_do(settings, message):
    given = {"concepts": CONCEPTS, "random": None if message == "random=images" else noise(60, 5)}
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        TCAV(**{**given, **settings})


def test_a_bare_name_says_which_object_to_pass():
    with pytest.raises(ValueError, match=r"foveal\.explainers\.TCAV\(concepts=\.\.\.\)"):
        attribute(Planted(), BATCH, "tcav")


def test_examples_of_another_size_need_a_mean_over_places():
    large = {name: torch.cat([one, one], dim=3) for name, one in CONCEPTS.items()}
    random = torch.cat([SETTINGS["random"]] * 2, dim=3)
    with pytest.raises(ValueError, match='pool="mean"'):
        scores(concepts=large, random=random)
    found = scores(concepts=large, random=random, pool="mean")
    assert found["raises"].value == 1
    assert found["raises"].null == pytest.approx(scores(pool="mean")["raises"].null)


def test_a_concept_may_bring_its_own_random_examples():
    own = ConceptSet(CONCEPTS["raises"], SETTINGS["random"])
    (alone,) = scores(concepts={"raises": own}, random=None).values()
    assert alone.null == scores()["raises"].null


def test_settings_count_examples():
    settings = TCAV(concepts=CONCEPTS, **SETTINGS).settings
    assert settings["concepts"] == dict.fromkeys(CONCEPTS, 20)
    assert settings["random"] == dict.fromkeys(CONCEPTS, 60)
    assert not any(isinstance(value, Tensor) for value in settings.values())
    assert math.isclose(settings["ridge"], 1.0)
