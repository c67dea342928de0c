"""Images standardised by the card's numbers or by their own."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from foveal.models import Card, Model, load
from foveal.models.card import InputTable
from foveal.models.scaling import by_own_spread

CLASSES = ["No DR", "DR"]


class Seen(nn.Module):
    """Gives back what it was sent, as one number per class."""

    def forward(self, images: Tensor) -> Tensor:
        self.images = images
        return images.flatten(1)[:, :2]


def model(**table: object) -> Model:
    card = Card(
        name="m", loader="memory", task="multiclass", classes=tuple(CLASSES),
        input=InputTable(size=(6, 8), **table),
    )  # fmt: skip
    return Model(card=card, module=Seen(), fingerprint="f")


def eyes(*shape: int) -> Tensor:
    """Lit between 0.2 and 0.9, with two black rows above as a surround."""
    images = 0.2 + 0.7 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    images[..., :2, :] = 0.0
    return images


def test_each_image_has_mean_zero_and_deviation_one_over_its_lit_pixels():
    images = torch.cat([eyes(1, 3, 6, 8), 0.3 * eyes(1, 3, 6, 8) + 0.1])
    images[..., :2, :] = 0.0
    sent = model(scale="image")
    sent.forward(images)

    for seen, image in zip(sent.module.images, images, strict=True):
        lit = image[:, 2:]
        expected = (image - lit.mean()) / lit.std(correction=0)
        torch.testing.assert_close(seen, expected)


def test_brightness_and_contrast_of_a_picture_do_not_reach_the_model():
    image = eyes(1, 3, 6, 8)
    darker = torch.where(image > 0, 0.5 * image + 0.05, 0.0)
    sent = model(scale="image")

    rows = []
    for picture in (image, darker):
        sent.forward(picture)
        rows.append(sent.module.images[..., 2:, :])

    torch.testing.assert_close(rows[0], rows[1])


def test_gradients_go_through_the_mean_and_the_deviation():
    images = eyes(1, 3, 6, 8).double().requires_grad_()

    assert torch.autograd.gradcheck(lambda x: by_own_spread(x, channel=1), (images,))


@pytest.mark.parametrize("level", [0.0, 0.6], ids=["black", "of one brightness"])
def test_a_flat_image_stays_finite(level):
    scaled = by_own_spread(torch.full((1, 3, 4, 4), level), channel=1)

    torch.testing.assert_close(scaled, torch.zeros_like(scaled), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    "axes", ["channel slice row column", "slice channel row column"], ids=["3D", "by section"]
)
def test_a_volume_is_scaled_as_one(axes):
    volume = eyes(1, 3, 5, 6, 8)
    given = volume if axes.startswith("channel") else volume.transpose(1, 2)
    sent = model(scale="image", sections=5, axes=axes)

    sent.forward(given)

    lit = given[..., 2:, :]
    torch.testing.assert_close(sent.module.images, (given - lit.mean()) / lit.std(correction=0))


def test_by_default_the_card_says_the_numbers():
    sent = model(mean=(0.5,), std=(0.25,))

    sent.forward(eyes(1, 3, 6, 8))

    torch.testing.assert_close(sent.module.images, (eyes(1, 3, 6, 8) - 0.5) / 0.25)


def test_own_numbers_and_the_cards_exclude_each_other():
    with pytest.raises(ValidationError, match="leave mean and std out"):
        InputTable(size=(6, 8), scale="image", mean=(0.5,))


@pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")
@pytest.mark.parametrize(
    "step",
    [
        {"step": "flip"},
        {"step": "spacing", "mm": [0.004, 0.012]},
        {"step": "flatten", "line": "RPE"},
        {"step": "retina-band", "margin_um": 50},
    ],
    ids=lambda step: step["step"],
)
def test_a_card_may_ask_for_steps_that_need_what_only_a_real_image_knows(step):
    table = {
        "name": "trial",
        "task": "multiclass",
        "classes": ["a", "b"],
        "input": {"size": [16, 16], "prepare": [step, {"step": "resize"}]},
    }
    network = nn.Sequential(
        nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    assert load(table, module=network).steps[0] == step


@pytest.mark.parametrize("table", [{"size": [16, 2**70]}, {"size": [16, 16], "sections": 2**40}])
def test_a_size_that_no_memory_holds_is_refused_by_the_card(table):
    with pytest.raises(ValidationError, match="less than or equal to"):
        InputTable(**table)
