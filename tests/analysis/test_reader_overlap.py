"""A map's region against what readers drew: coefficients worked out by hand."""

import numpy as np
import pytest

from foveal.analysis import Bootstrap, reader_overlap, region_dice, roi_agreement, units_of

QUICK = Bootstrap(resamples=200, kind="percentile")


def strip(*pixels):
    """Six pixels in a row."""
    return np.isin(np.arange(6), pixels)[None]


DRAWN = np.stack([strip(0, 1), strip(1, 2), strip(1)])
FOUND = reader_overlap(strip(1, 5), DRAWN)


def test_dice_is_twice_the_overlap_by_the_sum():
    assert region_dice(strip(0, 1), strip(1, 2, 3)) == pytest.approx(2 / 5)
    assert np.isnan(region_dice(strip(), strip()))
    assert region_dice(strip(), strip(1)) == 0


def test_the_map_is_held_against_each_reader_their_majority_and_each_other():
    assert FOUND.with_readers == pytest.approx([2 / 4, 2 / 4, 2 / 3])
    assert FOUND.between_readers == pytest.approx([2 / 4, 2 / 3, 2 / 3])
    assert FOUND.consensus.tolist() == strip(1).tolist()
    assert FOUND.with_consensus == pytest.approx(2 / 3)


def test_half_of_the_readers_are_no_majority():
    assert reader_overlap(strip(1), DRAWN[:2]).consensus.tolist() == strip(1).tolist()
    assert not reader_overlap(strip(1), np.stack([strip(0), strip(1)])).consensus.any()


def test_readers_who_found_nothing_agree_with_each_other_and_with_a_map_that_did_not_either():
    nobody = reader_overlap(strip(2), np.stack([strip(), strip(), strip(3)]))
    assert nobody.between_readers.tolist() == [1, 0, 0]
    assert nobody.with_readers.tolist() == [0, 0, 0]
    silent = reader_overlap(strip(), np.stack([strip(), strip(), strip(3)]))
    assert silent.with_readers.tolist() == [1, 1, 0]
    assert (silent.with_consensus, nobody.with_consensus) == (1, 0)


def test_a_cohort_has_the_ratio_of_the_means_over_all_its_images():
    apart = reader_overlap(strip(4), np.stack([strip(0), strip(4), strip(4)]))
    nothing = reader_overlap(strip(2), np.stack([strip(), strip(), strip()]))
    units = units_of(list("ABC"))
    agreement = roi_agreement([FOUND, apart, nothing], units, how=QUICK)
    readers = [5 / 9, 2 / 3, 0.0]
    ceiling = [11 / 18, 1 / 3, 1.0]  # nobody drew anything on the third
    assert agreement.with_readers.estimate == pytest.approx(np.mean(readers))
    assert agreement.between_readers.estimate == pytest.approx(np.mean(ceiling))
    assert agreement.ratio.estimate == pytest.approx(sum(readers) / sum(ceiling))
    found = (agreement.with_readers, agreement.between_readers, agreement.ratio)
    assert [one.n_units for one in found] == [3, 3, 3]
    assert agreement.with_consensus.estimate == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_a_map_that_is_one_more_reader_has_a_ratio_of_one():
    random = np.random.default_rng(0)
    images = []
    for _ in range(200):
        lesion = random.random((12, 12)) < 0.3
        said = [lesion ^ (random.random((12, 12)) < 0.1) for _ in range(4)]
        images.append(reader_overlap(said[0], np.stack(said[1:])))
    found = roi_agreement(images, units_of([f"P{row // 2}" for row in range(200)]), how=QUICK)
    assert found.ratio.low < 1 < found.ratio.high
    assert found.ratio.n_units == 100
    assert found.with_consensus.low > found.with_readers.high


def test_readers_who_drew_on_other_pixels_are_refused():
    with pytest.raises(ValueError, match="two readers or more who drew on the map's pixels"):
        reader_overlap(np.zeros((2, 2), bool), DRAWN)
    with pytest.raises(ValueError, match="two readers"):
        reader_overlap(strip(1), DRAWN[:1])
