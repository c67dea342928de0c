"""XRAI: a greedy ranking of regions, against a slow twin and sums that must hold."""

import numpy as np
import pytest
import torch
from nets import Convolutional, Volumetric, images
from scipy.ndimage import binary_dilation
from skimage.segmentation import felzenszwalb
from torch import Tensor, nn

from foveal.doors import attribute
from foveal.explainers import XRAI, Frame, IntegratedGradients
from foveal.explainers.engine import Request, Task, explain_batch
from foveal.explainers.regions import Patch, gathered, patches_of
from foveal.explainers.watching import Network


def patch(mask: np.ndarray) -> Patch:
    return Patch(where=tuple(slice(0, side) for side in mask.shape), pixels=mask)


def slow(attribution: np.ndarray, inside: np.ndarray, masks: list, smallest: float) -> np.ndarray:
    """Algorithm 1 with whole masks, everything counted again in each round."""
    taken, result, left = ~inside, np.zeros_like(attribution), list(masks)
    while True:
        left = [mask for mask in left if (mask & ~taken).sum() >= max(smallest, 1)]
        if not left:
            break
        best = max(left, key=lambda mask: attribution[mask & ~taken].mean())
        new = best & ~taken
        result[new] = attribution[new].mean()
        taken |= best
    if not taken.all():
        result[~taken] = attribution[~taken].mean()
    return result


def test_regions_are_taken_by_the_mean_of_what_they_add():
    attribution = np.array([[[4.0, 2.0, 1.0, -1.0, 0.0, 9.0]]])
    masks = np.zeros((4, 1, 1, 6), bool)
    masks[0, ..., :2] = True  # mean 3: first
    masks[1, ..., 1:3] = True  # adds one pixel only: too few
    masks[2, ..., :4] = True  # adds 1 and -1: mean 0
    masks[3, ..., 5:] = True  # has the highest mean, but one pixel
    got = gathered(attribution, np.ones((1, 1, 6), bool), [patch(m) for m in masks], smallest=2)
    # What is left, 0 and 9, gets its mean.
    np.testing.assert_allclose(got, [[[3, 3, 0, 0, 4.5, 4.5]]])


@pytest.mark.parametrize("seed", range(4))
def test_gathering_equals_its_slow_twin(seed):
    random = np.random.default_rng(seed)
    attribution = random.normal(size=(2, 12, 9))
    inside = random.random((2, 12, 9)) < 0.8
    patches, masks = [], []
    for _ in range(40):
        plane, row, column = random.integers([2, 9, 6])
        box = (slice(plane, plane + 1), slice(row, row + 5), slice(column, column + 4))
        mask = np.zeros(attribution.shape, bool)
        mask[box] = random.random(mask[box].shape) < 0.7
        masks.append(mask)
        patches.append(Patch(where=tuple(slice(*b.indices(n)) for b, n in
                                         zip(box, mask.shape, strict=True)),
                             pixels=mask[box]))  # fmt: skip
    got = gathered(attribution, inside, patches, smallest=3)
    np.testing.assert_allclose(got, slow(attribution, inside, masks, 3), atol=1e-12)


def test_at_224_pixels_patches_are_felzenszwalbs_segments_widened_by_a_disc_of_five():
    random = np.random.default_rng(0)
    image = np.zeros((3, 224, 224))
    image[:, 40:120, 60:150] = np.array([0.9, 0.4, 0.2])[:, None, None]
    image[:, 130:200, 20:90] = 0.5
    image += random.normal(scale=0.01, size=image.shape)
    in_range = 2 * (image - image.min()) / (image.max() - image.min()) - 1
    rows, columns = np.mgrid[-5:6, -5:6]
    disc = rows**2 + columns**2 <= 25
    expected = []
    for scale in (50, 100, 150, 250, 500, 1200):
        labels = felzenszwalb(in_range.transpose(1, 2, 0), scale=scale, sigma=0.8, min_size=150)
        expected += [binary_dilation(labels == n, disc) for n in range(labels.max() + 1)]
    got = patches_of(image)
    assert len(got) == len(expected) > 6
    for own, mask in zip(got, expected, strict=True):
        full = np.zeros((1, 224, 224), bool)
        full[own.where] = own.pixels
        np.testing.assert_array_equal(full[0], mask)


@pytest.mark.parametrize("shape", [(1, 448, 448), (3, 24, 24), (5, 30, 90)])
def test_patches_cover_every_pixel_at_every_size_and_number_of_channels(shape):
    image = np.random.default_rng(1).random(shape)
    covered = np.zeros((1, *shape[1:]), int)
    for own in patches_of(image):
        covered[own.where] += own.pixels
    assert covered.min() >= 6  # once at each of the six scales


