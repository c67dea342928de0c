"""Expected gradients: what can be worked out, a slow twin, and which object to pass."""

import pytest
import torch
from nets import Convolutional, Weighted, images
from torch import nn

from foveal.doors import attribute
from foveal.explainers import ExpectedGradients, IntegratedGradients
from foveal.explainers.base import Draw, Frame, Seen


def test_for_a_linear_score_it_is_the_gradient_times_the_mean_difference_from_what_was_drawn():
    gradient, batch = torch.randn(3, 24, 24), images(2)
    references = images(4, seed=8)
    made = attribute(Weighted(gradient), batch, ExpectedGradients(reference=references, samples=30))
    drawn = [int(Draw(0).uniform(sample, (2,))[0] * 4) for sample in range(30)]
    assert set(drawn) == {0, 1, 2, 3}
    torch.testing.assert_close(
        made["expectedgradients"], gradient * (batch - references[drawn].mean(dim=0))
    )
    parts = made.info["expectedgradients"].parts
    mean = (references * gradient).flatten(1).sum(dim=1).mean()
    torch.testing.assert_close(parts["score_change"], (gradient * batch).sum(dim=(1, 2, 3)) - mean)


def test_it_equals_its_slow_twin():
    model, batch, references = Convolutional().eval(), images(2), images(3, seed=8)
    explainer = ExpectedGradients(reference=references, samples=7)
    made = attribute(model, batch, explainer, target=2, seed=3)
    total = torch.zeros_like(batch)
    for sample in range(7):
        which, share = Draw(3).uniform(sample, (2,))
        start = references[int(which * 3)]
        leaf = (start + share * (batch - start)).requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf)[:, 2].sum(), leaf)
        total += (batch - start) * gradient
    torch.testing.assert_close(made["expectedgradients"], total / 7, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        change = model(batch)[:, 2] - model(references)[:, 2].mean()
    parts = made.info["expectedgradients"].parts
    torch.testing.assert_close(parts["score_change"], change)
    error = total.flatten(1).sum(dim=1) / 7 - change
    torch.testing.assert_close(parts["completeness_error"], error)


def test_with_one_reference_it_comes_to_integrated_gradients():
    class Squares(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return (batch**2).flatten(1).sum(dim=1, keepdim=True)

    batch, reference = images(1, side=6), images(1, side=6, seed=2)
    made = attribute(
        Squares(),
        batch,
        [
            ExpectedGradients(reference=reference, samples=4000),
            IntegratedGradients(baseline=reference),
        ],
    )
    # The gradient at a is 2 x' + 2 a (x - x'), so chance enters as the mean of a alone.
    torch.testing.assert_close(
        made["expectedgradients"], made["integratedgradients"], rtol=0.05, atol=0.02
    )
    error = made.info["expectedgradients"].parts["completeness_error"]
    assert abs(float(error)) < 0.02 * float((batch - reference).square().sum()) * 2


def test_costs_are_its_samples_and_its_references():
    explainer = ExpectedGradients(reference=images(3), samples=5)
    cost = attribute(Convolutional(), images(2), explainer, target=0).info["expectedgradients"].cost
    assert (cost["forward"], cost["backward"]) == (2 * (5 + 3), 2 * 5)


def test_a_name_is_not_enough_and_the_object_is_named():
    with pytest.raises(ValueError, match=r"foveal\.explainers\.ExpectedGradients\(reference="):
        attribute(Convolutional(), images(1), "expectedgradients")


WRONG = [
    pytest.param(images(2, side=20), "do not fit images of shape", id="shape"),
    pytest.param(torch.rand(2, 3, 1, 24, 24), "do not fit images of shape", id="axes"),
    pytest.param(torch.rand(0, 3, 24, 24), "at least one image", id="none"),
    pytest.param(torch.rand(3, 24, 24), "at least one image", id="no batch axis"),
    pytest.param(torch.full((1, 3, 24, 24), torch.nan), "finite numbers", id="NaN"),
]


@pytest.mark.parametrize(("reference", "message"), WRONG)
def test_references_that_do_not_fit_say_so(reference, message):
    with pytest.raises(ValueError, match=message):
        attribute(Convolutional(), images(1), ExpectedGradients(reference=reference))


def test_normalised_references_are_refused_where_images_are_in_display_units():
    clean = Seen(images=images(1), scores=torch.zeros(1))
    explainer = ExpectedGradients(reference=images(2) * 4 - 2)
    with pytest.raises(ValueError, match=r"display units.*range from -2 to 2"):
        explainer.probes(clean, Frame(display=True))
    assert len(explainer.probes(clean, Frame(display=False))) == 2
