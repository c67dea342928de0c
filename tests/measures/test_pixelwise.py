"""Pixel by pixel: against scikit-learn, slow twins and numbers worked out by hand."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from foveal.measures import cnr, map_mask_cc, pixel_ap, pixel_auc, snr_roi

MAP = np.array([[3.0, 1.0, -9.0], [0.0, 2.0, 0.0]])
MASK = np.array([[True, False, True], [False, False, False]])
ALL = (pixel_ap, pixel_auc, map_mask_cc, cnr, snr_roi)


@pytest.fixture(params=[None, 8], ids=["no ties", "8 values"])
def seen(request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    values = random.normal(size=(40, 30))
    if request.param:
        values = np.round(values * request.param / 4)
    mask = random.random((40, 30)) < 0.05
    values[mask] += 0.7
    field = np.ones((40, 30), bool)
    field[:5] = False
    return values, mask, field


def test_average_precision_and_auc_agree_with_scikit_learn(seen):
    metrics = pytest.importorskip("sklearn.metrics")
    values, mask, field = seen
    truth, given = mask[field], values[field]
    assert pixel_ap(values, mask, field=field).value == pytest.approx(
        metrics.average_precision_score(truth, given), abs=1e-12
    )
    assert pixel_auc(values, mask, field=field).value == pytest.approx(
        metrics.roc_auc_score(truth, given), abs=1e-12
    )


def test_the_auc_counts_pairs_and_ties_by_half(seen):
    values, mask, field = seen
    inside, outside = values[mask & field], values[~mask & field]
    pairs = inside[:, None] - outside[None]
    slow = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert pixel_auc(values, mask, field=field).value == pytest.approx(slow, abs=1e-12)


def test_average_precision_by_hand():
    score = pixel_ap(MAP, MASK)  # 3 hits at once, -9 is the sixth of six
    assert score.value == pytest.approx(0.5 * 1 + 0.5 * 2 / 6)
    assert score.chance == pytest.approx(2 / 6)


def test_a_constant_map_stands_at_chance():
    flat = np.ones((2, 3))
    assert pixel_auc(flat, MASK).value == 0.5
    assert pixel_ap(flat, MASK).value == pytest.approx(2 / 6)


def test_the_correlation_is_with_the_blurred_region(seen):
    values, mask, field = seen
    blurred = gaussian_filter((mask & field).astype(float), 0.35)  # 1 % of 35 px
    expected = np.corrcoef(np.maximum(values, 0)[field], blurred[field])[0, 1]
    score = map_mask_cc(values, mask, field=field)
    assert score.value == pytest.approx(expected)
    assert score.params["blur_px"] == pytest.approx(0.35)
    alike = gaussian_filter(mask.astype(float), 2.0)
    assert map_mask_cc(alike, mask, blur_px=2).value == pytest.approx(1)


def test_contrast_and_signal_to_noise_by_hand():
    values = np.array([[5.0, 7.0, 1.0, 3.0]])
    mask = np.array([[1, 1, 0, 0]])
    assert cnr(values, mask).value == pytest.approx((6 - 2) / 1)
    assert snr_roi(values, mask).value == pytest.approx(6)
    assert snr_roi(values, mask).chance == pytest.approx(2)
    assert cnr(10 * values - 3, mask).value == pytest.approx(4)


def test_without_noise_outside_there_is_no_ratio():
    score = cnr(np.array([[5.0, 1.0, 1.0]]), np.array([[1, 0, 0]]))
    assert score.reason == "constant_map"
    assert "outside the region" in (score.reason_text or "")
    assert score.parts["infinite"] is True
    assert snr_roi(np.ones((1, 3)), np.array([[1, 0, 0]])).parts["infinite"] is False


@pytest.mark.parametrize("measure", ALL, ids=lambda measure: measure.__name__)
def test_nothing_to_compare_is_said(measure):
    assert measure(MAP, np.zeros_like(MASK)).reason == "empty_mask"
    assert measure(MAP, np.ones_like(MASK)).reason == "full_mask"
    assert measure(MAP, MASK, field=MASK).reason == "full_mask"
    assert measure(np.full((2, 3), np.inf), MASK).reason == "nan_map"
    expected = "constant_map" if measure in (cnr, snr_roi) else "zero_map"
    assert measure(MAP * 0, MASK).reason == expected


def test_a_map_whose_positive_part_is_flat_has_no_correlation():
    assert map_mask_cc(np.ones((2, 3)), MASK).reason == "constant_map"
    with pytest.raises(ValueError, match="blur_px must not be negative"):
        map_mask_cc(MAP, MASK, blur_px=-1)
