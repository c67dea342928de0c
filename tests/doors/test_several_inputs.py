"""Models that take several inputs: one map for each image, one value for each number."""

import pytest
import torch
from nets import Convolutional, images
from torch import Tensor, nn

import foveal
from foveal.doors import attribute
from foveal.explainers import IntegratedGradients


class WithAge(nn.Module):
    """An image and a table of two numbers; the score is linear in the table."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Convolutional(classes=3)
        self.table = nn.Linear(2, 3)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return self.trunk(image) + self.table(table)


class TwoEyes(nn.Module):
    """A fundus photograph and a B-scan, each with a branch of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fundus = Convolutional(seed=1)
        self.oct = Convolutional(channels=1, seed=2)

    def forward(self, *, fundus: Tensor, oct: Tensor) -> Tensor:
        return self.fundus(fundus) * 2 + self.oct(oct)


def table(count: int = 2) -> Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(4))


def eyes() -> dict[str, Tensor]:
    return {"fundus": images(2), "oct": images(2, side=32, channels=1)}


METHODS = ["gradcam", "saliency", "inputxgradient", "integratedgradients", "occlusion"]


def test_an_image_with_a_table_gives_a_map_and_a_value_for_each_number():
    torch.manual_seed(0)
    model = WithAge().double()
    batch = (images(2).double(), table().double())
    made = attribute(model, batch, METHODS, target=1, layers="trunk.top")
    weight = model.table.weight[1].detach().expand(2, 2)
    torch.testing.assert_close(made["saliency"][1].double(), weight, rtol=1e-6, atol=0)
    values = made["integratedgradients"][1].double()
    torch.testing.assert_close(values, weight * batch[1], rtol=1e-6, atol=0)
    assert made["gradcam"][1] is None
    assert made["occlusion"][1] is None
    alone = attribute(model.trunk, batch[0], METHODS, target=1, layers="top")
    for name in METHODS:
        torch.testing.assert_close(made[name][0], alone[name], rtol=1e-4, atol=1e-6)


def test_inputs_by_name_give_maps_by_name_each_at_its_own_layer():
    made = attribute(TwoEyes(), eyes(), ["gradcam", "saliency"], target=0)
    fundus = attribute(TwoEyes().fundus, eyes()["fundus"], ["gradcam", "saliency"], target=0)
    assert made.info["gradcam"]["fundus"].layer == "fundus.top"
    assert made.info["gradcam"]["oct"].layer == "oct.top"
    for name in ("gradcam", "saliency"):
        torch.testing.assert_close(made[name]["fundus"], 2 * fundus[name])
    assert made["saliency"]["oct"].shape == (2, 1, 32, 32)


def test_a_named_layer_is_watched_for_the_images_that_reach_it():
    made = attribute(TwoEyes(), eyes(), ["gradcam", "saliency"], target=0, layers="oct.top")
    assert made["gradcam"]["fundus"] is None
    assert made.info["gradcam"]["fundus"] is None
    assert made["gradcam"]["oct"].shape == (2, 7, 7)
    assert made["saliency"]["fundus"] is not None


def test_chunks_of_a_batch_keep_their_own_tables():
    torch.manual_seed(0)
    model = WithAge()
    model.table = nn.Sequential(nn.Linear(2, 3), nn.ReLU())  # type: ignore[assignment]
    batch = (images(3), torch.randn(3, 2))
    whole = attribute(model, batch, ["saliency", "occlusion"], target=1)
    bounded = attribute(model, batch, ["saliency", "occlusion"], target=1, max_batch=1)
    for key in whole:
        torch.testing.assert_close(bounded[key][0], whole[key][0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(bounded["saliency"][1], whole["saliency"][1])


def test_a_baseline_of_an_image_is_not_taken_for_a_table():
    method = IntegratedGradients(steps=4, baseline=torch.zeros(3, 24, 24))
    made = attribute(WithAge(), (images(2), table()), method, target=0)
    assert made["integratedgradients"][1] is None


def test_a_size_concerns_images():
    made = attribute(WithAge(), (images(2), table()), ["gradcam", "saliency"], size="input")
    assert made["gradcam"][0].shape == (2, 24, 24)
    assert made["saliency"][0].shape == (2, 24, 24)
    assert made["saliency"][1].shape == (2, 2)


def test_one_target_each():
    batch = (images(2), table())
    made = attribute(WithAge(), batch, "saliency", target=[0, 2])
    for row, target in enumerate([0, 2]):
        alone = attribute(
            WithAge(), tuple(one[row : row + 1] for one in batch), "saliency", target=target
        )
        for place in (0, 1):
            own = made["saliency"][place][row : row + 1]
            torch.testing.assert_close(alone["saliency"][place], own, rtol=1e-4, atol=1e-6)


WRONG = [
    pytest.param((torch.rand(2, 2),), "none of the inputs", id="no image"),
    pytest.param((images(2), table(3)), "different numbers of samples", id="unequal"),
    pytest.param((), "none of the inputs", id="nothing"),
    pytest.param((images(2), table() * torch.nan), "all finite", id="not finite"),
]


@pytest.mark.parametrize(("batch", "message"), WRONG)
def test_what_is_wrong_with_the_inputs_is_said(batch, message):
    with pytest.raises(ValueError, match=message):
        attribute(WithAge(), batch, "saliency")


def test_an_input_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="input 1 must be a tensor, but is list"):
        attribute(WithAge(), (images(2), [60, 70]), "saliency")  # type: ignore[list-item]


def test_a_layer_that_no_image_reaches_is_refused():
    with pytest.raises(foveal.ModelError, match="reached by no image"):
        attribute(WithAge(), (images(2), table()), "gradcam", layers="table")
