"""Where growing vessels want to go, at places worked out by hand."""

from math import pi

import numpy as np
import pytest

from foveal.synthetic.headings import AVASCULAR_DEG, ahead, follow, inward, outward, turn


def test_one_waypoint_follows_the_other_and_the_last_ends_the_vessel():
    goal = follow([(5.0, 0.0), (5.0, 9.0)])
    assert goal((0.0, 0.0)) == pytest.approx(0)
    assert goal((4.5, 0.0)) == pytest.approx(np.arctan2(9, 0.5))
    assert goal((5.0, 8.5)) is None


@pytest.mark.parametrize("seed", range(5))
def test_macular_vessels_head_for_the_fovea_and_end_before_it(seed):
    goal = inward(np.random.default_rng(seed))
    assert goal((0.0, 30.0)) == pytest.approx(-pi / 2, abs=0.15)
    assert goal((0.0, 0.9 * AVASCULAR_DEG)) is None


@pytest.mark.parametrize("seed", range(5))
def test_other_branches_head_for_the_periphery(seed):
    goal = outward(np.random.default_rng(seed))
    assert goal((40.0, 6.0)) == pytest.approx(0, abs=0.4)
    assert abs(goal((-40.0, 6.0))) == pytest.approx(pi, abs=0.4)


def test_a_step_ahead_counts_the_heading_from_the_row_axis():
    assert ahead((1.0, 2.0), 0.0, 3.0) == pytest.approx((4, 2))
    assert ahead((1.0, 2.0), pi / 2, 3.0) == pytest.approx((1, 5))


def test_a_turn_is_never_more_than_half_a_circle():
    assert turn(1.5 * pi) == pytest.approx(-pi / 2)
    assert turn(-2.2 * pi) == pytest.approx(-0.2 * pi)
