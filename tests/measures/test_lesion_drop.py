"""A model that adds up some pixels loses exactly what they held, whatever a map says."""

import numpy as np
import pytest

from foveal.measures import excess_drop, lesion_drop, lesion_hit_rate, mass_lift

GRID = (24, 24)
FIELD = np.hypot(*(np.mgrid[:24, :24] - 11.5)) < 12
LESIONS = np.zeros(GRID, bool)
LESIONS[4:7, 8:12] = True
IMAGE = np.where(LESIONS, 1.0, 0.25)[None].astype(np.float64)


def on_lesions(batch: np.ndarray) -> np.ndarray:
    return batch[:, 0, LESIONS].mean(axis=-1)


def elsewhere(batch: np.ndarray) -> np.ndarray:
    return batch[:, 0, 18:20, 10:14].mean(axis=(-2, -1))


def test_a_model_that_sees_the_lesions_alone_loses_their_contrast():
    found = lesion_drop(on_lesions, IMAGE, LESIONS, field=FIELD, baseline=0.25, random=20)
    assert found.parts["drop"] == pytest.approx(0.75)
    assert found.value == pytest.approx(0.75 - found.parts["random_drop"])
    assert found.parts["percentile"] == 1


def test_a_model_that_looks_elsewhere_loses_nothing():
    found = lesion_drop(elsewhere, IMAGE, LESIONS, field=FIELD, baseline=0.25, random=20)
    assert found.value == pytest.approx(0)
    assert found.parts["percentile"] == 0.5


def test_it_is_the_excess_drop_of_a_map_that_is_the_lesions():
    settings = {"field": FIELD, "baseline": 0.0, "random": 5}
    own = lesion_drop(on_lesions, IMAGE, LESIONS, **settings)
    map = excess_drop(on_lesions, IMAGE, LESIONS.astype(float), mask=LESIONS, **settings)
    assert (own.value, own.null) == (map.value, map.null)


@pytest.mark.parametrize(
    ("mask", "random", "reason"),
    [
        (np.zeros(GRID, bool), 5, "empty_mask"),
        (FIELD, 5, "full_mask"),
        (LESIONS, 0, "too_few"),
    ],
    ids=["no lesion", "all of the field", "no random region"],
)
def test_without_a_region_or_a_control_there_is_no_number(
    mask: np.ndarray, random: int, reason: str
):
    settings = {"field": FIELD, "random": random, "baseline": 0.25}
    assert lesion_drop(on_lesions, IMAGE, mask, **settings).reason == reason
    shade = np.arange(float(mask.size)).reshape(mask.shape)
    assert excess_drop(on_lesions, IMAGE, shade, mask=mask, **settings).reason == reason


def test_the_lift_of_a_turned_region_is_the_mean_density_there():
    """A map that depends on the distance from the centre alone is the same after any turn."""
    ring = np.hypot(*(np.mgrid[:24, :24] - 11.5))
    found = mass_lift(np.round(ring), LESIONS, field=FIELD)
    assert found.null is not None
    assert len(found.null) == 20
    assert np.allclose(found.null, found.value, rtol=0.1)


def test_the_lift_of_a_map_on_the_lesions_is_above_all_turns():
    found = mass_lift(LESIONS.astype(float), LESIONS, field=FIELD)
    assert found.value == pytest.approx(FIELD.sum() / LESIONS.sum())
    assert found.parts["percentile"] == 1


def test_the_median_lesion_is_as_wide_as_a_circle_of_its_area():
    parts = np.zeros(GRID, bool)
    parts[4:6, 4:6] = parts[10:14, 10:14] = parts[18, 12] = True
    found = lesion_hit_rate(np.ones(GRID) + parts, parts)
    assert found.parts["median_diameter_px"] == pytest.approx(2 * np.sqrt(4 / np.pi))
    assert found.params["grid"] == list(GRID)