def test_twice_the_size_widens_by_twice_the_disc():
    image = np.zeros((1, 448, 448))
    image[:, :, 224:] = 1
    widths = [own.pixels[0].sum() / 448 for own in patches_of(image)]
    # At each of the six scales stripes side by side, which overlap by ten pixels on either side.
    assert len(widths) > 6
    assert sum(widths) == 6 * 448 + 20 * (len(widths) - 6)


def test_the_map_sums_to_what_integrated_gradients_sum_to():
    model, batch = Convolutional(), images(2)
    maps = attribute(model, batch, XRAI(steps=8), target=1)
    low, high = (batch.flatten(1).amin(1), batch.flatten(1).amax(1))
    ends = {
        name: IntegratedGradients(steps=8, baseline=end[:, None, None, None].expand_as(batch))
        for name, end in (("low", low), ("high", high))
    }
    paths = attribute(model, batch, ends, target=1)
    mean = (paths["low"] + paths["high"]) / 2
    torch.testing.assert_close(maps["xrai"].sum((1, 2)), mean.sum((1, 2, 3)), rtol=0, atol=1e-5)
    parts = maps.info["xrai"].parts
    assert parts["baselines"] == "image-extremes"
    torch.testing.assert_close(
        parts["score_change"],
        sum(paths.info[name].parts["score_change"] for name in ends) / 2,
    )
    by_max = attribute(model, batch, XRAI(steps=8, channels="max"), target=1)["xrai"]
    torch.testing.assert_close(by_max.sum((1, 2)), mean.amax(1).sum((1, 2)), rtol=0, atol=1e-5)


def test_in_display_units_the_baselines_are_black_and_white_inside_the_field():
    field = torch.zeros(1, 24, 24, dtype=torch.bool)
    field[:, 4:20, 4:20] = True
    model, batch = Convolutional().eval(), images(1)
    tasks = {
        "xrai": Task(explainer=XRAI(steps=8)),
        "black": Task(explainer=IntegratedGradients(steps=8, baseline="black")),
        "white": Task(explainer=IntegratedGradients(steps=8, baseline=1.0)),
        "extremes": Task(explainer=XRAI(steps=2, baselines="image-extremes")),
        "blur": Task(explainer=XRAI(steps=2, baselines=["blur"])),
    }
    frame = Frame(display=True, field=field)
    got = explain_batch(
        Network(forward=model, module=model), batch, tasks, Request(target=1, frame=frame)
    )
    assert got["xrai"].parts["baselines"] == "black-and-white"
    assert got["blur"].parts["baselines"] == ("blur",)
    for name in ("xrai", "extremes", "blur"):
        assert not got[name].maps[~field].any()
    both = (got["black"].maps + got["white"].maps) / 2
    torch.testing.assert_close(got["xrai"].maps.sum(), both.sum(), rtol=0, atol=1e-5)
    inside = batch[:, :, 4:20, 4:20]
    ends = [inside.amin(), inside.amax()]
    change = [model(torch.where(field, end, batch))[:, 1] for end in ends]
    expected = model(batch)[:, 1] - sum(change) / 2
    torch.testing.assert_close(got["extremes"].parts["score_change"], expected.detach())


def test_slices_of_a_volume_are_segmented_by_themselves_and_ranked_together():
    volumes = images(1, side=16, channels=3).unsqueeze(1)
    maps = attribute(Volumetric(), volumes, XRAI(steps=2), target=1)["xrai"]
    assert tuple(maps.shape) == (1, 3, 16, 16)
    ends = {
        name: IntegratedGradients(steps=2, baseline=torch.full_like(volumes, float(end)))
        for name, end in (("low", volumes.min()), ("high", volumes.max()))
    }
    paths = attribute(Volumetric(), volumes, ends, target=1)
    total = (paths["low"] + paths["high"]).sum() / 2
    torch.testing.assert_close(maps.sum(), total, rtol=0, atol=1e-5)


def test_a_table_beside_the_image_has_no_regions():
    class WithAge(nn.Module):
        def forward(self, image: Tensor, age: Tensor) -> Tensor:
            return image.mean(dim=(2, 3)) * age

    batch, age = images(1), torch.tensor([[0.7]])
    image, table = attribute(WithAge(), (batch, age), XRAI(steps=2), target=0)["xrai"]
    assert tuple(image.shape) == (1, 24, 24)
    assert table is None


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"baselines": []}, ValueError, "at least one"),
        ({"baselines": [torch.tensor(torch.nan)]}, ValueError, "must be finite"),
    ],
    ids=["no steps", "no baselines", "a baseline that is not finite"],
)
def test_settings_that_make_no_sense_are_refused(settings, error, match):
    with pytest.raises(error, match=match):
        XRAI(**settings)


def test_black_and_white_need_display_units():
    with pytest.raises(ValueError, match="display units"):
        attribute(Convolutional(), images(1), XRAI(baselines="black-and-white"))
