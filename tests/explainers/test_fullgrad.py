"""FullGrad: what each pixel and each bias adds, exact for networks that are piecewise linear."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from nets import Convolutional, Volumetric, images
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.doors import attribute


def _explained(model: nn.Module, batch: Tensor, target: object = 1):
    made = attribute(model, batch, "fullgrad", target=target)
    return made["fullgrad"], made.info["fullgrad"]


class OnePixel(nn.Module):
    """The sum of relu(2 x - 1) over the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.layer.weight, 2.0)
        nn.init.constant_(self.layer.bias, -1.0)  # type: ignore[arg-type]

    def forward(self, batch: Tensor) -> Tensor:
        return F.relu(self.layer(batch)).flatten(1).sum(dim=1, keepdim=True)


def test_two_pixels_give_the_map_and_the_picture_worked_out_by_hand():
    values, info = _explained(OnePixel(), torch.tensor([[[[1.0, 0.2]]]]), target=0)
    # The second pixel is off. The first has 1 * 2 from the image and -1 * 1 from the bias; in the
    # picture both are the largest of their layer.
    torch.testing.assert_close(values, torch.tensor([[[1.0, 0.0]]]))
    torch.testing.assert_close(info.parts["picture"], torch.tensor([[[2.0, 0.0]]]))
    assert info.parts["head_biases"].tolist() == [0.0]
    assert info.parts["remainder"].tolist() == [0.0]


