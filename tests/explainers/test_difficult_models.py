"""Models as people write them: in place, nested, branching, squeezed, in half precision."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from nets import Convolutional
from torch import nn

import foveal
from foveal.explainers import IntegratedGradients, LayerCAM, Occlusion
from foveal.explainers.base import check_count

SIGNED = ["gradcam", "hirescam", "eigencam", "eigengradcam"]
"""Methods that take negative activations as they are."""


def images(count=2, side=12, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


class Small(nn.Module):
    """A trunk, and a head on the mean of its features; subclasses differ in between."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def features(self, pixels):
        return self.trunk(pixels)

    def forward(self, pixels):
        return self.head(self.features(pixels).mean(dim=(2, 3)))


class ChangesItsInput(Small):
    def features(self, pixels):
        return self.trunk(pixels.sub_(0.5))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", ["gradcam", "saliency", "occlusion"])
def test_a_model_that_changes_its_input_in_place_changes_no_batch_and_no_map(method, channels):
    model, clean = ChangesItsInput(), Small()
    model.trunk = clean.trunk = nn.Conv2d(channels, 4, 3, padding=1)
    batch = images()[:, :channels].contiguous(memory_format=torch.channels_last)
    before = batch.clone()
    maps = foveal.attribute(model, batch, method, target=1, layers="trunk")[method]
    assert torch.equal(batch, before)
    fill = Occlusion(fill=-0.5)
    expected = foveal.attribute(
        clean, before - 0.5, fill if method == "occlusion" else method, target=1, layers="trunk"
    )[method]
    torch.testing.assert_close(maps, expected)


class Nested(Small):
    """The output of a container goes into a functional activation."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(self.trunk, self.second)

    def features(self, pixels):
        return F.relu(self.block(pixels))


@pytest.mark.parametrize("method", ["gradcam++", "layercam"])
def test_a_layer_inside_a_watched_layer_gives_the_map_it_gives_alone(method):
    alone = foveal.attribute(Nested(), images(), method, target=0, layers="block.1")
    nested = foveal.attribute(Nested(), images(), method, target=0, layers=["block.1", "block"])
    torch.testing.assert_close(nested[f"{method}@block.1"], alone[method])
    torch.testing.assert_close(nested[f"{method}@block"], alone[method])
    assert alone.info[method].parts["after_activation"] == ("block.1",)


class PreActivation(Small):
    """The layer goes into an activation and past it."""

    def features(self, pixels):
        values = self.trunk(pixels)
        return values + self.second(F.relu(values))


class Unused(Small):
    """An activation of the layer that the score never sees."""

    def features(self, pixels):
        values = self.trunk(pixels)
        self.shown = F.relu(values)
        return values


@pytest.mark.filterwarnings("ignore:.*activations are negative")
@pytest.mark.parametrize("kind", [PreActivation, Unused])
def test_a_layer_that_does_not_only_go_into_an_activation_is_watched_itself(kind):
    model, batch = kind(), images()
    with pytest.warns(foveal.FovealWarning, match="negative"):
        made = foveal.attribute(model, batch, "layercam", target=1, layers="trunk")
    seen = []
    handle = model.trunk.register_forward_hook(lambda _, __, out: seen.append(out))
    (gradient,) = torch.autograd.grad(model(batch)[:, 1].sum(), seen[0:1] or model(batch))
    handle.remove()
    expected = (gradient.clamp(min=0) * seen[0]).sum(dim=1)
    torch.testing.assert_close(made["layercam"], expected.detach())
    assert "after_activation" not in made.info["layercam"].parts


class Keyword(Small):
    def features(self, pixels):
        return F.relu(input=self.trunk(pixels))


def test_an_activation_called_by_keyword_is_an_activation():
    made = foveal.attribute(Keyword(), images(), LayerCAM(), target=1, layers="trunk")
    assert made.info["layercam"].parts["after_activation"] == ("trunk",)


def test_half_precision_keeps_small_gradients():
    class Dense(Small):
        def forward(self, pixels):
            return self.second(self.trunk(pixels)).mean(dim=(2, 3)) / 64

    batch = images(count=1, side=96)
    exact = foveal.attribute(Dense(), batch, ["saliency", "gradcam"], target=1, layers="trunk")
    half = foveal.attribute(
        Dense().half(), batch.half(), ["saliency", "gradcam"], target=1, layers="trunk"
    )
    for name, values in exact.items():
        assert half[name].dtype == torch.float32
        assert (half[name] - values).abs().max() < 0.02 * values.abs().max()


class Reassigning(Small):
    """Counts in a buffer that it replaces."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def features(self, pixels):
        self.calls = self.calls + 1
        return self.trunk(pixels)


