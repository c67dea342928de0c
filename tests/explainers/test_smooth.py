"""Smooth Grad-CAM++ against the paper's sums, written out."""

import pytest
import torch
from nets import Convolutional, Weighted, images

from foveal.doors import attribute
from foveal.explainers import SmoothGradCAMPlusPlus
from foveal.explainers.base import Draw

# Two channels on a 1 x 2 grid, as in test_closed_forms.
ACTIVATIONS = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
GRADIENTS = torch.tensor([[[0.5, 0.25]], [[-0.5, 1.0]]])


@pytest.mark.parametrize("scale", [1.0, 1e-15, 1e12])
def test_for_a_linear_score_it_is_gradcam_plus_plus_at_every_scale(scale):
    model = Weighted(GRADIENTS * scale)
    made = attribute(
        model, ACTIVATIONS, [SmoothGradCAMPlusPlus(samples=3), "gradcam++"], layers="layer"
    )
    torch.testing.assert_close(
        made["smoothgradcam++"] / scale, made["gradcam++"] / scale, rtol=1e-5, atol=0
    )


class Squared(Convolutional):
    """The head sees squares, so that the gradient depends on the activations."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.top(self.body(self.norm(self.stem(batch)).relu()))
        return self.head((features**2 - features).mean(dim=(2, 3)))


def test_it_equals_its_slow_twin():
    model, batch = Squared().eval(), images(2)
    settings = SmoothGradCAMPlusPlus(samples=5, noise=0.3)
    made = attribute(model, batch, settings, target=1, layers="top", seed=9)["smoothgradcam++"]
    ranges = (batch.flatten(1).amax(dim=1) - batch.flatten(1).amin(dim=1)).reshape(-1, 1, 1, 1)
    gradients = []
    for sample in range(5):
        noisy = batch + 0.3 * ranges * Draw(9).normal(sample, batch)
        features = model.top(model.body(model.norm(model.stem(noisy)).relu())).detach()
        features.requires_grad_()
        score = model.head((features**2 - features).mean(dim=(2, 3)))[:, 1].sum()
        gradients.append(torch.autograd.grad(score, features)[0].double())
    every = torch.stack(gradients)
    clean = model.top(model.body(model.norm(model.stem(batch)).relu())).detach().double()
    one, two, three = (every**power for power in (1, 2, 3))
    denominator = 2 * two.mean(0) + clean.sum(dim=(2, 3), keepdim=True) * three.mean(0)
    used = one.mean(0) > 0
    assert bool((denominator[used] > 0).all())  # nothing here is left to the rule for the rest
    alpha = torch.where(used, two.mean(0) / denominator, 0)
    weight = (alpha * one.mean(0).clamp(min=0)).sum(dim=(2, 3), keepdim=True)
    twin = (weight * clean).sum(dim=1).float()
    torch.testing.assert_close(made, twin, rtol=1e-4, atol=1e-5 * float(twin.abs().max()))


def test_where_the_denominator_is_not_positive_the_cubes_count_as_zero():
    class Bent(torch.nn.Module):
        """One cell of one channel: the gradient is +1 in most copies and -3 in the others."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Identity()

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            values = self.layer(batch)
            return torch.where(values > limit, values, -3 * values).flatten(1).sum(1, keepdim=True)

    image = torch.full((1, 1, 1, 2), 40.0)
    image[..., 1] = 41.0  # a range of one, far from zero
    drawn = torch.stack([Draw(0).normal(sample, image) for sample in range(8)])[:, 0, 0, 0]
    values = image[0, 0, 0] + 0.5 * drawn
    limit = float(values[:, 0].sort().values[0]) + 1e-6  # only the lowest copy of the first cell
    gradients = torch.where(values > limit, 1.0, -3.0)
    one, two, three = ((gradients**power).mean(dim=0) for power in (1, 2, 3))
    assert float(one[0]) > 0
    assert float(2 * two[0] + 81 * three[0]) < 0
    made = attribute(Bent(), image, SmoothGradCAMPlusPlus(samples=8, noise=0.5), layers="layer")
    weight = one[0] / 2 + one[1] * two[1] / (2 * two[1] + 81 * three[1])
    torch.testing.assert_close(made["smoothgradcam++"], weight * image[:, 0])


def test_no_noise_is_refused_and_the_method_without_it_named():
    with pytest.raises(ValueError, match=r"for none use gradcam\+\+"):
        SmoothGradCAMPlusPlus(noise=0.0)
