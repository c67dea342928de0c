"""What holds for any chain of preparation steps, whatever the grids and settings."""

import json

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foveal.core import Image
from foveal.images import (
    Color,
    Denoise,
    FieldOfView,
    FieldSize,
    Flip,
    Illumination,
    Resize,
    Spacing,
    map_to_original,
    map_to_prepared,
    mask_to_original,
    mask_to_prepared,
    points_to_original,
    points_to_prepared,
    revive,
)

SIDES = st.integers(40, 120)
REFERENCE = {
    "mean": [50.0, 20.0, 30.0],
    "sd": [10.0, 5.0, 6.0],
    "basis": [0.8, 0.5, 0.33, 0.1, 0.7, 0.7],
    "strength": [1.5, 1.2],
}
CROPS = st.fixed_dictionaries(
    {"kind": st.just(FieldOfView), "margin": st.floats(0, 0.3), "square": st.booleans()}
)
RESIZES = st.fixed_dictionaries(
    {
        "kind": st.just(Resize),
        "size": st.lists(st.integers(24, 90), min_size=2, max_size=2),
        "aspect": st.sampled_from(["pad", "stretch", "crop"]),
    }
)
# Strategies draw numbers and tests build from them, for drawing must not run checked code.
SCALED = st.fixed_dictionaries({"kind": st.just(FieldSize), "diameter": st.floats(20, 90)})
SPACED = st.fixed_dictionaries({"kind": st.just(Spacing), "mm": st.floats(0.008, 0.02)})
FLIPS = st.fixed_dictionaries({"kind": st.just(Flip), "to": st.sampled_from(["right", "left"])})
RETOUCHES = st.sampled_from(
    [
        {"kind": Illumination, "method": "background", "sigma": 0.3},
        {"kind": Illumination, "method": "ben-graham"},
        {"kind": Illumination, "method": "clahe", "tiles": 3},
        {"kind": Color, "reference": REFERENCE},
        {"kind": Color, "reference": REFERENCE, "method": "macenko"},
        {"kind": Denoise},
        {"kind": Denoise, "method": "median"},
    ]
)
STEPS = CROPS | RESIZES | SCALED | SPACED | FLIPS | RETOUCHES
CHAINS = st.fixed_dictionaries(
    {
        "grid": st.tuples(SIDES, SIDES),
        "corner": st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
        "extent": st.tuples(st.integers(20, 80), st.integers(20, 80)),
        "asked": st.lists(STEPS, min_size=1, max_size=3),
    }
)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1))


def chain(drawn):
    """One to three steps, each fitted to what the ones before have left."""
    grid = drawn["grid"]
    top, left = (round(share * side) for share, side in zip(drawn["corner"], grid, strict=True))
    rows, columns = drawn["extent"]
    field = np.zeros(grid, bool)
    field[top : top + rows, left : left + columns] = True
    steps = []
    for asked in drawn["asked"]:
        settings = {name: value for name, value in asked.items() if name != "kind"}
        pixels = np.zeros((3, *grid), np.float32)
        pixels[:, field] = np.array([[0.7], [0.4], [0.2]])
        image = Image(
            pixels=pixels, spacing_mm=(0.01, 0.012), laterality="left", steps=tuple(steps)
        )
        step = asked["kind"].fit(image, field, **settings)
        field, grid = step.mask_forward(field), step.target
        assume(field.any())
        steps.append(step)
    return steps


def pixel_sizes(steps):
    """The sides of a pixel of every grid on the way, measured in pixels of the original."""
    sizes = [np.ones(2)]
    for last in range(1, len(steps) + 1):
        start, end = points_to_original(np.array([[0.0, 0.0], [1.0, 1.0]]), steps[:last])
        sizes.append(np.abs(end - start))
    return np.array(sizes)


def visible(steps):
    """The first and last corner of what every step of the chain shows of the original."""
    first, last = np.zeros(2), np.array(steps[0].source, np.float64)
    for number, step in enumerate(steps):
        row, column, rows, columns = getattr(step, "source_box", (0, 0, *step.source))
        corners = np.array([[row, column], [row + rows, column + columns]], np.float64)
        start, end = points_to_original(corners, steps[:number])
        start, end = np.minimum(start, end), np.maximum(start, end)  # a flip turns their order
        first, last = np.maximum(first, start), np.minimum(last, end)
    return first, last


def marked(steps, shares):
    """A point of the original around which the chain shows three of its coarsest pixels."""
    room = 3 * pixel_sizes(steps).max()
    first, last = visible(steps)
    assume((last - first > 2 * room).all())
    return first + room + np.array(shares) * (last - first - 2 * room)


def distances(grid, point):
    rows, columns = np.indices(grid) + 0.5
    return np.hypot(rows - point[0], columns - point[1])


def centroid(values):
    rows, columns = np.indices(values.shape) + 0.5
    return np.array([(values * rows).sum(), (values * columns).sum()]) / values.sum()


