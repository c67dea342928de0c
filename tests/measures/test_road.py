"""Imputation against a dense solution, ROAD on maps that are almost all zeros, own baselines."""

import numpy as np
import pytest

from foveal.measures import (
    masked_roi_drop,
    random_roads,
    road_combined,
    road_curves,
    road_lerf,
    road_morf,
)
from foveal.measures.baselines import annulus_mean, section_blur
from foveal.measures.imputation import NOISE, Imputation
from foveal.measures.road import FRACTIONS

RANDOM = np.random.default_rng(9)
FIELD = np.hypot(*(np.mgrid[:20, :20] - 9.5)) < 9.5
IMAGE = np.where(FIELD, 0.3 + 0.4 * RANDOM.random((2, 20, 20)), 0.0)
SPARSE = np.zeros((20, 20))
SPARSE[9:11, 9:13] = 1 + RANDOM.random((2, 4))


def score(batch: np.ndarray) -> np.ndarray:
    return batch[:, 0, 9:11, 9:13].mean(axis=(1, 2))


def dense(image: np.ndarray, gone: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Rong et al. 2022: every removed pixel is the weighted mean of its neighbours in the field."""
    points = [tuple(at) for at in np.argwhere(gone)]
    system, known = np.zeros((len(points),) * 2), np.zeros((len(points), len(image)))
    for row, (r, c) in enumerate(points):
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                at = (r + dr, c + dc)
                inside = 0 <= at[0] < len(field) and 0 <= at[1] < field.shape[1]
                if (dr, dc) == (0, 0) or not inside or not field[at]:
                    continue
                weight = 1 / 12 if dr and dc else 1 / 6
                system[row, row] += weight
                if at in points:
                    system[row, points.index(at)] -= weight
                else:
                    known[row] += weight * image[(slice(None), *at)]
    filled = image.copy()
    filled[:, gone] = np.linalg.solve(system, known).T
    return filled


def test_imputation_solves_the_papers_system_inside_the_field():
    gone = FIELD & (RANDOM.random((20, 20)) < 0.6)
    made = Imputation(image=IMAGE, field=FIELD, seed=4)
    noise = NOISE * np.random.default_rng(4).standard_normal(IMAGE.shape)
    expected = dense(IMAGE, gone, FIELD) + noise * gone
    np.testing.assert_allclose(made.filled(gone), expected, atol=1e-9)
    np.testing.assert_array_equal(made.filled(gone)[:, ~gone], IMAGE[:, ~gone])
    np.testing.assert_array_equal(made.filled(~FIELD), IMAGE)


def test_imputation_on_cells_stays_near_that_on_pixels_and_leaves_the_rest_as_it_is():
    rows, columns = np.mgrid[:64, :64] / 63
    smooth = np.stack([0.3 + 0.4 * rows, 0.5 + 0.2 * columns * rows])
    field = np.hypot(*(np.mgrid[:64, :64] - 31.5)) < 31
    gone = np.zeros((64, 64), bool)
    gone[16:32, 24:40] = gone[40:48, 8:16] = True
    fine, coarse = (Imputation(image=smooth, field=field, cell_px=side) for side in (1, 4))
    # Each patch of 16 px is filled from its rim, which the cells know by their means.
    assert np.abs(fine.filled(gone) - coarse.filled(gone))[:, field].max() < 0.03
    np.testing.assert_array_equal(coarse.filled(gone)[:, ~gone], smooth[:, ~gone])


def test_where_nothing_is_left_the_mean_of_the_field_stands_in():
    filled = Imputation(image=IMAGE, field=FIELD).filled(FIELD)
    mean = IMAGE[:, FIELD].mean(axis=1)
    assert np.abs(filled[:, FIELD] - mean[:, None]).max() < 6 * NOISE
    assert Imputation(image=IMAGE, field=FIELD).unreached(FIELD)


def test_a_map_almost_all_zeros_loses_exactly_the_share_that_was_asked_for():
    seen: list[np.ndarray] = []

    def recording(batch: np.ndarray) -> np.ndarray:
        seen.extend(batch.copy())
        return score(batch)

    assert (SPARSE == 0).mean() > 0.97
    made = road_curves(recording, IMAGE, SPARSE, field=FIELD)
    changed = [int((probe != IMAGE).any(axis=0).sum()) for probe in seen]
    counts = [round(fraction * FIELD.sum()) for fraction in FRACTIONS]
    assert changed == [*counts, *counts, 0]  # the image itself comes last
    assert made.fractions == tuple(count / FIELD.sum() for count in counts)


def test_the_two_drops_and_half_of_their_difference():
    made = road_curves(score, IMAGE, SPARSE, field=FIELD)
    whole = score(IMAGE[None])[0]
    morf = road_morf(score, IMAGE, SPARSE, curves=made)
    lerf = road_lerf(score, IMAGE, SPARSE, curves=made)
    assert morf.value == pytest.approx(whole - np.mean(made.most_first))
    assert lerf.value == pytest.approx(whole - np.mean(made.least_first))
    both = road_combined(score, IMAGE, SPARSE, curves=made)
    assert both.value == pytest.approx((morf.value - lerf.value) / 2)
    assert (morf.direction, lerf.direction, both.direction) == ("higher", "lower", "higher")


def test_random_orders_say_what_chance_is():
    null = random_roads(score, IMAGE, field=FIELD, orders=4)
    found = road_combined(score, IMAGE, SPARSE, field=FIELD, null=null)
    assert len(found.null) == 4
    assert found.chance == pytest.approx(np.mean([road.combined for road in null]))
    assert abs(found.chance) < 0.05


REASONS = [
    pytest.param(SPARSE * 0, {}, "zero_map", id="zero map"),
    pytest.param(SPARSE * 0 + 1, {}, "constant_map", id="flat map"),
    pytest.param(SPARSE, {"fractions": (0.5, 1.0)}, "too_few", id="nothing left"),
]


@pytest.mark.parametrize(("values", "change", "reason"), REASONS)
def test_what_cannot_be_imputed_has_a_reason(values, change, reason):
    found = road_morf(score, IMAGE, values, field=FIELD, **change)
    assert found.reason == reason
    if reason == "too_few":
        assert "no known neighbour" in found.reason_text


def test_fractions_outside_the_image_are_refused():
    with pytest.raises(ValueError, match="fractions must be"):
        road_morf(score, IMAGE, SPARSE, fractions=(0.0, 0.5))


def test_the_local_mean_is_that_of_a_ring_around_the_patch():
    made = annulus_mean(IMAGE, FIELD, 2)
    for row, column in ((9, 9), (4, 6), (12, 17)):
        away = np.hypot(*(np.mgrid[:20, :20] - np.array([[[row]], [[column]]])))
        ring = FIELD & (away >= 2 * np.sqrt(2)) & (away <= 4 * np.sqrt(2))
        np.testing.assert_allclose(made[:, row, column], IMAGE[:, ring].mean(axis=1))


def test_the_blur_of_sections_is_a_gaussian_of_2_percent_along_the_light_and_5_across():
    point = np.zeros((1, 100, 100))
    point[0, 50, 50] = 1
    made = section_blur(point, np.ones((100, 100), bool))[0]
    peak = made[50, 50]
    for steps in (1, 2, 3):
        assert made[50 + steps, 50] / peak == pytest.approx(np.exp(-(steps**2) / (2 * 2**2)))
        assert made[50, 50 + steps] / peak == pytest.approx(np.exp(-(steps**2) / (2 * 5**2)))


def test_the_blur_of_sections_reads_the_scan_alone_and_can_be_named():
    scan = np.zeros((40, 60), bool)
    scan[10:30] = True
    image = np.where(scan, 0.7, 0.0)[None]
    seen: list[np.ndarray] = []

    def recording(batch: np.ndarray) -> np.ndarray:
        seen.extend(batch)
        return batch.mean(axis=(1, 2, 3))

    map = scan * np.arange(60.0)
    made = masked_roi_drop(recording, image, map, field=scan, baseline="section-blur", random=0)
    assert made.params["baseline"] == "section-blur"
    assert made.value == pytest.approx(0, abs=1e-6), "an even scan stays what it is"
    for probe in seen:
        np.testing.assert_allclose(probe[0], image[0], atol=1e-6)
