"""Regions can be told apart, with and without colour, and the smallest is still there."""

import numpy as np
import pytest

from foveal.core import Region
from foveal.report.outlines import contour, outlines, styles_of

ANATOMY = ["optic cup", "vessels", "macula", "fovea"]
LESIONS = ["microaneurysms", "haemorrhages", "hard exudates", "soft exudates", "optic disc"]


def region(rows: slice, columns: slice, grid: tuple[int, int] = (20, 30)) -> Region:
    mask = np.zeros(grid, bool)
    mask[rows, columns] = True
    return Region(name="drusen", mask=mask)


def test_a_contour_runs_half_way_between_the_pixels_on_either_side():
    (line,) = contour(region(slice(4, 8), slice(10, 16)).mask.astype(np.float32), 0.5)
    assert line.min(axis=0).tolist() == [4, 10]
    assert line.max(axis=0).tolist() == [8, 16]
    assert line[0].tolist() == line[-1].tolist(), "closed"


def test_a_region_at_the_edge_is_closed_along_the_edge():
    (line,) = contour(np.ones((3, 5), np.float32), 0.5)
    assert line.min(axis=0).tolist() == [0, 0]
    assert line.max(axis=0).tolist() == [3, 5]


def test_a_lesion_of_one_pixel_is_still_outlined_on_a_picture_of_half_the_size():
    (found,) = outlines([region(slice(5, 6), slice(11, 12))], (10, 15))
    (line,) = found.lines
    assert (line.min(axis=0) < (2.75, 5.75)).all(), "its middle lies inside"
    assert (line.max(axis=0) > (2.75, 5.75)).all()


def test_parts_that_touch_at_a_corner_are_one():
    both = region(slice(2, 4), slice(2, 4)).mask | region(slice(4, 6), slice(4, 6)).mask
    apart = both | region(slice(10, 11), slice(20, 21)).mask
    (found,) = outlines([Region(name="drusen", mask=apart)], (20, 30))
    assert found.parts == 2


def test_an_empty_region_has_no_lines():
    (found,) = outlines([region(slice(0, 0), slice(0, 0))], (10, 15))
    assert (found.parts, found.lines) == (0, ())


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(LESIONS, id="the common ones"),
        pytest.param([*LESIONS, "drusen", "scars"], id="with others"),
        pytest.param(["drusen", "scars", "fibrosis"], id="only others"),
        pytest.param([*LESIONS, *ANATOMY, "drusen", "scars"], id="lesions, anatomy and others"),
    ],
)
def test_styles_differ_in_colour_and_in_dashes(names):
    styles = styles_of(names)
    assert len({style.colour for style in styles.values()}) == len(names)
    assert len({style.dashes for style in styles.values()}) == len(names)


def test_a_region_looks_the_same_beside_others():
    assert styles_of(["drusen"])["drusen"] == styles_of(["scars", "drusen"])["drusen"]
    assert styles_of(LESIONS)["haemorrhages"] == styles_of(["haemorrhages"])["haemorrhages"]


def test_with_more_regions_than_styles_every_region_still_has_one():
    names = [f"region {number}" for number in range(12)]
    assert list(styles_of(names)) == names