@given(CHAINS, st.lists(st.tuples(st.floats(-50, 200), st.floats(-50, 200)), min_size=1))
def test_points_come_back_where_they_were(drawn, points):
    steps, points = chain(drawn), np.array(points)

    there = points_to_prepared(points, steps)

    np.testing.assert_allclose(points_to_original(there, steps), points, atol=1e-9)


@given(CHAINS, SHARES)
def test_a_marked_pixel_comes_back_within_half_a_pixel_of_the_coarser_grid(drawn, shares):
    steps = chain(drawn)
    point = marked(steps, shares)
    there = np.floor(points_to_prepared(point[np.newaxis], steps)) + 0.5

    back = points_to_original(there, steps)[0]

    assert (np.abs(back - point) <= pixel_sizes(steps)[[0, -1]].max(axis=0) / 2 + 1e-9).all()


@given(CHAINS, SHARES)
@settings(deadline=None)
def test_a_peak_of_a_map_arrives_at_the_place_of_the_point(drawn, shares):
    steps = chain(drawn)
    point = marked(steps, shares)
    coarsest = pixel_sizes(steps).max()
    peak = np.exp(-0.5 * (2 * distances(steps[0].source, point) / coarsest) ** 2).astype(np.float32)

    arrived = centroid(map_to_prepared(peak, steps))

    back = points_to_original(arrived[np.newaxis], steps)[0]
    np.testing.assert_allclose(back, point, atol=coarsest / 4)


@given(CHAINS, SHARES)
@settings(deadline=None)
def test_a_mask_arrives_at_the_place_of_the_point_and_comes_back_there(drawn, shares):
    steps = chain(drawn)
    point = marked(steps, shares)
    # Every resampling moves the edge of a mask by at most half a pixel of its coarser grid.
    slack = pixel_sizes(steps)[1:].sum(axis=0) / 2
    mask = distances(steps[0].source, point) <= 2 * pixel_sizes(steps).max()

    there = mask_to_prepared(mask, steps)
    back = mask_to_original(there, steps)

    arrived = points_to_original(centroid(there)[np.newaxis], steps)[0]
    assert (np.abs(arrived - centroid(mask)) <= slack).all()
    assert (np.abs(centroid(back) - centroid(mask)) <= 2 * slack).all()


@given(CHAINS, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_map_keeps_its_values_within_their_range_on_both_ways(drawn, seed):
    steps = chain(drawn)
    values = np.random.default_rng(seed).normal(size=steps[0].source).astype(np.float32)

    there = map_to_prepared(values, steps)
    back = map_to_original(there, steps)

    for carried, given_map in ((there, values), (back, there)):
        assert carried.min() >= min(given_map.min(), 0) - 1e-5
        assert carried.max() <= max(given_map.max(), 0) + 1e-5
    assert there.shape == steps[-1].target
    assert back.shape == steps[0].source


@given(SIDES, SIDES, st.sampled_from(["pad", "stretch", "crop"]), st.integers(0, 2**32 - 1))
def test_steps_that_change_no_grid_change_nothing(rows, columns, aspect, seed):
    pixels = np.random.default_rng(seed).random((3, rows, columns), np.float32)
    image, field = Image(pixels=pixels), np.ones((rows, columns), bool)
    steps = [
        Resize.fit(image, field, size=[rows, columns], aspect=aspect),
        FieldOfView.fit(image, field),
    ]
    mask = pixels[0] > 0.5

    for step in steps:
        np.testing.assert_array_equal(step.pixels_forward(pixels), pixels)
        for carry in (step.map_forward, step.map_back):
            np.testing.assert_array_equal(carry(pixels[0]), pixels[0])
        for carry in (step.mask_forward, step.mask_back):
            np.testing.assert_array_equal(carry(mask), mask)


@given(CHAINS)
def test_a_stored_chain_is_revived_as_it_was(drawn):
    steps = chain(drawn)
    stored = json.loads(json.dumps([step.numbers() for step in steps]))

    assert [revive(numbers) for numbers in stored] == steps


@given(RETOUCHES | FLIPS, SIDES, SIDES, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_revived_step_does_the_same_to_pictures_of_odd_shapes(drawn, rows, columns, seed):
    row, column = np.indices((rows, columns)) + 0.5
    field = np.hypot(row / rows - 0.5, column / columns - 0.5) < 0.45
    pixels = field * np.random.default_rng(seed).uniform(0.3, 0.9, (3, rows, columns))
    image = Image(pixels=pixels.astype(np.float32), laterality="left", modality="fundus")
    step = drawn["kind"].fit(
        image, field, **{name: value for name, value in drawn.items() if name != "kind"}
    )

    shown = step.pixels_forward(image.pixels)

    revived = revive(json.loads(json.dumps(step.numbers())))
    np.testing.assert_array_equal(revived.pixels_forward(image.pixels), shown)
    assert shown.shape == image.pixels.shape
    assert shown.dtype == np.float32
    assert 0 <= shown.min() <= shown.max() <= 1
