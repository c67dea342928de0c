"""Which pixels an outline holds, against a slow twin, by laws, and against another library."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Polygon
from skimage.draw import polygon2mask

from foveal.core import ImageError
from foveal.images.annotations.runs import counts_of, mask_of_runs
from foveal.images.annotations.shapes import Bits, Dots, Ellipse, Outline, box

GRID = (9, 13)


def drawn(shape, grid=GRID):
    mask = np.zeros(grid, bool)
    shape.draw(grid).add_to(mask)
    return mask


def holds(rings, row, column):
    """Whether a ray to the left crosses an odd number of edges; an edge owns its upper end."""
    crossings = 0
    for ring in rings:
        for edge in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
            (r0, c0), (r1, c1) = sorted(edge, key=lambda end: end[0])
            if r0 <= row < r1:
                crossings += c0 + (row - r0) / (r1 - r0) * (c1 - c0) <= column
    return crossings % 2 == 1


def slow(rings, grid=GRID):
    centres = np.argwhere(np.ones(grid)) + 0.5
    return np.array([holds(rings, *centre) for centre in centres.tolist()]).reshape(grid)


ring = arrays(
    float,
    st.tuples(st.integers(3, 9), st.just(2)),
    elements=st.integers(-24, 120).map(lambda eighths: eighths / 8),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ring, min_size=1, max_size=3))
def test_outlines_hold_what_a_ray_finds_inside(rings):
    np.testing.assert_array_equal(drawn(Outline(tuple(rings))), slow(rings))


def test_outlines_agree_with_matplotlib_where_no_centre_lies_on_an_edge():
    random = np.random.default_rng(0)
    for _ in range(20):
        angles = np.sort(random.uniform(0, 2 * np.pi, 11))
        star = 6.1 + random.uniform(1, 6, 11)[:, None] * np.c_[np.sin(angles), np.cos(angles)]
        rows, columns = np.mgrid[:14, :14] + 0.5
        inside = Polygon(star).contains_points(np.c_[rows.ravel(), columns.ravel()])

        np.testing.assert_array_equal(drawn(Outline((star,)), (14, 14)), inside.reshape(14, 14))
        # scikit-image has pixel centres at whole numbers.
        np.testing.assert_array_equal(polygon2mask((14, 14), star - 0.5), inside.reshape(14, 14))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 72), st.integers(0, 104), st.integers(1, 71))
def test_neighbours_share_no_pixel_and_leave_none_out(row, column, slant):
    """Four parts of the picture round any point, cut by a slanted line."""
    at, far = np.array([row, column]) / 8, np.array([0, slant * 13 / 72])
    corners = np.array([(0, 0), far, (0, 13), (9, 13), (9, 0)], float)
    parts = [
        drawn(Outline((np.array([at, one, other]),)))
        for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]

    np.testing.assert_array_equal(sum(part.astype(int) for part in parts), np.ones(GRID))


def test_a_ring_within_a_ring_is_a_hole():
    outer, inner = (np.array(box(a, a, 9 - a, 9 - a).rings[0]) for a in (1, 3))

    mask = drawn(Outline((outer, inner)))

    expected = np.zeros(GRID, bool)
    expected[1:8, 1:8] = True
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(mask, expected)


def test_a_turned_box_is_the_same_box_after_a_full_turn():
    once = drawn(box(2.25, 3.25, 5.75, 9.75, degrees=30))

    np.testing.assert_array_equal(drawn(box(2.25, 3.25, 5.75, 9.75, degrees=390)), once)
    np.testing.assert_array_equal(drawn(box(2.25, 3.25, 5.75, 9.75, degrees=210)), once)
    # Clockwise: the right end goes down.
    assert np.argwhere(once)[:, 1][np.argwhere(once)[:, 0].argmax()] > 6


def test_the_area_of_an_ellipse_is_pi_times_its_half_axes():
    mask = drawn(Ellipse((200.3, 199.6), (90.0, 151.0), 33.0), (400, 400))

    assert mask.sum() == pytest.approx(np.pi * 90 * 151, rel=2e-4)


def test_shapes_outside_the_picture_have_no_pixel():
    for shape in (
        box(-9.0, -9.0, -2.0, -2.0),
        box(50.0, 50.0, 60.0, 60.0),
        Ellipse((-30.0, 5.0), (3.0, 3.0)),
        Dots(np.array([[9.0, 3.0], [-0.1, 3.0]])),
        Bits(np.ones((2, 2), bool), 40, -7),
    ):
        assert not drawn(shape).any()


@pytest.mark.parametrize(
    "rings",
    [(), (np.zeros((2, 2)),), (np.array([[0, 0], [1, np.nan], [2, 2]]),), (np.full((3, 2), 1e12),)],
    ids=["no ring", "two points", "no number", "far away"],
)
def test_what_is_no_outline_is_refused(rings):
    with pytest.raises(ImageError, match="holds"):
        Outline(rings)


def test_an_outline_that_would_fill_the_memory_is_refused():
    zigzag = np.tile([[0.0, 0.0], [4000.0, 1.0]], (20_000, 1))

    with pytest.raises(ImageError, match="crosses the picture too often"):
        Outline((zigzag,)).draw((4000, 4000))


@settings(max_examples=40, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))), st.booleans())
def test_runs_are_the_mask_that_they_were_made_from(mask, by_columns):
    from annotators import compressed, runs

    counts = runs(mask, by_columns)

    again = mask_of_runs(np.array(counts), mask.shape, by_columns=by_columns)
    np.testing.assert_array_equal(again, mask)
    assert counts_of(compressed(counts)).tolist() == counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X", "was cut off"),
        ("é", "cannot be read"),
        ("ooooooooooooooo1", "cannot be read"),
        (" ", "cannot be read"),
    ],
)
def test_letters_that_are_no_runs_are_refused(text, message):
    with pytest.raises(ImageError, match=message):
        counts_of(text)
