"""Ablation-CAM by hand and by a loop over the channels."""

import pytest
import torch
from nets import Convolutional, Weighted, images
from torch import Tensor, nn

from foveal.doors import attribute
from foveal.explainers import AblationCAM

# Two channels on a 1 x 2 grid: y = (.5 + .75) + (-1 + 0) = .25.
ACTIVATIONS = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
GRADIENTS = torch.tensor([[[0.5, 0.25]], [[-0.5, 1.0]]])

BY_HAND = [
    # drops (1.25, -1) over .25: 5 A1 - 4 A2
    pytest.param({}, 1, [-3.0, 15.0], id="zero"),
    # the score is -.25 and the drops turn over: they are divided by .25, not by -.25
    pytest.param({}, -1, [3.0, -15.0], id="a negative score turns nothing over"),
    pytest.param({"normalise": False}, 1, [-0.75, 3.75], id="in units of the score"),
    # mean 2 leaves 1.5 in channel 1: drop -.25; mean 1 leaves .5 in channel 2: drop -1.5
    pytest.param({"fill": "mean"}, 1, [-13.0, -3.0], id="mean"),
    # channel 1 and 2 both vary by the same, and the first comes first
    pytest.param({"top": 1}, 1, [5.0, 15.0], id="top"),
]


@pytest.mark.parametrize(("settings", "sign", "expected"), BY_HAND)
def test_two_channels_give_the_map_worked_out_by_hand(settings, sign, expected):
    model = Weighted(sign * GRADIENTS)
    made = attribute(model, ACTIVATIONS, AblationCAM(**settings), layers="layer")
    torch.testing.assert_close(made["ablationcam"], torch.tensor([[expected]]))


@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("top", [None, 4])
def test_it_equals_its_slow_twin(fill, top):
    model, batch, targets = Convolutional().eval(), images(3), [0, 3, 1]
    method = AblationCAM(fill=fill, top=top)
    made = attribute(model, batch, method, target=targets, layers="body.1", max_batch=7)
    for number, target in enumerate(targets):
        with torch.no_grad():
            stem = model.norm(model.stem(batch[number : number + 1])).relu()
            layer = model.body[1](model.body[0](stem)).clone()

            def score(layer: Tensor, target: int = target) -> Tensor:
                features = model.top(model.body[2](layer))
                return model.head(features.mean(dim=(2, 3)))[0, target]

            clean, twin = score(layer), torch.zeros(layer.shape[2:])
            order = layer[0].flatten(1).std(dim=1).argsort(descending=True)
            for channel in order[:top].tolist():
                changed = layer.clone()
                changed[:, channel] = layer[:, channel].mean() if fill == "mean" else 0
                twin += (clean - score(changed)) / clean.abs() * layer[0, channel]
        torch.testing.assert_close(made["ablationcam"][number], twin, rtol=1e-3, atol=1e-4)


def test_one_probe_is_sent_for_each_channel_and_no_gradient():
    model = Convolutional()
    made = attribute(model, images(2), "ablationcam", target=0, layers="top")
    cost = made.info["ablationcam"].cost
    assert (cost["forward"], cost["backward"], cost["shared_backward"]) == (20, 0, 0)


def test_a_score_of_zero_leaves_no_map_and_says_why():
    batch = torch.cat([ACTIVATIONS, torch.zeros(1, 2, 1, 2)])
    with pytest.warns(UserWarning, match="exactly zero; use normalise=False"):
        made = attribute(Weighted(GRADIENTS), batch, "ablationcam", layers="layer")
    assert made.info["ablationcam"].reasons == (None, "nan_map")
    undivided = attribute(Weighted(GRADIENTS), batch, AblationCAM(normalise=False), layers="layer")
    assert undivided.info["ablationcam"].reasons == (None, "zero_map")


def test_tokens_are_silenced_and_the_class_token_is_not():
    class Tokens(nn.Module):
        """A class token before the patches; the score takes both."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, batch: Tensor) -> Tensor:
            patches = batch.flatten(2).transpose(1, 2)
            tokens = self.layer(torch.cat([torch.full_like(patches[:, :1], 5), patches], dim=1))
            return tokens.sum(dim=(1, 2))[:, None]

    batch = images(1, side=4, channels=2)
    made = attribute(Tokens(), batch, AblationCAM(normalise=False), layers="layer")
    drops = batch.flatten(2).sum(dim=2)
    torch.testing.assert_close(
        made["ablationcam"], torch.einsum("nk,nkrc->nrc", drops, batch), rtol=1e-4, atol=1e-4
    )


WRONG = [
    pytest.param({"top": 0}, ValueError, "at least 1", id="top"),
    pytest.param({"top": True}, TypeError, "whole number", id="top type"),
]


@pytest.mark.parametrize(("settings", "error", "message"), WRONG)
def test_wrong_settings_say_so(settings, error, message):
    with pytest.raises(error, match=message):
        AblationCAM(**settings)
