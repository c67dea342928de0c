"""Localisation does not depend on the map's scale, nor on which way the eye looks."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foveal.core import Score
from foveal.measures import (
    cnr,
    dice,
    ebc,
    false_highlight_rate,
    gini,
    iou,
    lesion_hit_rate,
    map_entropy,
    map_mask_cc,
    mass_lift,
    mean_attribution_area,
    pap,
    pixel_ap,
    pixel_auc,
    pointing_game,
    region_coverage,
    relevance_mass,
    relevance_rank_accuracy,
    snr_roi,
)

SIDE = 8
# Every value once, so that a flip cannot change how ties are drawn.
MAPS = st.permutations(range(SIDE * SIDE)).map(
    lambda order: np.array(order, np.float64).reshape(SIDE, SIDE) - 20
)
MASKS = arrays(bool, (SIDE, SIDE))
ON_REGIONS = [
    cnr, dice, false_highlight_rate, iou, lesion_hit_rate, map_mask_cc, mass_lift, pap, pixel_ap,
    pixel_auc, pointing_game, region_coverage, relevance_mass, relevance_rank_accuracy, snr_roi,
]  # fmt: skip
ON_FIELDS = [ebc, gini, map_entropy, mean_attribution_area]


def same(one: Score, other: Score) -> None:
    assert one.reason == other.reason
    if one.value is not None:
        assert other.value == pytest.approx(one.value, rel=1e-9, abs=1e-9)
    assert one.ceiling == pytest.approx(other.ceiling)


@pytest.mark.parametrize("measure", ON_REGIONS, ids=lambda m: m.__name__)
@settings(max_examples=25, deadline=None)
@given(values=MAPS, mask=MASKS, power=st.integers(-20, 20))
def test_scale_and_side_do_not_matter_on_regions(
    measure: Callable[..., Score], values: np.ndarray, mask: np.ndarray, power: int
):
    plain = measure(values, mask)
    same(plain, measure(values * 2.0**power, mask))
    same(plain, measure(values[:, ::-1], mask[:, ::-1]))
    if plain.value is not None and plain.ceiling is not None:
        best = plain.value - plain.ceiling if plain.direction == "higher" else 0
        assert best <= 1e-9


@pytest.mark.parametrize("measure", ON_FIELDS, ids=lambda m: m.__name__)
@settings(max_examples=25, deadline=None)
@given(values=MAPS, power=st.integers(-20, 20))
def test_scale_and_side_do_not_matter_for_concentration(
    measure: Callable[..., Score], values: np.ndarray, power: int
):
    same(measure(values), measure(values * 2.0**power))
    same(measure(values), measure(values[::-1]))


@settings(max_examples=50, deadline=None)
@given(values=MAPS, mask=MASKS)
def test_at_the_regions_size_rank_accuracy_is_the_dice_coefficient(values, mask):
    found = relevance_rank_accuracy(values, mask)
    if found.value is not None:
        assert dice(values, mask).value == pytest.approx(found.value)


@settings(max_examples=50, deadline=None)
@given(values=MAPS, mask=MASKS)
def test_turning_the_order_around_turns_the_auc_around(values, mask):
    found, other = pixel_auc(values, mask), pixel_auc(-values, mask)
    if found.value is not None:
        assert found.value + other.value == pytest.approx(1)