class Normalising(Convolutional):
    """Display units go in; the mean is subtracted before the first layer."""

    def forward(self, batch: Tensor) -> Tensor:
        return super().forward((batch - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / 0.2)


class NormalisingInPlace(Convolutional):
    def forward(self, batch: Tensor) -> Tensor:
        return super().forward(batch.sub_(0.5).div_(0.2))


class Varied(nn.Module):
    """Leaky slopes, pooling of both kinds, a reused layer, a shortcut, all functional."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.stem = nn.Conv2d(3, 5, 3)
        self.twice = nn.Conv2d(5, 5, 3, padding=1)
        self.up = nn.ConvTranspose2d(5, 4, 3, stride=2)
        self.hidden, self.head = nn.Linear(4, 6), nn.Linear(6, 3)
        self.statistics = nn.BatchNorm2d(5)
        self.statistics.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
        self.statistics.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]

    def forward(self, batch: Tensor) -> Tensor:
        features = F.max_pool2d(F.leaky_relu(self.stem(batch), 0.2, inplace=True), 2)
        for _ in range(2):
            features = features + F.relu(self.twice(features), inplace=True)
        norm = self.statistics
        features = F.batch_norm(features, norm.running_mean, norm.running_var, training=False)
        features = F.avg_pool2d(self.up(F.hardtanh(features, 0, 100)), 3)
        return self.head(self.hidden(features.mean(dim=(2, 3))).relu())


EXACT = [
    pytest.param(Convolutional, images(2), id="batch norm and in-place ReLU"),
    pytest.param(Volumetric, torch.rand(2, 1, 4, 6, 8), id="volumes"),
    pytest.param(Normalising, images(2), id="normalised inside"),
    pytest.param(NormalisingInPlace, images(2), id="normalised in place"),
    pytest.param(Varied, images(2, side=23), id="functional, reused, transposed, odd sides"),
]


@pytest.mark.parametrize(("kind", "batch"), EXACT)
def test_the_map_and_the_head_sum_to_the_score_of_piecewise_linear_networks(kind, batch):
    model = kind().eval()
    values, info = _explained(model, batch)
    with torch.no_grad():
        score = model(batch.clone())[:, 1]
    total = values.flatten(1).sum(dim=1) + info.parts["head_biases"]
    torch.testing.assert_close(total, score, rtol=0, atol=1e-5)
    assert float(info.parts["remainder"].abs().max()) < 1e-5
    assert values.shape == (2, *batch.shape[2:])


class AddedByHand(Convolutional):
    """Each bias after its layer, in place, with channels last and in the head, as Keras does."""

    def forward(self, batch: Tensor) -> Tensor:
        stem, first, last = self.stem, self.body[0], self.body[2]
        features = F.conv2d(batch, stem.weight, stride=2, padding=1).add_(stem.bias[:, None, None])
        features = F.conv2d(self.norm(features).relu(), first.weight, padding=1)
        features = (features.movedim(1, -1) + first.bias).relu().movedim(-1, 1)
        features = F.conv2d(features, last.weight, stride=2) + last.bias[:, None, None]
        return F.linear(features.relu().mean(dim=(2, 3)), self.head.weight) + self.head.bias


def test_a_bias_that_is_added_by_hand_counts_as_that_of_a_layer():
    values, info = _explained(AddedByHand().eval(), images(2))
    expected, plain = _explained(Convolutional().eval(), images(2))
    torch.testing.assert_close(values, expected)
    for part in ("picture", "head_biases", "remainder"):
        torch.testing.assert_close(info.parts[part], plain.parts[part])


class Positioned(OnePixel):
    """A number a pixel is added after the layer, and a constant."""

    def forward(self, batch: Tensor) -> Tensor:
        positions = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
        return (self.layer(batch) + positions + 1).flatten(1).sum(dim=1, keepdim=True)


def test_positions_and_constants_are_no_biases():
    values, info = _explained(Positioned(), torch.ones(1, 1, 2, 2), target=0)
    # 2 * 1 - 1 at each pixel; the positions sum to 10 and the constants to 4.
    torch.testing.assert_close(values, torch.ones(1, 2, 2))
    assert info.parts["remainder"].tolist() == [14.0]


def _terms(model: Convolutional, image: Tensor) -> list[Tensor]:
    """Image and biases times their gradients, one tensor a layer, by running it step by step."""
    leaf = image.clone().requires_grad_()
    stem = model.stem(leaf)
    norm = model.norm(stem)
    first = model.body[0](norm.relu())
    second = model.body[2](first.relu())
    score = model.head(second.relu().mean(dim=(2, 3)))[0, 2]
    seen = [leaf, stem, norm, first, second]
    gradients = torch.autograd.grad(score, seen)
    bn = model.norm
    shift = bn.bias - bn.running_mean * bn.weight / (bn.running_var + bn.eps).sqrt()
    biases = [model.stem.bias, shift, model.body[0].bias, model.body[2].bias]
    factors = [image, *(bias.reshape(1, -1, 1, 1) for bias in biases)]
    return [(f * g).detach() for f, g in zip(factors, gradients, strict=True)]


def test_the_map_equals_its_slow_twin():
    model, batch = Convolutional().eval(), images(2)
    values, info = _explained(model, batch, target=2)
    for number in range(2):
        twin = torch.zeros(24, 24)
        for term in _terms(model, batch[number : number + 1]):
            for (row, column), value in _cells(term[0].sum(dim=0)):
                # One cell at a time: bilinear on the image, then scaled to what the cell held.
                alone = torch.zeros(1, 1, *term.shape[2:])
                alone[0, 0, row, column] = 1
                large = F.interpolate(alone, size=(24, 24), mode="bilinear")[0, 0]
                twin += value * large / large.sum()
        torch.testing.assert_close(values[number], twin, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(info.parts["head_biases"], model.head.bias[2].detach().expand(2))


def _cells(grid: Tensor):
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            yield (row, column), grid[row, column]


def test_the_picture_equals_its_slow_twin():
    model, batch = Convolutional().eval(), images(2)
    _, info = _explained(model, batch, target=2)
    for number in range(2):
        twin = torch.zeros(24, 24)
        for term in _terms(model, batch[number : number + 1]):
            size = term.abs()
            scaled = (size - size.min()) / (size.max() - size.min())
            for channel in scaled[0]:
                twin += F.interpolate(channel[None, None], size=(24, 24), mode="bilinear")[0, 0]
        torch.testing.assert_close(info.parts["picture"][number], twin, rtol=1e-4, atol=1e-5)


SMOOTH = [
    pytest.param(lambda features: F.silu(features), id="SiLU"),
    pytest.param(lambda features: F.layer_norm(features, features.shape[1:]), id="layer norm"),
]


@pytest.mark.parametrize("function", SMOOTH)
def test_other_functions_leave_a_remainder_that_is_told(function):
    class Bent(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            features = function(self.body[0](self.norm(self.stem(batch))))
            return self.head(self.body[2](features).relu().mean(dim=(2, 3)))

    model, batch = Bent().eval(), images(2)
    values, info = _explained(model, batch)
    parts = info.parts
    total = values.flatten(1).sum(dim=1) + parts["head_biases"] + parts["remainder"]
    torch.testing.assert_close(total, model(batch)[:, 1].detach())
    assert float(parts["remainder"].abs().min()) > 1e-4


def test_what_cannot_be_told_apart_by_image_is_in_the_remainder():
    class Slices(nn.Module):
        """Each slice of a volume goes through a plane network, all of them as one batch."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Conv2d(1, 4, 3)

        def forward(self, volumes: Tensor) -> Tensor:
            features = self.layer(volumes.transpose(1, 2).flatten(0, 1)).relu()
            return features.unflatten(0, (len(volumes), -1)).mean(dim=(1, 3, 4))

    model, batch = Slices(), torch.rand(2, 1, 5, 8, 8)
    values, info = _explained(model, batch)
    leaf = batch.clone().requires_grad_()
    score = model(leaf)[:, 1]
    (gradient,) = torch.autograd.grad(score.sum(), leaf)
    direct = (batch * gradient).sum(dim=1)
    torch.testing.assert_close(values, direct)
    torch.testing.assert_close(info.parts["remainder"], score.detach() - direct.sum(dim=(1, 2, 3)))


def test_half_precision_gives_nearly_the_same_decomposition():
    batch = images(1)
    full, told = _explained(Convolutional().eval(), batch)
    half, halved = _explained(Convolutional().eval().half(), batch.half())
    torch.testing.assert_close(half, full, rtol=0, atol=0.02 * float(full.abs().max()))
    for part in ("head_biases", "picture"):
        torch.testing.assert_close(halved.parts[part], told.parts[part], rtol=0.05, atol=0.02)
    assert float(halved.parts["remainder"].abs()) < 0.01


def test_a_bias_that_nothing_depends_on_adds_nothing():
    class Aside(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            self.shown = self.body[0](self.norm(self.stem(batch)))
            return super().forward(batch)

    plain, _ = _explained(Convolutional(), images(1))
    aside, _ = _explained(Aside(), images(1))
    torch.testing.assert_close(aside, plain)


@pytest.mark.filterwarnings("ignore:.*trace:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_traced_model_is_refused_since_its_operations_do_not_show():
    traced = torch.jit.trace(Convolutional().eval(), images(1))
    with pytest.raises(ModelError, match="operations do not show them"):
        attribute(traced, images(1), "fullgrad", target=0)
