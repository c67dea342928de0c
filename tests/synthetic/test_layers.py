"""Vessels and spots against the area and the distance they should have."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from foveal.synthetic import draw_fundus
from foveal.synthetic.layers import smoothstep, spot_layer, vessel_layers
from foveal.synthetic.spec import Spot, Vessel
from foveal.synthetic.view import view_of

SPEC = draw_fundus(2, laterality="right", device="rose")
SPEC = replace(SPEC, exposure=replace(SPEC.exposure, gaze=(0.0, 0.0)))
VIEW = view_of(SPEC, 256)
SCALE = VIEW.pixels_per_unit
SMOOTH = np.zeros((256, 256), np.float32)
SPOT = Spot(row=1.0, column=-2.0, radius=1.5, strength=1.0, soft=0.1)


def line(*points, radius, kind="vein"):
    return Vessel(kind=kind, points=points, radii=(radius,) * len(points))


def test_a_vessel_is_where_its_wall_is_by_the_slow_way():
    """The distance of every pixel to points laid densely on the Catmull-Rom curve."""
    vessel, view = line((-8.0, -6.0), (-2.0, 1.0), (7.0, 9.0), radius=1.2), view_of(SPEC, 96)
    _, place = vessel_layers(view, [vessel])
    first, second, third = view.to_pixels(np.array(vessel.points))
    t = np.linspace(0, 1, 300)[:, None]
    curve = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in [
            (2 * first - second, first, second, third),
            (first, second, third, 2 * third - second),
        ]
    ]
    pixels = np.stack(np.meshgrid(np.arange(96), np.arange(96), indexing="ij"), -1)
    distances = np.linalg.norm(pixels[:, :, None] - np.concatenate(curve), axis=3).min(axis=2)
    expected = np.maximum(1 - distances / (1.2 * view.pixels_per_unit), 0)
    np.testing.assert_allclose(place, expected, atol=0.02)


def test_a_straight_vessel_has_the_area_of_its_width_times_its_length():
    blood, place = vessel_layers(VIEW, [line((-15.0, 0.0), (15.0, 6.0), radius=1.0)])
    length = 128 * np.hypot(30, 6) / 30
    assert float((place > 0)[64:192].sum()) == pytest.approx(2 * SCALE * length, rel=0.02)
    assert blood[128].max() == pytest.approx(1.0, abs=0.02)


def test_a_thin_vessel_takes_less_light_than_a_wide_one():
    depths = [
        vessel_layers(VIEW, [line((-10.0, 3.0), (10.0, 3.0), radius=radius)])[0].max()
        for radius in (0.02, 0.05, 0.1, 0.3)
    ]
    assert depths == sorted(depths)
    assert depths[0] < 0.25 * depths[-1]


def test_vessels_outside_the_picture_and_none_at_all_leave_it_empty():
    outside = line((-60.0, 0.0), (-70.0, 5.0), radius=1.0)
    for vessels in ([outside], []):
        assert all(not layer.any() for layer in vessel_layers(VIEW, vessels))


def test_the_order_of_vessels_does_not_matter():
    upright = line((-9.0, 2.0), (9.0, 2.5), radius=0.3)
    vessels = [upright, line((2.0, -9.0), (2.5, 9.0), radius=0.2)]
    for one, other in zip(
        vessel_layers(VIEW, vessels), vessel_layers(VIEW, vessels[::-1]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


SPOTS = [
    pytest.param(SPOT, pi * 1.5**2, id="a disc"),
    pytest.param(replace(SPOT, stretch=2.0, angle=0.7), 2 * pi * 1.5**2, id="an ellipse"),
    pytest.param(replace(SPOT, level=1.0), pi * 1.5**2 / 2, id="a boat: the lower half"),
    pytest.param(replace(SPOT, strength=0.3), 0.3 * pi * 1.5**2, id="a faint disc"),
]


@pytest.mark.parametrize(("spot", "area"), SPOTS)
def test_a_spot_covers_the_area_of_its_ellipse(spot, area):
    layer = spot_layer(VIEW, [spot], SMOOTH)
    assert float(layer.sum()) / SCALE**2 == pytest.approx(area, rel=0.02)
    assert float(layer.max()) == pytest.approx(spot.strength)


def test_the_longer_diameter_points_where_the_angle_says():
    layer = spot_layer(VIEW, [replace(SPOT, stretch=4.0, radius=0.5, angle=0.4)], SMOOTH)
    rows, columns = np.nonzero(layer > 0.5)
    (_, along), vectors = np.linalg.eigh(np.cov(VIEW.rows[rows], VIEW.columns[columns]))
    assert abs(vectors[:, 1] @ [np.cos(0.4), np.sin(0.4)]) == pytest.approx(1, abs=1e-2)
    assert along > 0


def test_grain_makes_a_border_ragged_without_moving_the_middle():
    grain = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    rough = spot_layer(VIEW, [replace(SPOT, rough=0.2)], grain)
    round_ = spot_layer(VIEW, [SPOT], grain)
    row, column = np.round(VIEW.to_pixels(np.array([[SPOT.row, SPOT.column]]))[0]).astype(int)
    assert rough[row, column] == round_[row, column] == 1
    assert np.abs(rough - round_).max() > 0.5


def test_a_spot_over_the_border_is_cut_off_there():
    half = 0.5 / SCALE
    corner = replace(SPOT, row=VIEW.rows[0] - half, column=VIEW.columns[-1] + half)
    layer = spot_layer(VIEW, [corner], SMOOTH)
    assert float(layer.sum()) / SCALE**2 == pytest.approx(pi * 1.5**2 / 4, rel=0.02)


def test_smoothstep_rises_evenly_from_0_to_1():
    np.testing.assert_allclose(smoothstep([-1, 0, 0.25, 0.5, 1, 2]), [0, 0, 0.15625, 0.5, 1, 1])
