"""Sanity checks: the model comes back, ruined models are told, and the verdict by patients."""

import numpy as np
import pytest
import torch
from nets import Convolutional, Transformer
from scipy.stats import mannwhitneyu, spearmanr
from torch import nn

import foveal
from foveal.measures import data_randomisation, mprt, random_logit
from foveal.measures.reinitialise import kept, reinitialise, running_order, stages_of
from foveal.measures.sanity import verdict

IMAGES = torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def gradients(model):
    """The gradient at the input, which every layer of the model has a hand in."""
    return lambda batch: foveal.attribute(model, batch, "saliency", target=1)["saliency"]


def edges(batch):
    """An explainer that never asks the model."""
    return batch.mean(dim=1).diff(dim=1, prepend=batch.mean(dim=1)[:, :1])


def state_of(model):
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = {name: part.training for name, part in model.named_modules()}
    return tensors, flags, [p.requires_grad for p in model.parameters()]


def same_state(one, other):
    assert one[1:] == other[1:]
    return all(torch.equal(one[0][name], other[0][name]) for name in one[0])


def test_the_model_comes_back_bit_for_bit():
    model = Convolutional().train()
    before, random = state_of(model), torch.random.get_rng_state()
    asked = list(model.parameters())
    for mode in ("cascading", "independent"):
        mprt(gradients(model), IMAGES, model=model, mode=mode, forward=model)
    assert same_state(before, state_of(model))
    assert all(a is b for a, b in zip(asked, model.parameters(), strict=True))
    assert torch.equal(random, torch.random.get_rng_state())


def test_the_model_comes_back_after_an_exception():
    model = Convolutional()
    before = state_of(model)
    calls: list[int] = []

    def explain(batch):
        calls.append(len(batch))
        if len(calls) == 4:
            raise RuntimeError("in the middle")
        return gradients(model)(batch)

    with pytest.raises(RuntimeError, match="in the middle"):
        mprt(explain, IMAGES, model=model)
    assert same_state(before, state_of(model))
    assert not any(part._forward_pre_hooks for part in model.modules())


def test_explanations_are_one_and_one_for_each_stage_and_seed():
    model = Convolutional()
    sizes: list[int] = []

    def explain(batch):
        sizes.append(len(batch))
        return gradients(model)(batch)

    score = mprt(explain, IMAGES[0], model=model, stages=3, seeds=4)
    assert len(score.parts["stages"]) == 3
    assert sizes == [1] * (1 + 3 * 4)
    assert model.count.backwards == 1 + 3 * 4


def test_layers_are_ruined_from_the_top_in_running_order_with_their_norms():
    model = Convolutional()
    with running_order(model) as order:
        model(IMAGES)
    assert order == ["stem", "norm", "body.0", "body.2", "head"]
    assert stages_of(model, order, 10) == [("head",), ("body.2",), ("body.0",), ("stem", "norm")]
    assert stages_of(model, order, 2) == [("body.2", "head"), ("stem", "norm", "body.0")]


def test_a_projection_that_attention_uses_itself_goes_with_it():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.unused = nn.Linear(2, 2)

        def forward(self, tokens):
            return self.attention(tokens, tokens, tokens)[0]

    model = Attending()
    with running_order(model) as order:
        model(torch.rand(1, 3, 4))
    assert stages_of(model, order, 10) == [("attention", "attention.out_proj")]


def test_every_layer_gets_fresh_weights_by_its_own_initialiser():
    model = Convolutional()
    with torch.no_grad():
        model.norm.weight.fill_(3)
        model.norm.bias.fill_(2)
    statistics = model.norm.running_mean.clone()
    with kept(model):
        torch.manual_seed(5)
        assert reinitialise(model, ("head", "norm")) == []
        torch.manual_seed(5)
        expected = nn.Linear(10, 4)
        assert torch.equal(model.head.weight, expected.weight)
        assert torch.equal(model.norm.weight, torch.ones(6))
        assert torch.equal(model.norm.bias, torch.zeros(6))
        assert torch.equal(model.norm.running_mean, statistics)
    assert torch.equal(model.norm.weight.detach(), torch.full((6,), 3.0))


