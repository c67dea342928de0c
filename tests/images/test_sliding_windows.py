"""Windows by operations on whole arrays do what ndimage does pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from foveal.images.preparation.flatten import Flatten
from foveal.images.preparation.resample import covered_half
from foveal.images.preparation.sliding import grown, joined, opened, window_means

GRIDS = pytest.mark.parametrize("grid", [(40, 57), (12, 9), (3, 30), (1, 1)], ids=str)


def blobs(grid, *, share=0.5):
    noise = np.random.default_rng(5).normal(size=grid)
    smooth = ndimage.gaussian_filter(noise, 2)
    return smooth >= np.quantile(smooth, 1 - share)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 9, 17, 31])
def test_the_largest_of_every_window_is_found_by_doubling_its_width(width):
    values = np.random.default_rng(width).normal(size=(3, 40))
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=1)
    np.testing.assert_array_equal(joined(np.maximum, values, width), windows.max(axis=2))


@GRIDS
@pytest.mark.parametrize("window", [(3, 3), (3, 5), (7, 1), (31, 5)], ids=str)
def test_window_means_mirror_the_picture_at_its_edge(grid, window):
    values = np.random.default_rng(1).uniform(size=(2, *grid))
    before = values.copy()
    expected = ndimage.uniform_filter(values, (1, *window), mode="reflect")
    np.testing.assert_allclose(window_means(values, window), expected, rtol=1e-12)
    np.testing.assert_array_equal(values, before)


@GRIDS
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_opening_keeps_what_a_square_fits_into(grid, share):
    mask = blobs(grid, share=share)
    square = np.ones((9, 9), bool)
    np.testing.assert_array_equal(opened(mask, 9), ndimage.binary_opening(mask, square))


@GRIDS
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_mask_grows_by_its_neighbours_and_leaves_the_old_one_alone(grid, times):
    mask = blobs(grid, share=0.1)
    before = mask.copy()
    expected = ndimage.binary_dilation(mask, iterations=times)
    np.testing.assert_array_equal(grown(mask, times), expected)
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("shift", [[0, 0, 2, 2, -3], [5, -5, 5, -5, 0], [1, 1, 1, 1, 1]], ids=str)
def test_flattening_moves_column_by_column(shift):
    pixels = np.random.default_rng(2).uniform(size=(1, 6, 5)).astype(np.float32)
    step = Flatten(source=(6, 5), target=(6, 5), line="BM", degree=None, shifts=tuple(shift))
    expected = np.zeros_like(pixels)
    for row, column in np.ndindex(6, 5):
        if 0 <= row + shift[column] < 6:
            expected[0, row + shift[column], column] = pixels[0, row, column]
    np.testing.assert_array_equal(step.pixels_forward(pixels), expected)
    np.testing.assert_array_equal(step.mask_forward(pixels[0] > 0), expected[0] > 0)


def test_a_field_that_fills_its_grid_fills_every_grid():
    assert covered_half(np.ones((50, 31), bool), (17, 90)).all()