def test_a_buffer_that_the_model_replaces_comes_back():
    model = Reassigning()
    calls = model.calls
    foveal.attribute(model, images(), "gradcam", target=0, layers="trunk")
    assert model.calls is calls
    assert calls.item() == 0


class Squeezing(Small):
    def forward(self, pixels):
        return super().forward(pixels).squeeze()


class OnePixel(Small):
    def forward(self, pixels):
        return super().forward(pixels)[:, :, None, None]


@pytest.mark.parametrize("kind", [Squeezing, OnePixel])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("target", [None, 2, lambda output: output.reshape(-1, 3)[:, 2]])
def test_an_output_without_the_usual_axes_is_read_as_classes(kind, count, target):
    made = foveal.attribute(kind(), images(count), "gradcam", target=target, max_batch=2)
    plain = foveal.attribute(Small(), images(count), "gradcam", target=target, max_batch=2)
    torch.testing.assert_close(made["gradcam"], plain["gradcam"])


def test_an_output_of_another_number_of_images_is_refused():
    class Halving(Small):
        def forward(self, pixels):
            return super().forward(pixels)[:1].expand(3, -1)

    with pytest.raises(ValueError, match=r"shape \(3, 3\) for 2 images"):
        foveal.attribute(Halving(), images(), "saliency", target=0)


class TwoHeads(Small):
    def __init__(self):
        super().__init__()
        self.other = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, pixels):
        shared = self.trunk(pixels)
        return {"a": self.second(shared).mean((2, 3)), "b": self.other(shared).mean((2, 3))}


def test_the_layer_is_chosen_for_the_target_and_not_remembered_from_another():
    model = TwoHeads()
    for head, layer in (("b", "other"), ("a", "second"), ("b", "other")):
        made = foveal.attribute(
            model, images(), "gradcam", target=lambda output, head=head: output[head][:, 1]
        )
        assert made.info["gradcam"].layer == layer


def test_each_image_may_have_a_callable_of_its_own_on_any_output():
    targets = [lambda o: o["a"][:, 0], lambda o: o["a"][:, 2]]
    made = foveal.attribute(TwoHeads(), images(), "saliency", target=targets)["saliency"]
    for number, target in enumerate(targets):
        own = foveal.attribute(TwoHeads(), images(), "saliency", target=target)["saliency"]
        torch.testing.assert_close(made[number], own[number])