def test_weights_without_an_initialiser_are_drawn_like_their_own_and_named():
    model = Transformer()
    score = mprt(gradients(model), IMAGES[:1], model=model)
    assert "" in score.parts["without_initialiser"]  # the class token and the positions
    own = model.positions.clone()
    with kept(model):
        reinitialise(model, ("",))
        assert not torch.equal(model.positions, own)
        assert model.positions.std().item() == pytest.approx(own.std().item(), rel=0.4)


def test_running_statistics_are_estimated_anew_where_asked():
    model = Convolutional().eval()
    seen: list[torch.Tensor] = []

    def explain(batch):
        seen.append(model.norm.running_mean.clone())
        return gradients(model)(batch)

    kept_as = mprt(explain, IMAGES, model=model, stages=1)
    assert all(torch.equal(one, seen[0]) for one in seen)
    assert kept_as.params["running_statistics"] == "kept"
    seen.clear()
    anew = mprt(explain, IMAGES, model=model, stages=1, forward=model)
    assert anew.params["running_statistics"] == "estimated anew"
    with kept(model):
        torch.manual_seed(0)
        reinitialise(model, stages_of(model, ["stem", "norm", "body.0", "body.2", "head"], 1)[0])
        expected = model.stem(IMAGES).mean(dim=(0, 2, 3))
    torch.testing.assert_close(seen[1], expected, atol=1e-5, rtol=1e-4)


def test_a_map_that_never_asks_the_model_is_the_same_for_any_weights():
    model = Convolutional()

    def explain(batch):
        model(batch)
        return edges(batch)

    score = mprt(explain, IMAGES, model=model)
    assert score.value == pytest.approx(1)
    assert score.parts["auroc"] == 1
    assert score.parts["passed"] is False
    assert all(row["pearson"] == pytest.approx(1) for row in score.parts["stages"])


def test_one_drawing_for_all_images_and_weights_does_not_pass_though_it_tells_no_image_apart():
    model = Convolutional()
    centre = -np.hypot(*(np.indices((12, 12)) - 5.5))

    def explain(batch):
        model(batch)
        return np.stack([centre] * len(batch))

    score = mprt(explain, IMAGES, model=model)
    assert score.value == pytest.approx(1)
    assert score.parts["auroc"] == 0.5
    assert (score.parts["unchanged"], score.parts["passed"]) == (True, False)


def test_the_gradient_of_a_ruined_model_is_another_one():
    model = Convolutional()
    score = mprt(gradients(model), IMAGES, model=model)
    top, *_, last = score.parts["stages"]
    assert score.value < 0.6 < 0.99
    assert score.value == pytest.approx(last["spearman_abs"])
    assert top["layers"] == ["head"]
    assert score.parts["never_ruined"] == []
    assert len(score.null) == len(IMAGES)


def test_one_stage_alone_leaves_the_others_as_they_were():
    model = Convolutional()
    head: list[torch.Tensor] = []

    def explain(batch):
        head.append(model.head.weight.clone())
        return gradients(model)(batch)

    score = mprt(explain, IMAGES, model=model, mode="independent")
    changed = [not torch.equal(one, head[0]) for one in head[1:]]
    assert changed == [True, False, False, False] * 3
    assert score.value == pytest.approx(
        np.mean([row["spearman_abs"] for row in score.parts["stages"]])
    )


def test_empty_maps_of_a_ruined_model_are_counted_and_not_scored():
    model = nn.Sequential(nn.Conv2d(3, 1, 1))
    own = model[0].weight.detach().clone()

    def explain(batch):
        model(batch)
        return edges(batch) * torch.equal(model[0].weight, own)

    score = mprt(explain, IMAGES, model=model)
    assert (score.value, score.reason) == (None, "constant_map")
    assert score.parts["stages"][0]["constant_maps"] == 6 * 3


SCREEN = 40


def _maps(keep: float, seed: int):
    """Trained and ruined maps of many eyes: a shape they share, and what is the image's own."""
    random = np.random.default_rng(seed)
    shared = 2 * random.standard_normal(400)
    own = random.standard_normal((SCREEN, 400))
    ruined = [
        shared + np.sqrt(keep) * own + np.sqrt(1 - keep) * random.standard_normal((SCREEN, 400))
        for _ in range(3)
    ]
    return shared + own, ruined


