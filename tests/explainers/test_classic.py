"""CAM: exact on a global mean and one linear layer however written; refused elsewhere."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from nets import Convolutional, Volumetric, images
from torch import Tensor, nn

from foveal.core import ModelError, Target
from foveal.doors import attribute


def _probability(output: Tensor) -> Tensor:
    return output.softmax(dim=1)[:, 0]


class Headed(nn.Module):
    """Features of eight channels on an 8 x 8 grid, and a head that subclasses replace."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.linear = nn.Linear(8, 3)

    def head(self, features: Tensor) -> Tensor:
        return self.linear(features.mean(dim=(2, 3)))

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.features(batch))


class Pooled(Headed):
    def __init__(self) -> None:
        super().__init__()
        self.end = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), self.linear
        )

    def head(self, features: Tensor) -> Tensor:
        return self.end(features)


class Functional(Headed):
    def head(self, features: Tensor) -> Tensor:
        mean = F.avg_pool2d(features, features.shape[2:])
        return torch.einsum("nkrc,ok->no", mean, self.linear.weight) + self.linear.bias


class Convolved(Headed):
    """The linear layer first, as a convolution of single cells."""

    def head(self, features: Tensor) -> Tensor:
        weight = self.linear.weight[:, :, None, None]
        return F.conv2d(features, weight, self.linear.bias).mean(dim=(2, 3))


class FunctionalActivation(Headed):
    def __init__(self) -> None:
        super().__init__()
        self.features = self.features[0]

    def head(self, features: Tensor) -> Tensor:
        return super().head(F.relu(features, inplace=True))


@pytest.mark.parametrize("kind", [Headed, Pooled, Functional, Convolved, FunctionalActivation])
def test_the_map_is_the_weighted_sum_of_the_linear_layer(kind):
    model, batch = kind(), images(2, side=8)
    made = attribute(model, batch, "cam", target=[2, 0], layers="features")
    with torch.no_grad():
        features = model.features(batch).relu()
        twin = torch.einsum("nk,nkrc->nrc", model.linear.weight[[2, 0]], features)
    torch.testing.assert_close(made["cam"], twin)
    torch.testing.assert_close(made.info["cam"].parts["bias"], model.linear.bias[[2, 0]].detach())


def test_gradcam_and_hirescam_are_cam_divided_by_its_number_of_cells():
    made = attribute(Volumetric(), torch.rand(2, 1, 4, 6, 8), ["cam", "gradcam", "hirescam"])
    for name in ("gradcam", "hirescam"):
        torch.testing.assert_close(made[name], made["cam"] / (4 * 6 * 8))


def test_the_contrast_of_two_classes_has_the_difference_of_their_maps():
    model, batch = Headed(), images(1, side=8)
    one, other = (attribute(model, batch, "cam", target=t, layers="features") for t in (0, 1))
    both = attribute(model, batch, "cam", target=Target(index=0, against=1), layers="features")
    torch.testing.assert_close(both["cam"], one["cam"] - other["cam"])


class Hidden(Headed):
    """A hidden layer whose units are mostly on: nearly linear, and not linear."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(8, 8)
        nn.init.constant_(self.hidden.bias, 1.0)

    def head(self, features: Tensor) -> Tensor:
        return self.linear(self.hidden(features.mean(dim=(2, 3))).relu())


class Largest(Headed):
    def head(self, features: Tensor) -> Tensor:
        return self.linear(features.amax(dim=(2, 3)))


class Flattened(Headed):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(512, 3)

    def head(self, features: Tensor) -> Tensor:
        return self.wide(features.flatten(1))


class Normed(Headed):
    def head(self, features: Tensor) -> Tensor:
        return self.linear(F.layer_norm(features.mean(dim=(2, 3)), (8,)))


class Attentive(Headed):
    def head(self, features: Tensor) -> Tensor:
        weight = features.sum(dim=1, keepdim=True).flatten(2).softmax(dim=2)
        return self.linear((features.flatten(2) * weight).sum(dim=2))


REFUSED = [
    pytest.param(Hidden, 0, "not linear in it", id="hidden layer"),
    pytest.param(Largest, 0, "differently", id="max pooling"),
    pytest.param(Flattened, 0, "differently", id="flattening"),
    pytest.param(Normed, 0, "not linear in it", id="norm"),
    pytest.param(Attentive, 0, "differently", id="attention"),
    pytest.param(Headed, Target(index=0, score="probability"), "not linear in it", id="softmax"),
    pytest.param(Headed, _probability, "not linear in it", id="callable probability"),
    pytest.param(Headed, lambda output: 0 * output[:, 0], "no position", id="unused"),
]


@pytest.mark.parametrize(("kind", "target", "why"), REFUSED)
def test_any_other_head_is_refused_with_the_reason(kind, target, why):
    with pytest.raises(ModelError, match=f"global mean of layer 'features', but .*{why}"):
        attribute(kind(), images(2, side=8), "cam", target=target, layers="features")


def test_a_layer_before_the_last_one_is_refused():
    with pytest.raises(ModelError, match=r"body\.0.*name the layer right before the mean"):
        attribute(Convolutional(), images(1), "cam", target=0, layers="body.0")


def test_the_layer_that_is_chosen_is_the_one_before_the_mean():
    model, batch = Convolutional(), images(1)
    chosen = attribute(model, batch, "cam", target=0)
    named = attribute(model, batch, "cam", target=0, layers="top")
    torch.testing.assert_close(chosen["cam"], named["cam"])
