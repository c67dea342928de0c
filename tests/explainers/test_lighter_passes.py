"""Many probes are answered with less to compute, and the answers stay what they were."""

import pytest
import torch
from nets import Convolutional, images
from torch import nn
from torch.overrides import TorchFunctionMode

from foveal.doors import attribute
from foveal.explainers import RISE, Occlusion, ScoreCAM, SmoothGrad, chunk, covering

WINDOWS = Occlusion(window=24, stride=15)
"""64 windows on 128 x 128 pixels, the fewest for which the network is split."""


class BatchNorms(TorchFunctionMode):
    """Counts the images that go through a batch norm."""

    def __init__(self):
        super().__init__()
        self.images = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is nn.functional.batch_norm:
            self.images += len(args[0])
        return function(*args, **(kwargs or {}))


def plainly(monkeypatch, *args, **settings):
    """The slow twin: every probe is a whole pass through the network as it is."""
    with monkeypatch.context() as patch:
        patch.setattr(chunk, "_MANY_PROBES", 10**9)
        patch.setattr(covering, "_LEAST_WINDOWS", 10**9)
        return attribute(*args, **settings)


def close(made, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(made, expected, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("fill", [0.0, "blur"])
def test_covered_windows_are_computed_as_far_as_they_reach(monkeypatch, fill):
    net, pixels = Convolutional().double(), images(2, 128).double()
    method = Occlusion(window=24, stride=15, fill=fill)
    steps = []
    made = attribute(net, pixels, method, target=1, progress=lambda *step: steps.append(step))
    parts, cost = made.info["occlusion"].parts, made.info["occlusion"].cost
    sent = sum(net.count.forwards)
    close(made["occlusion"], plainly(monkeypatch, net, pixels, method, target=1)["occlusion"])
    assert 0 < parts["computed_share"] < 0.8
    assert sent < 64  # whole ones would be 128
    assert cost["forward"] == 2 * 64 + 2 + 2 + 2  # found twice: what to fold, and that it fits
    assert steps[-1] == (64, 64)
    assert steps == sorted(steps)


def test_what_cannot_be_split_is_sent_whole_and_says_why():
    net = nn.Sequential(nn.LayerNorm(128), Convolutional())
    parts = attribute(net, images(1, 128), WINDOWS, target=1).info["occlusion"].parts
    assert "looks at the whole map" in parts["whole_passes_because"]
    assert "computed_share" not in parts
    assert sum(net[1].count.forwards) >= 64


def test_windows_of_a_small_image_are_sent_whole_and_nothing_is_said():
    net = Convolutional()
    made = attribute(net, images(1, 64), "occlusion", target=1)
    assert made.info["occlusion"].parts == {}
    assert sum(net.count.forwards) == 1 + 225


def test_a_callable_is_never_taken_apart():
    net = Convolutional().eval()
    made = attribute(lambda batch: net(batch), images(1, 128), WINDOWS, target=1)
    assert made.info["occlusion"].parts == {}
    assert sum(net.count.forwards) == 1 + 64


MANY = [
    pytest.param(RISE(masks=40, cells=3), 40, id="rise"),
    pytest.param(ScoreCAM(), 40, id="scorecam"),
    pytest.param(SmoothGrad(samples=40), 40, id="smoothgrad"),
]


class Wide(nn.Module):
    """Forty channels to watch, with a batch norm before and after them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 40, 3), nn.BatchNorm2d(40), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(40, 4)
        for part in self.body:
            if isinstance(part, nn.BatchNorm2d):
                nn.init.normal_(part.running_mean, std=0.2)
                nn.init.uniform_(part.weight, -1, 1)

    def forward(self, batch):
        return self.head(self.body(batch).mean(dim=(2, 3)))


@pytest.mark.parametrize(("method", "probes"), MANY)
def test_batch_norms_are_folded_under_many_probes(monkeypatch, method, probes):
    net, pixels = Wide().double(), images(2, 128).double()  # ReLUs near zero flip in float32
    before = dict(net.state_dict(keep_vars=True))
    with BatchNorms() as seen:
        made = attribute(net, pixels, method, target=1, layers="body.5")[method.name]
    # Two norms: the images themselves, and once more to find what feeds them.
    assert seen.images == 2 * (2 + 1)
    with BatchNorms() as seen:
        twin = plainly(monkeypatch, net, pixels, method, target=1, layers="body.5")[method.name]
    assert seen.images >= 2 * 2 * probes
    close(made, twin)
    after = net.state_dict(keep_vars=True)
    assert all(after[name] is tensor for name, tensor in before.items())


def test_a_watched_convolution_keeps_its_own_output(monkeypatch):
    net, pixels = Wide(), images(1, 128)
    made = attribute(net, pixels, ScoreCAM(), target=1, layers="body.3")["scorecam"]
    twin = plainly(monkeypatch, net, pixels, ScoreCAM(), target=1, layers="body.3")["scorecam"]
    close(made, twin)


def test_what_the_model_says_of_the_images_stays_as_the_model_says_it():
    net, pixels = Wide(), images(2, 128)
    scores = attribute(net, pixels, RISE(masks=40, cells=3), target=1).info["rise"].scores
    torch.testing.assert_close(scores, net.eval()(pixels).softmax(dim=1)[:, 1].detach())


def test_the_model_is_whole_again_after_an_exception_among_many_probes():
    net, seen = Wide(), []
    before = dict(net.state_dict(keep_vars=True))

    def failing(done, planned):
        seen.append(done)
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attribute(net, images(1, 128), RISE(masks=40, cells=3), target=1, progress=failing)
    after = net.state_dict(keep_vars=True)
    assert len(seen) == 21
    assert all(after[name] is tensor for name, tensor in before.items())
    assert not any("forward" in vars(part) for part in net.modules())
