"""Volumes at the clinical door: section by section, convolved over all, and attended to."""

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.core import ImageError, ModelError, Volume
from foveal.doors.volumes import explain_volume, retina_of
from foveal.explainers import VisitAttention
from foveal.images import layer_regions
from foveal.images.volumes import band_between

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

SECTIONS, ROWS, COLUMNS = 9, 24, 32
HOT = (slice(3, 6), slice(8, 16), slice(20, 28))
"""Sections 4 to 6, where alone the volume is bright."""


@pytest.fixture(scope="module")
def volume() -> Volume:
    ramp = np.linspace(0.05, 0.3, ROWS, dtype=np.float32)[:, np.newaxis]
    pixels = np.tile(ramp, (SECTIONS, 1, 1, COLUMNS))
    pixels[:, 0][HOT] = 0.9
    return Volume(
        pixels=pixels, spacing_mm=(0.004, 0.012), slice_spacing_mm=0.12, source="scan.vol"
    )


class Bright(nn.Module):
    """The logit of the second class is the mean of what is brighter than one half, by 2 x 2 x 2."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        kind = nn.Conv3d if axes == 3 else nn.Conv2d
        self.look = kind(1, 1, 1)
        nn.init.ones_(self.look.weight)
        nn.init.constant_(self.look.bias, -0.5)
        self.relu = nn.ReLU()
        self.head = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.look(images)).flatten(2).mean(dim=2))


class Attending(nn.Module):
    """Weighs sections by the softmax of ten times their brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2, bias=False)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        bright = series.flatten(2).mean(dim=2, keepdim=True)
        weights = torch.softmax(10 * bright, dim=1)
        return self.head((weights * bright).sum(dim=1))


def load(module: nn.Module, **table: object) -> foveal.Model:
    card = {
        "name": "fluid",
        "task": "multiclass",
        "classes": ["normal", "fluid"],
        "input": {
            "size": [ROWS, COLUMNS],
            "color": "gray",
            "prepare": [{"step": "resize", "aspect": "stretch"}],
            **table,
        },
    }
    return foveal.load_model(card, module=module)


def test_a_model_of_images_is_asked_about_each_section(volume):
    result = explain_volume(load(Bright(2)), volume, ["gradcam", "occlusion"], target="fluid")
    assert list(result) == ["gradcam", "occlusion"]
    assert result.prediction is None
    assert result.sections is not None
    assert len(result.sections.readings) == SECTIONS
    shares = result["gradcam"].shares
    assert list(shares) == list(range(1, 10))
    assert [shares[n] for n in (4, 5, 6)] == pytest.approx([1 / 3] * 3)
    assert sum(share or 0 for share in shares.values()) == pytest.approx(1)
    values = result["gradcam"].values
    assert values.shape == (SECTIONS, ROWS, COLUMNS)
    inside = np.zeros(values.shape, bool)
    inside[HOT] = True
    assert (values[inside] > 0).all()
    np.testing.assert_array_equal(np.nan_to_num(values[~inside]), 0)


def test_a_model_of_volumes_is_asked_once_and_its_maps_lie_on_the_original_sections(volume):
    model = load(Bright(3), sections=SECTIONS)
    result = explain_volume(model, volume, "gradcam", target="fluid")
    assert result.sections is None
    assert result.prediction is not None
    expected = np.maximum(volume.pixels[:, 0] - 0.5, 0).mean()
    assert result.info is not None
    assert float(result.info["gradcam"].scores[0]) == pytest.approx(expected, rel=1e-5)
    alone = explain_volume(load(Bright(2)), volume, "gradcam", target="fluid")["gradcam"]
    inside = np.zeros(alone.values.shape, bool)
    inside[HOT] = True
    assert (result["gradcam"].values[inside] > 0).all()
    np.testing.assert_allclose(
        list(result["gradcam"].shares.values()), [0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0], atol=1e-6
    )
    assert result["gradcam"].target == "fluid"


def test_a_model_of_fewer_sections_gets_them_evenly_spread(volume):
    result = explain_volume(load(Bright(3), sections=3), volume, "inputxgradient", target="fluid")
    assert list(result["inputxgradient"].shares) == [1, 5, 9]
    assert result["inputxgradient"].shares[5] == pytest.approx(1, abs=1e-6)


def test_the_weights_that_a_model_gives_to_sections_are_its_own(volume):
    model = load(Attending(), sections=SECTIONS, axes="slice channel row column")
    found = explain_volume(model, volume, VisitAttention(), target="fluid")["visits"]
    bright = volume.pixels.mean(axis=(1, 2, 3))
    expected = np.exp(10 * bright) / np.exp(10 * bright).sum()
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, expected, rtol=1e-5)
    assert found.weights_from == "attention"
    assert found.values.shape == (SECTIONS, ROWS, COLUMNS)


def test_from_above_the_map_is_where_the_volume_is_bright(volume):
    above = explain_volume(load(Bright(2)), volume, "gradcam", target="fluid")["gradcam"].en_face
    hot = np.zeros(above.shape, bool)
    hot[HOT[0], HOT[2]] = True
    assert (above[hot] > 0).all()
    assert (np.nan_to_num(above[~hot]) == 0).all()


def test_the_normalisation_of_the_card_reaches_the_channels_of_a_volume():
    seen = []

    class Spy(Bright):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.detach().mean(dim=(0, *range(2, images.ndim))))
            return super().forward(images[:, :1])

    color = {"color": "rgb", "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 0.1]}
    model = load(Spy(3), sections=2, **color)
    model.forward(torch.full((1, 3, 2, ROWS, COLUMNS), 0.4))
    torch.testing.assert_close(seen[-1], torch.tensor([0.6, 0.8, 1.0]))


def test_what_does_not_fit_is_said(volume):
    with pytest.raises(ImageError, match="has 9 sections, but fluid takes 12"):
        explain_volume(load(Bright(3), sections=12), volume, "gradcam")
    with pytest.raises(ValueError, match="takes 9 sections at once"):
        explain_volume(load(Bright(3), sections=9), volume, "gradcam", sections=4)
    with pytest.raises(ModelError, match="takes single images"):
        load(Bright(2)).look_at(volume)
    with pytest.raises(ValueError, match="a number from 1 on"):
        explain_volume(load(Bright(2)), volume, "gradcam", sections=0)


def test_the_retina_ends_above_its_outer_line_as_regions_between_lines_do():
    pixels = np.full((2, 1, 12, 6), 0.5, np.float32)
    inner, outer = np.full((2, 6), 2.5), np.full((2, 6), 7.5)
    one = Volume(pixels=pixels, lines={"ILM": inner, "BM": outer})
    between = band_between((2, 12, 6), inner, outer)
    for place in range(2):
        (retina,) = layer_regions(one.section(place), {"retina": ("ILM", "BM")})
        np.testing.assert_array_equal(retina_of(one.section(place)), retina.mask)
        np.testing.assert_array_equal(retina.mask, between[place])


@pytest.mark.real
def test_a_real_volume_is_explained_in_the_order_of_its_sections(real_data):
    model = foveal.load_model(foveal.synthetic.oct_card(), trust=True)
    result = explain_volume(
        model, real_data / "oct-bonn-volume" / "bscans", target="Drusen", sections=3
    )
    made = result["gradcam"]
    assert list(made.shares) == [1, 37, 73]
    assert sum(share or 0 for share in made.shares.values()) == pytest.approx(1)
    assert made.values.shape[1:] == result.volume.pixels.shape[2:]
    assert len(made.figure().axes) >= 3
