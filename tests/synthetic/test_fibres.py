"""The course of nerve fibres against what is known about them."""

from math import cos, hypot, pi, remainder, sin

import numpy as np
import pytest

from foveal.synthetic import draw_fundus
from foveal.synthetic.fibres import RAPHE, fibre_heading, fibre_number

DISC = draw_fundus(1).disc
PLACES = [(-9.0, 4.0), (8.0, 0.0), (-4.0, 11.0), (3.0, 20.0), (12.0, -3.0)]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_number_of_a_fibre_does_not_change_along_it(place):
    def number(row, column):
        return float(fibre_number(np.array([[row]]), np.array([[column]]), DISC)[0, 0])

    heading, step = fibre_heading(place, DISC), 1e-4
    along = number(place[0] + step * cos(heading), place[1] + step * sin(heading))
    across = number(place[0] - step * sin(heading), place[1] + step * cos(heading))
    here = number(*place)
    assert abs(along - here) < 1e-3 * abs(across - here)


@pytest.mark.parametrize("bearing", [0.3, 1.5, 2.8, 4.4])
def test_fibres_leave_the_disc_in_all_directions(bearing):
    place = DISC.row + 0.1 * cos(bearing), DISC.column + 0.1 * sin(bearing)
    assert abs(remainder(fibre_heading(place, DISC) - bearing, 2 * pi)) < 0.02


def test_fibres_pass_above_and_below_the_fovea_and_meet_at_the_raphe():
    for up in (-1.0, 1.0):
        row, column, nearest = DISC.row + 2.5 * up, DISC.column - 2.0, np.inf
        for _ in range(2000):
            heading = fibre_heading((row, column), DISC)
            row, column = row + 0.02 * cos(heading), column + 0.02 * sin(heading)
            nearest = min(nearest, hypot(row, column))
        assert nearest > 3
        assert hypot(row - RAPHE[0], column - RAPHE[1]) < 0.5
