"""A dot on a map lies where its point lies, for every window that a step can be."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foveal.images import Resize
from foveal.report.carry import Way

SIDES = st.integers(4, 60)


@st.composite
def boxes(draw: st.DrawFn, grid: tuple[int, int]) -> tuple[int, int, int, int]:
    sizes = [draw(st.integers(4, side)) for side in grid]
    starts = [draw(st.integers(0, side - size)) for side, size in zip(grid, sizes, strict=True)]
    return starts[0], starts[1], sizes[0], sizes[1]


@st.composite
def windows(draw: st.DrawFn) -> Resize:
    source, target = (draw(SIDES), draw(SIDES)), (draw(SIDES), draw(SIDES))
    return Resize(
        source=source,
        target=target,
        source_box=draw(boxes(source)),
        target_box=draw(boxes(target)),
        aspect="stretch",
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_dot_is_drawn_within_half_a_pixel_of_its_point(data):
    step = data.draw(windows())
    picture = data.draw(SIDES), data.draw(SIDES)
    way = Way(steps=(step,), original=step.source, prepared=step.target, picture=picture)
    row, column, rows, columns = step.target_box
    cell = (
        row + data.draw(st.integers(0, rows - 1)),
        column + data.draw(st.integers(0, columns - 1)),
    )
    dot = np.zeros(step.target, np.float32)
    dot[cell] = 1
    drawn = way.carry(dot)
    (point,) = way.points(np.array([cell]) + 0.5, step.target)
    there = point * picture / np.array(step.source)
    assume(way.seen[tuple(there.astype(int))])  # a pixel with its centre outside has no value
    peak = (np.argwhere(drawn == drawn.max()) + 0.5).mean(axis=0)
    coarser = np.maximum(1, np.array(way.cell(step.target)) * picture / np.array(step.source))
    # Two pixels before the end of what was seen, weights are cut off on one side.
    first, last = (np.array(step.source_box) * (picture * 2) / (step.source * 2)).reshape(2, 2)
    near_an_end = (there - first < 2) | (first + last - there < 2)
    assert (np.abs(peak - there) <= coarser * np.where(near_an_end, 1, 0.5) + 1e-6).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_level_map_stays_level_where_it_was_seen_and_is_nothing_elsewhere(data):
    step = data.draw(windows())
    picture = data.draw(SIDES), data.draw(SIDES)
    native = data.draw(SIDES), data.draw(SIDES)
    way = Way(steps=(step,), original=step.source, prepared=step.target, picture=picture)
    drawn = way.carry(np.full(native, 3.0, np.float32))
    np.testing.assert_allclose(drawn, np.where(way.seen, 3, 0), rtol=1e-5)
