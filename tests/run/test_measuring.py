"""Scores of single maps by the names of their measures."""

import numpy as np
import pytest

from foveal.core import REASONS, Attribution, Image, Region
from foveal.run import LEVELS
from foveal.run.measuring import Measuring, Yardstick
from foveal.run.placing import place_of

FIELD = np.ones((8, 8), dtype=bool)
LESION = Region(name="MA", mask=np.eye(8, dtype=bool), kind="lesion")
NOTHING = Region(name="HE", mask=np.zeros((8, 8), dtype=bool), kind="lesion")


def reasons_of(flat: Attribution) -> set[tuple[str | None, str | None, str | None]]:
    blank = Image(pixels=np.zeros((3, 8, 8), np.float32))
    place = place_of(blank, FIELD, [LESION, NOTHING])
    # An absent lesion has a share of the map: none of it.
    names = tuple(name for name in LEVELS["quick"] if name != "region_shares")
    by = Measuring(place, Yardstick(names=names))
    return {(m.region, m.score.reason, m.score.reason_text) for m in by.measure(flat)}


@pytest.mark.parametrize("reason", ["nan_map", "empty_mask"])
def test_scores_of_an_empty_map_carry_the_maps_own_reason(reason):
    flat = np.zeros((8, 8), np.float32)
    told = reasons_of(Attribution(map=flat, method="gradcam", reason=reason))
    assert {why for region, why, _ in told if region != "HE"} == {reason}
    assert {text for region, _, text in told if region != "HE"} == {REASONS[reason]}
    plain = reasons_of(Attribution(map=flat, method="gradcam"))
    found = {why for region, why, _ in plain if region != "HE"}
    assert found == {"zero_map", "constant_map", None}, "that it finds no lesion is a number"


def test_what_is_missing_for_the_region_keeps_its_reason():
    rising = np.arange(64, dtype=np.float32).reshape(8, 8)
    told = reasons_of(Attribution(map=rising, method="gradcam", reason="nan_map"))
    assert {why for region, why, _ in told if region == "HE"} == {"empty_mask"}
    assert {why for region, why, _ in told if region == "MA"} == {None}
