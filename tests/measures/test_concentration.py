"""Concentration: the closed forms of blobs, noise and constant maps."""

import numpy as np
import pytest

from foveal.measures import ebc, gini, map_entropy, mean_attribution_area

ALL = (mean_attribution_area, ebc, gini, map_entropy)
ROWS, COLUMNS = np.mgrid[:224, :224] - 111.5
CIRCLE = ROWS**2 + COLUMNS**2 <= 112**2
# (MAA, EBC) of Gaussian blobs of sigma px in a round field of 224 px.
BLOBS = [
    pytest.param(36, 0.143, 0.625, id="focused"),
    pytest.param(50, 0.28, 0.43, id="in between"),
    pytest.param(60, 0.40, 0.36, id="diffuse"),
]


@pytest.mark.parametrize(("sigma", "area", "energy"), BLOBS)
def test_a_blob_has_the_area_and_energy_of_its_closed_form(sigma, area, energy):
    blob = np.exp(-(ROWS**2 + COLUMNS**2) / (2 * sigma**2))
    found_area = mean_attribution_area(blob, field=CIRCLE).value
    found_energy = ebc(blob, field=CIRCLE).value
    half = 2 * sigma**2 * np.log(2) / 112**2
    within = -np.expm1(-0.2 * 112**2 / (2 * sigma**2)) / -np.expm1(-(112**2) / (2 * sigma**2))
    assert found_area == pytest.approx(half, abs=2e-3)
    assert found_energy == pytest.approx(within, abs=2e-3)
    assert found_area == pytest.approx(area, abs=0.006)
    assert found_energy == pytest.approx(energy, abs=0.006)


def test_a_constant_map_is_as_spread_as_can_be():
    flat = np.full((7, 9), 0.3)
    assert mean_attribution_area(flat).value == 1
    assert ebc(flat).value == pytest.approx(0.2, abs=1e-12)
    assert ebc(flat, q=0.05).value == pytest.approx(0.05, abs=1e-12)
    assert gini(flat).value == pytest.approx(0, abs=1e-12)
    assert map_entropy(flat).value == pytest.approx(1, abs=1e-12)


def test_one_pixel_that_holds_everything_is_as_concentrated_as_can_be():
    one = np.zeros((10, 10))
    one[3, 4] = 7
    assert mean_attribution_area(one).value == 0.01
    assert ebc(one).value == 1
    assert gini(one).value == pytest.approx(0.99)
    assert map_entropy(one).value == 0


def test_white_noise_covers_little_and_still_holds_energy():
    noise = np.abs(np.random.default_rng(0).normal(size=(224, 224)))
    assert gini(noise).value == pytest.approx(np.sqrt(2) - 1, abs=3e-3)
    assert ebc(noise, field=CIRCLE).value == pytest.approx(0.44, abs=0.01)
    assert mean_attribution_area(noise, field=CIRCLE).value == pytest.approx(0.02, abs=0.02)


def test_gini_is_the_mean_difference_of_pairs():
    values = np.abs(np.random.default_rng(1).normal(size=(6, 7)))
    pairs = np.abs(values.ravel()[:, None] - values.ravel()[None])
    assert gini(values).value == pytest.approx(pairs.mean() / (2 * values.mean()))


def test_negative_values_and_what_is_outside_the_field_do_not_count():
    values = np.array([[1.0, -5.0, 3.0, 100.0]])
    field = np.array([[1, 1, 1, 0]])
    plain = np.array([[1.0, 0.0, 3.0]])
    for measure in ALL:
        assert measure(values, field=field).value == pytest.approx(measure(plain).value)


def test_the_area_is_in_square_millimetres_where_the_spacing_is_known():
    values = np.zeros((10, 10))
    values[:2, :3] = 1
    score = mean_attribution_area(values, spacing_um=(4.0, 11.0))
    assert score.value == pytest.approx(0.06)
    assert score.parts["area_mm2"] == pytest.approx(6 * 44e-6)
    with pytest.raises(ValueError, match="spacing_um must be"):
        mean_attribution_area(values, spacing_um=(0.0, 1.0))


@pytest.mark.parametrize("measure", ALL, ids=lambda measure: measure.__name__)
def test_without_evidence_there_is_nothing_to_concentrate(measure):
    assert measure(-np.ones((4, 4))).reason == "zero_map"
    assert measure(np.full((4, 4), np.nan)).reason == "nan_map"
    assert measure(np.ones((4, 4))).direction == "context"


def test_settings_out_of_range_are_refused():
    assert map_entropy(np.ones((1, 1))).reason == "too_few"
    with pytest.raises(ValueError, match=r"q must be in \(0, 1\]"):
        ebc(np.ones((4, 4)), q=0)