@pytest.mark.parametrize(("keep", "passes"), [(0.0, True), (0.5, False)])
def test_what_is_common_to_all_eyes_passes_and_what_is_the_images_own_does_not(keep, passes):
    trained, ruined = _maps(keep, seed=3)
    crossed = [np.corrcoef(trained, one)[:SCREEN, SCREEN:] for one in ruined]
    assert crossed[0].mean() > 0.5  # alike, whoever's they are
    said = verdict(crossed, np.arange(SCREEN), seed=0)
    assert said.passed is passes
    assert said.interval[0] <= said.auroc <= said.interval[1]


def test_the_auroc_is_mann_whitneys():
    random = np.random.default_rng(0)
    crossed = [np.round(random.random((8, 8)), 1) for _ in range(3)]
    patients = np.array([0, 0, 1, 2, 3, 4, 5, 6])
    same = np.concatenate([np.diag(one) for one in crossed])
    apart = patients[:, None] != patients
    cross = np.concatenate([one[apart] for one in crossed])
    said = verdict(crossed, patients, seed=0)
    expected = mannwhitneyu(same, cross).statistic / (len(same) * len(cross))
    assert said.auroc == pytest.approx(expected)
    assert said.mean_difference == pytest.approx(same.mean() - cross.mean())


def test_few_patients_give_no_verdict():
    random = np.random.default_rng(0)
    said = verdict([random.random((8, 8))], np.array([0, 0, 1, 1, 2, 2, 3, 3]), seed=0)
    assert said.auroc is not None
    assert (said.interval, said.passed) == (None, None)
    assert said.parts()["passed_reason"] == "too_few"
    assert verdict([random.random((1, 1))], np.array([0]), seed=0).auroc is None


def test_permuted_labels_are_compared_by_the_same_statistics():
    trained, other, third = (Convolutional(seed=seed) for seed in (0, 1, 2))
    score = data_randomisation(
        gradients(trained), IMAGES, permuted=[gradients(other), gradients(third)]
    )
    own = gradients(trained)(IMAGES).sum(dim=1).abs().flatten(1)
    expected = [
        spearmanr(a, b)[0]
        for model in (other, third)
        for a, b in zip(own, gradients(model)(IMAGES).sum(dim=1).abs().flatten(1), strict=True)
    ]
    assert score.value == pytest.approx(np.mean(expected), abs=1e-5)
    assert score.params["models"] == 2
    same = data_randomisation(gradients(trained), IMAGES, permuted=gradients(trained))
    assert same.value == pytest.approx(1)
    assert same.parts["passed"] is False


def test_maps_of_two_classes_that_share_one_score_are_opposites():
    own = np.random.default_rng(1).standard_normal((24, 24))
    score = random_logit(own, IMAGES[0], other=-own)
    assert score.value == pytest.approx(-1)
    assert score.parts["spearman_abs"] == pytest.approx(1)
    assert random_logit(own, IMAGES[0], other=np.zeros((24, 24))).reason == "zero_map"


def test_a_random_logit_costs_two_explanations():
    model = Convolutional()
    score = random_logit(
        gradients(model),
        IMAGES[0],
        other=lambda batch: foveal.attribute(model, batch, "saliency", target=2)["saliency"],
    )
    assert model.count.forwards == [1, 1]
    assert -1 <= score.value < 1


REFUSED = [
    pytest.param({"seeds": 2}, "at least 3", id="few seeds"),
    pytest.param({"stages": 0}, "at least 1", id="no stages"),
    pytest.param({"mode": "sideways"}, "cascading or independent", id="mode"),
    pytest.param({"patients": ["a"]}, "one each", id="patients"),
    pytest.param({"model": nn.Linear(2, 2)}, "never ran", id="another model"),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSED)
def test_wrong_use_says_what_to_do(wrong, says):
    model = Convolutional()
    with pytest.raises(ValueError, match=says):
        mprt(gradients(model), IMAGES, **{"model": model, **wrong})


def test_without_weights_or_maps_there_is_a_reason():
    assert mprt(edges, IMAGES, model=nn.ReLU()).reason == "too_few"
    model = Convolutional()

    def empty(batch):
        model(batch)
        return torch.zeros(len(batch), 5, 5)

    assert mprt(empty, IMAGES, model=model).reason == "zero_map"
    assert data_randomisation(empty, IMAGES, permuted=empty).reason == "zero_map"
    with pytest.raises(ValueError, match="at least one"):
        data_randomisation(empty, IMAGES, permuted=[])
    with pytest.raises(ValueError, match="several of them"):
        mprt(empty, IMAGES[0, 0], model=model)
