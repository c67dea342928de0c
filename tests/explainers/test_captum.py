"""Captum's methods as explainers: what Captum itself says, of the score that is explained here."""

import numpy as np
import pytest
import torch
from nets import Convolutional, Volumetric, images
from torch import Tensor, nn

from foveal.core import ModelError, Target
from foveal.doors import attribute
from foveal.explainers import Captum, IntegratedGradients

attr = pytest.importorskip("captum.attr", reason="needs the extra captum")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")


class Modules(nn.Module):
    """All activations are modules, as DeepLift wants them, and none is in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.features = nn.Sequential(
            nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3, stride=2), nn.ReLU()
        )
        self.head = nn.Linear(6, 4)

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.features(batch).mean(dim=(2, 3)))


def _saliency_of_noise(forward: nn.Module) -> object:
    return attr.NoiseTunnel(attr.Saliency(forward))


KNOWN = [
    pytest.param(attr.Saliency, {"abs": False}, {}, id="saliency"),
    pytest.param(attr.IntegratedGradients, {"n_steps": 20, "baselines": 0.3}, {}, id="paths"),
    pytest.param(attr.DeepLift, {"baselines": torch.full((1, 3, 16, 16), 0.2)}, {}, id="deeplift"),
    pytest.param(attr.GuidedBackprop, {}, {}, id="changed backward"),
    pytest.param(
        attr.Occlusion, {"sliding_window_shapes": (3, 8, 8), "strides": (3, 4, 4)}, {}, id="windows"
    ),
    pytest.param(attr.LayerGradCam, {}, {"layer": "features"}, id="layer"),
]


@pytest.mark.parametrize(("method", "asking", "making"), KNOWN)
def test_the_map_is_what_captum_gives_for_each_image(method, asking, making):
    model, batch, targets = Modules().eval(), images(2, side=16), [3, 0]
    named = {"layer": model.features} if making else {}
    made = attribute(model, batch, Captum(method, **asking, **named), target=targets)
    (key,) = made
    assert key == f"captum-{method.__name__.lower()}"
    own = method(model, **named)
    for number, target in enumerate(targets):
        twin = own.attribute(batch[number : number + 1], target=target, **asking)
        torch.testing.assert_close(made[key][number], twin.detach()[0])


def test_integrated_gradients_of_captum_are_those_of_here():
    ours = IntegratedGradients(steps=24)
    theirs = Captum(
        attr.IntegratedGradients, name="theirs", n_steps=24, return_convergence_delta=True
    )
    model, batch = Convolutional(), images(2)
    made = attribute(model, batch, [ours, theirs], target=Target(index=1, against=2))
    torch.testing.assert_close(made["theirs"], made["integratedgradients"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        made.info["theirs"].parts["convergence_delta"],
        made.info["integratedgradients"].parts["completeness_error"],
        rtol=1e-3,
        atol=1e-5,
    )
    cost = made.info["theirs"].cost
    assert (cost["forward"], cost["backward"]) == (2 * (24 + 2), 2 * 24)
    assert max(model.count.forwards) <= 16


CHANCE = [
    pytest.param(attr.GradientShap, {"baselines": torch.zeros(2, 3, 24, 24)}, id="torch and NumPy"),
    pytest.param(_saliency_of_noise, {"stdevs": 0.1, "abs": False}, id="a function of one's own"),
]


@pytest.mark.parametrize(("method", "asking"), CHANCE)
def test_chance_comes_from_the_seed_and_not_from_the_batch(method, asking):
    model, batch, explainer = Convolutional(), images(2), Captum(method, name="own", **asking)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    together = attribute(model, batch, explainer, target=1, seed=4)["own"]
    alone = attribute(model, batch[1:], explainer, target=1, seed=4)["own"]
    other = attribute(model, batch[1:], explainer, target=1, seed=5)["own"]
    torch.testing.assert_close(together[1:], alone)
    assert not torch.allclose(alone, other)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_segmentations_volumes_and_callables_are_explained_by_what_is_their_score():
    volumes = torch.rand(2, 1, 4, 6, 8)
    saliency = Captum(attr.Saliency, abs=False, name="theirs")
    made = attribute(Volumetric(), volumes, ["saliency", saliency], target=2)
    torch.testing.assert_close(made["theirs"], made["saliency"])

    def brightness(batch: Tensor) -> Tensor:
        return batch[:, :, :2, :2].mean(dim=(1, 2, 3))[:, None]

    ablation = Captum(attr.FeatureAblation, feature_mask=torch.arange(16).reshape(1, 1, 4, 4))
    made = attribute(brightness, torch.ones(1, 3, 4, 4), ablation)
    expected = torch.zeros(3, 4, 4)
    expected[:, :2, :2] = 0.25
    torch.testing.assert_close(made["captum-featureablation"][0], expected)


@pytest.mark.parametrize("method", [attr.DeepLift, attr.GuidedBackprop, attr.LayerGradCam])
def test_the_model_comes_back_without_captums_hooks_also_when_it_fails(method):
    class Failing(Modules):
        calls = 0

        def forward(self, batch: Tensor) -> Tensor:
            self.calls += 1
            output = super().forward(batch)
            if self.calls == 2:  # the first pass is the one over the images themselves
                raise KeyError("broken on purpose")
            return output

    model = Failing().train()
    making = {"layer": model.features} if method is attr.LayerGradCam else {}
    with pytest.raises(KeyError, match="on purpose"):
        attribute(model, images(1), Captum(method, **making), target=0)
    for part in model.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not part._backward_hooks
        assert part.training
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(mode):
    model, batch = Convolutional(), images(1)
    with mode():
        made = attribute(model, batch.clone(), Captum(attr.Saliency, abs=False), target=0)
    torch.testing.assert_close(
        made["captum-saliency"], attribute(model, batch, "saliency", target=0)["saliency"]
    )


def test_settings_are_plain_and_name_the_method():
    model = Modules()
    settings = Captum(
        attr.LayerGradCam, layer=model.features, attribute_to_layer_input=True
    ).settings
    assert settings == {
        "attribution": "LayerGradCam", "layer": "Sequential", "attribute_to_layer_input": True
    }  # fmt: skip


WRONG = [
    pytest.param(lambda: Captum(attr.Saliency(_MODEL)), TypeError, "attribution", id="an object"),
    pytest.param(lambda: Captum(attr.Saliency, target=3), ValueError, "to foveal.attribute",
                 id="target"),
    pytest.param(lambda: Captum(lambda forward: forward), TypeError, r"has no attribute\(\)",
                 id="no attribution"),
    pytest.param(lambda: Captum(attr.LayerActivation, layer=_MODEL.head), ModelError, "no map",
                 id="layer without places"),
]  # fmt: skip
_MODEL = Modules()


@pytest.mark.parametrize(("build", "error", "message"), WRONG)
def test_wrong_use_says_what_to_do(build, error, message):
    with pytest.raises(error, match=message):
        attribute(_MODEL, images(1), build(), target=0)
