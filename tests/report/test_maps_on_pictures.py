"""A map lands on the picture where its values belong, whatever the steps were."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from foveal.core import AbstractStep
from foveal.images import FieldOfView, Resize, map_to_original
from foveal.report.carry import Way

CROP = FieldOfView(
    source=(40, 60), target=(44, 44), source_box=(0, 10, 40, 44), target_box=(2, 0, 40, 44),
    margin=0.0, square=True, blacken=False, modality="fundus",
)  # fmt: skip
PAD = Resize(
    source=(44, 44), target=(22, 33), source_box=(0, 0, 44, 44), target_box=(0, 5, 22, 22),
    aspect="pad",
)  # fmt: skip
CUT = Resize(
    source=(40, 60), target=(20, 20), source_box=(0, 10, 40, 40), target_box=(0, 0, 20, 20),
    aspect="crop",
)  # fmt: skip


class Turned(AbstractStep):
    """Rows become columns: no axis depends on itself alone."""

    name = "turned"
    source = (40, 60)
    target = (60, 40)

    def numbers(self) -> Mapping[str, object]:
        return {}

    def pixels_forward(self, pixels):
        return pixels.transpose(0, 2, 1)

    def points_forward(self, points):
        return points[:, ::-1]

    def points_back(self, points):
        return points[:, ::-1]

    def map_forward(self, values):
        return values.T

    def map_back(self, values):
        return values.T

    def mask_forward(self, mask):
        return mask.T

    def mask_back(self, mask):
        return mask.T


class Mirrored(Turned):
    """Left becomes right, as for a left eye shown like a right one."""

    name = "mirrored"
    target = (40, 60)

    def points_forward(self, points):
        return np.stack([points[:, 0], 60 - points[:, 1]], axis=1)

    points_back = points_forward

    def map_forward(self, values):
        return values[:, ::-1]

    map_back = map_forward


WAYS = [
    pytest.param((), (40, 60), id="nothing"),
    pytest.param((CROP,), (44, 44), id="a crop beyond the image"),
    pytest.param((CROP, PAD), (22, 33), id="a crop and a pad"),
    pytest.param((CUT,), (20, 20), id="a cut"),
    pytest.param((Turned(),), (60, 40), id="rows and columns exchanged"),
    pytest.param((Mirrored(),), (40, 60), id="mirrored"),
]


@pytest.mark.parametrize("picture", [(40, 60), (80, 120), (20, 30)])
@pytest.mark.parametrize(("steps", "prepared"), WAYS)
def test_a_dot_lands_where_its_point_lies(steps, prepared, picture):
    way = Way(steps=steps, original=(40, 60), prepared=prepared, picture=picture)
    dot = np.zeros(prepared, np.float32)
    row, column = prepared[0] // 2, prepared[1] // 2
    dot[row, column] = 1
    (there,) = way.points(np.array([[row + 0.5, column + 0.5]]), prepared)
    drawn = way.carry(dot)
    peak = np.argwhere(drawn == drawn.max()) + 0.5
    coarser = np.maximum(1, way.cell(prepared)) * np.maximum(1, np.array(picture) / (40, 60))
    assert (np.abs(peak.mean(axis=0) - there * picture / (40, 60)) <= coarser / 2).all()


@pytest.mark.parametrize(("steps", "prepared"), WAYS)
def test_the_short_way_agrees_with_the_way_over_the_original(steps, prepared):
    rows, columns = np.mgrid[: prepared[0], : prepared[1]] + 0.5
    smooth = (1 + rows / prepared[0] + 2 * columns / prepared[1]).astype(np.float32)
    way = Way(steps=steps, original=(40, 60), prepared=prepared, picture=(40, 60))
    long = map_to_original(smooth, steps)
    inside = way.seen & (long > 0)
    assert (way.seen == (long > 0)).all()
    # At the edges the two ways differ by what they take to lie beyond: half a prepared pixel.
    half = 0.5 * (1 / prepared[0] + 2 / prepared[1])
    assert np.abs(way.carry(smooth) - long)[inside].max() <= half + 1e-6


def test_a_map_on_its_own_grid_is_as_pytorch_resizes_it():
    values = np.random.default_rng(0).random((16, 12)).astype(np.float32)
    for picture in ((40, 60), (8, 6), (16, 12), (9, 30)):
        way = Way(steps=(), original=(160, 120), prepared=(160, 120), picture=picture)
        twin = F.interpolate(
            torch.from_numpy(values)[None, None], picture, mode="bilinear", antialias=True
        )
        np.testing.assert_allclose(way.carry(values), twin[0, 0].numpy(), atol=1e-5)


def test_what_the_model_did_not_see_stays_without_a_value():
    way = Way(steps=(CUT,), original=(40, 60), prepared=(20, 20), picture=(40, 60))
    assert way.seen.sum(axis=1).tolist() == [40] * 40
    assert not way.seen[:, :10].any()
    assert not way.carry(np.ones((4, 4), np.float32))[:, :10].any()


def test_a_window_shows_nothing_beside_its_box_even_where_the_target_grid_goes_on():
    inner = Resize(
        source=(40, 60), target=(20, 30), source_box=(10, 10, 20, 20), target_box=(5, 5, 10, 10),
        aspect="crop",
    )  # fmt: skip
    way = Way(steps=(inner,), original=(40, 60), prepared=(20, 30), picture=(40, 60))
    assert np.argwhere(way.seen).min(axis=0).tolist() == [10, 10]
    assert np.argwhere(way.seen).max(axis=0).tolist() == [29, 29]


def test_a_cell_is_as_large_as_its_share_of_what_the_model_saw():
    way = Way(steps=(CROP, PAD), original=(40, 60), prepared=(22, 33), picture=(40, 60))
    assert way.cell((22, 33)) == pytest.approx((2, 2))
    assert way.cell((11, 3)) == pytest.approx((4, 22))
