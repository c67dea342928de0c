"""Where pixels lie on the retina, and textures that stay there."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import BSpline

from foveal.synthetic import draw_fundus
from foveal.synthetic.view import SPAN, smooth_noise, view_of

SPEC = draw_fundus(3, laterality="right", device="rose")


def test_the_middle_of_the_picture_is_where_the_eye_looks():
    view = view_of(SPEC, 100)
    middle = np.array([SPEC.exposure.gaze])
    np.testing.assert_allclose(view.to_pixels(middle), [[49.5, 49.5]], atol=1e-9)


def test_the_field_spans_the_degrees_of_the_device():
    view = view_of(SPEC, 400)
    top, bottom = view.to_pixels(
        np.array(SPEC.exposure.gaze) + np.array([[-SPEC.device.field_deg / 2, 0], [22.5, 0]])
    )
    assert bottom[0] - top[0] == pytest.approx(400 * SPEC.device.diameter)


def test_in_a_left_eye_the_nose_is_on_the_other_side():
    right, left = view_of(SPEC, 64), view_of(replace(SPEC, laterality="left"), 64)
    np.testing.assert_array_equal(right.columns, left.columns[::-1])
    np.testing.assert_array_equal(right.rows, left.rows)


def test_places_and_pixels_are_inverse_on_both_sides():
    for spec in (SPEC, replace(SPEC, laterality="left")):
        view = view_of(spec, 64)
        places = np.array([[view.rows[7], view.columns[50]]])
        np.testing.assert_allclose(view.to_pixels(places), [[7, 50]], atol=1e-9)


def test_a_texture_is_the_cubic_b_spline_of_its_lattice():
    view = view_of(SPEC, 64)
    noise = smooth_noise(view, seed=5, layer=2, step_deg=3.0)
    nodes = int(2 * SPAN / 3.0) + 4
    random = np.random.default_rng([5, 2])
    lattice = random.standard_normal((nodes, nodes), dtype=np.float32)
    spline = BSpline(np.arange(nodes + 4) - 3.0, lattice, 3)
    by_row = spline((view.rows + SPAN) / 3.0)
    expected = BSpline(np.arange(nodes + 4) - 3.0, by_row.T, 3)((view.columns + SPAN) / 3.0).T
    np.testing.assert_allclose(noise, expected / (151 / 315), atol=1e-4)


def test_a_texture_has_the_standard_deviation_it_promises():
    noise = smooth_noise(view_of(SPEC, 256), seed=1, layer=0, step_deg=0.4)
    assert abs(float(noise.mean())) < 0.05
    assert float(noise.std()) == pytest.approx(1, abs=0.05)


def test_a_texture_lies_still_on_the_retina_when_the_picture_is_finer():
    coarse = smooth_noise(view_of(SPEC, 80), seed=1, layer=0, step_deg=2.0)
    fine = smooth_noise(view_of(SPEC, 240), seed=1, layer=0, step_deg=2.0)
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-5)
