"""Rows and columns read from what layers give, never assumed."""

import pytest
import torch
from torch import nn

from foveal.models.layouts import layout_of

TOKENS = [
    pytest.param((224, 224), 197, (14, 14), 1, id="class token"),
    pytest.param((224, 224), 196, (14, 14), 0, id="no class token"),
    pytest.param((224, 224), 198, (14, 14), 2, id="class and distillation token"),
    pytest.param((256, 256), 261, (16, 16), 5, id="class token and four registers"),
    pytest.param((32, 32), 21, (4, 4), 5, id="few patches beside class token and registers"),
    pytest.param((518, 518), 1370, (37, 37), 1, id="patches of fourteen pixels"),
    pytest.param((224, 448), 393, (14, 28), 1, id="twice as wide as high"),
    pytest.param((230, 230), 197, (14, 14), 1, id="the rest of the image left out"),
    pytest.param((230, 230), 226, (15, 15), 1, id="the image padded to whole patches"),
    pytest.param((96, 64, 32), 385, (12, 8, 4), 1, id="volume"),
]


@pytest.mark.parametrize(("sides", "count", "grid", "prefix"), TOKENS)
def test_a_row_of_tokens_is_read_by_the_patch_size_that_explains_it(sides, count, grid, prefix):
    layout = layout_of(nn.Identity(), torch.zeros(1, count, 8), torch.zeros(1, 3, *sides))
    assert layout is not None
    assert (layout.grid, layout.prefix) == (grid, prefix)


@pytest.mark.parametrize("count", [1, 2, 768])
def test_a_row_of_tokens_that_no_patch_explains_has_no_grid(count):
    images = torch.zeros(1, 3, 224, 224)
    assert layout_of(nn.Identity(), torch.zeros(1, count, 8), images) is None


OUTPUTS = [
    pytest.param(nn.Identity(), (2, 64, 7, 7), False, id="channels second"),
    pytest.param(nn.Identity(), (2, 7, 7, 64), True, id="channels last"),
    pytest.param(nn.LayerNorm(7), (2, 7, 7, 7), True, id="layer norm over the last of equal axes"),
    pytest.param(nn.BatchNorm2d(7), (2, 7, 7, 7), False, id="batch norm over the second"),
    pytest.param(nn.Identity(), (2, 64, 7, 6), False, id="rounded to whole cells"),
]


@pytest.mark.parametrize(("module", "shape", "last"), OUTPUTS)
def test_channels_are_second_or_last_as_the_layer_works(module, shape, last):
    layout = layout_of(module, torch.zeros(shape), torch.zeros(2, 3, 56, 56))
    assert layout is not None
    assert layout.channels_last == last
    assert layout.grid == (shape[1:3] if last else shape[2:])


VOLUMES = [
    pytest.param((2, 8, 3, 5, 6), (3, 5, 6), False, id="coarser alike"),
    pytest.param((2, 8, 12, 5, 6), (12, 5, 6), False, id="all slices kept"),
    pytest.param((2, 8, 3, 7, 9), (3, 7, 9), False, id="edges cut off"),
    pytest.param((2, 12, 5, 6, 64), (12, 5, 6), True, id="channels last"),
    pytest.param((2, 8, 30, 5, 6), None, False, id="more slices than the volume has"),
    pytest.param((2, 8, 12, 5, 12), None, False, id="other rows than columns"),
]


@pytest.mark.parametrize(("shape", "grid", "last"), VOLUMES)
def test_a_network_may_keep_more_slices_than_rows_and_columns(shape, grid, last):
    layout = layout_of(nn.Identity(), torch.zeros(shape), torch.zeros(2, 1, 12, 20, 24))
    found = None if layout is None else (layout.grid, layout.channels_last)
    assert found == (None if grid is None else (grid, last))


NO_GRID = [
    pytest.param(nn.Identity(), (2, 64), id="a vector"),
    pytest.param(nn.Identity(), (2, 8, 49, 3), id="other proportions"),
    pytest.param(nn.Flatten(2), (2, 64, 49), id="flattened places"),
    pytest.param(nn.Identity(), (8, 49, 64), id="windows in the place of images"),
]


@pytest.mark.parametrize(("module", "shape"), NO_GRID)
def test_other_outputs_have_no_grid(module, shape):
    assert layout_of(module, torch.zeros(shape), torch.zeros(2, 3, 56, 56)) is None


@pytest.mark.parametrize("shape", [(2, 16, 4, 6), (2, 4, 6, 16), (2, 27, 16)])
def test_what_goes_to_the_grid_comes_back(shape):
    output = torch.rand(shape)
    layout = layout_of(nn.Identity(), output, torch.zeros(2, 3, 32, 48))
    assert layout is not None
    places = layout.to_grid(output)
    assert places.shape == (2, 16, 4, 6)
    assert torch.equal(layout.from_grid(places, output), output)
    changed = layout.from_grid(places + 1, output)
    assert torch.equal(layout.to_grid(changed), places + 1)
    if layout.prefix:
        assert torch.equal(changed[:, : layout.prefix], output[:, : layout.prefix])