class ChannelsLast(Small):
    """Keeps channels last before its head, as Swin transformers do."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def features(self, pixels):
        return self.norm(self.trunk(pixels).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Tokens(Small):
    """Works on tokens after its patches, as vision transformers do."""

    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0)

    def forward(self, pixels):
        return self.head(self.block(self.trunk(pixels).flatten(2).transpose(1, 2)).mean(dim=1))


CHANNELS_LAST = [
    pytest.param(ChannelsLast, "norm", id="channels last"),
    pytest.param(Tokens, "block", id="tokens"),
]


@pytest.mark.parametrize(("kind", "layer"), CHANNELS_LAST)
def test_the_last_layer_with_places_is_chosen_however_it_keeps_them(kind, layer):
    made = foveal.attribute(kind(), images(), ["gradcam", "hirescam"], target=0)
    assert made.info["gradcam"].layer == layer
    assert made["gradcam"].shape == (2, 12, 12)


def test_a_channels_last_layer_gives_the_map_of_the_same_features_with_channels_second():
    class Turned(ChannelsLast):
        def __init__(self):
            super().__init__()
            self.turned = nn.Identity()

        def features(self, pixels):
            return self.turned(super().features(pixels))

    one = foveal.attribute(Turned(), images(), SIGNED, target=0, layers="norm")
    other = foveal.attribute(Turned(), images(), SIGNED, target=0, layers="turned")
    for name in SIGNED:
        torch.testing.assert_close(one[name], other[name])


def test_attention_weights_are_no_grid():
    class Attending(Tokens):
        def __init__(self):
            super().__init__()
            self.weights = nn.Softmax(dim=-1)

        def forward(self, pixels):
            tokens = self.trunk(pixels).flatten(2).transpose(1, 2)
            weights = self.weights(tokens @ tokens.transpose(1, 2)).unsqueeze(1)
            return self.head((weights[:, 0] @ tokens).mean(dim=1))

    made = foveal.attribute(Attending(), images(), "gradcam", target=0)
    assert made.info["gradcam"].layer == "trunk"


class Checkpointed(Small):
    def features(self, pixels):
        from torch.utils.checkpoint import checkpoint

        return checkpoint(self.trunk, pixels, use_reentrant=False)


def test_a_checkpointed_layer_counts_once():
    made = foveal.attribute(Checkpointed(), images(), "gradcam", target=0, layers="trunk")
    plain = foveal.attribute(Small(), images(), "gradcam", target=0, layers="trunk")
    torch.testing.assert_close(made["gradcam"], plain["gradcam"])


def test_everything_works_inside_inference_mode():
    model = Convolutional()
    with torch.inference_mode():
        inside = foveal.attribute(model, images(), ["gradcam", "saliency"], target=0)
    plain = foveal.attribute(model, images(), ["gradcam", "saliency"], target=0)
    for name, values in plain.items():
        torch.testing.assert_close(inside[name].clone(), values)


@pytest.mark.parametrize("method", ["gradcam", "saliency"])
def test_a_model_made_inside_inference_mode_has_no_gradients_and_says_so(method):
    with torch.inference_mode():
        model = Small()
    with pytest.raises(foveal.ModelError, match=r"inference_mode.*make it outside"):
        foveal.attribute(model, images(1), method, target=0)
    assert foveal.attribute(model, images(1), "occlusion", target=0)["occlusion"].any()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_baseline_for_each_image_follows_its_image_into_every_chunk():
    batch, starts = images(4), images(4, seed=1)
    method = IntegratedGradients(steps=3, baseline=starts)
    whole = foveal.attribute(Small(), batch, method, target=1, max_batch=4)
    cut = foveal.attribute(Small(), batch, method, target=1, max_batch=3)
    torch.testing.assert_close(cut["integratedgradients"], whole["integratedgradients"])
    for number in range(4):
        own = IntegratedGradients(steps=3, baseline=starts[number])
        alone = foveal.attribute(Small(), batch[number : number + 1], own, target=1)
        torch.testing.assert_close(whole["integratedgradients"][number : number + 1],
                                   alone["integratedgradients"])  # fmt: skip


def test_a_number_a_channel_is_a_baseline():
    colour = torch.tensor([0.1, 0.2, 0.3])
    named = foveal.attribute(Small(), images(), IntegratedGradients(baseline=colour), target=1)
    whole = colour.reshape(3, 1, 1).expand(3, 12, 12)
    spread = foveal.attribute(Small(), images(), IntegratedGradients(baseline=whole), target=1)
    torch.testing.assert_close(*(m["integratedgradients"] for m in (named, spread)))


@pytest.mark.parametrize("shape", [(2, 3, 12, 12), (12,), (12, 12), (3, 6, 6)])
def test_a_baseline_that_fits_no_image_is_refused(shape):
    method = IntegratedGradients(baseline=torch.zeros(shape))
    with pytest.raises(ValueError, match="does not fit 4 images"):
        foveal.attribute(Small(), images(4), method, target=0, max_batch=2)


WRONG = [
    pytest.param(lambda: check_count("steps", 2.5), TypeError, "steps must be a whole", id="half"),
    pytest.param(lambda: check_count("steps", True), TypeError, "but is True", id="yes"),
    pytest.param(lambda: Occlusion(window=(4, 0)), ValueError, "at least 1", id="side"),
    pytest.param(lambda: Occlusion(fill=float("nan")), ValueError, "finite", id="not a number"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_settings_are_checked_before_any_pass(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_list_of_sides_is_as_good_as_a_tuple():
    assert Occlusion(window=[4, 6]).window == (4, 6)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        pytest.param(images().double(), r"torch.float64, but the model's weights are", id="type"),
        pytest.param(images().movedim(1, -1), "looks like channels last", id="layout"),
    ],
)
def test_a_batch_that_the_model_refuses_is_explained(batch, message):
    with pytest.raises(ValueError, match=message):
        foveal.attribute(Small(), batch, "saliency", target=0)
