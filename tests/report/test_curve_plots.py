"""Curves are drawn where their numbers lie."""

import numpy as np
import pytest

from foveal.report.curves import HEIGHT, WIDTH, curve_plots
from foveal.store import Measured


@pytest.fixture
def plots_of(make_map, make_score):
    def made(*parts, **changes):
        scores = [
            Measured(score=make_score(name=name, value=0.5, parts=own, **changes))
            for name, own in parts
        ]
        return curve_plots([make_map(scores=scores)])

    return made


FALL = {"fractions": [0.0, 0.25, 1.0], "scores": [1.0, 0.5, 0.0]}


def test_a_probability_is_drawn_from_nought_to_one(plots_of):
    (plot,) = plots_of(("deletion_auc", {**FALL, "scores": [0.5, 0.25, 0.25]}))
    (line,) = plot.lines
    assert (plot.low, plot.high) == ("0", "1")
    np.testing.assert_allclose(
        line.line, [[HEIGHT / 2, 0], [0.75 * HEIGHT, WIDTH / 4], [0.75 * HEIGHT, WIDTH]]
    )
    assert (line.name, line.area, line.band) == ("Deletion", "0.5", None)


def test_other_scores_are_drawn_over_what_they_span(plots_of):
    unbounded = {"range": (-np.inf, np.inf)}
    (plot,) = plots_of(("deletion_auc", {**FALL, "scores": [6.0, 4.0, 2.0]}), **unbounded)
    assert (plot.low, plot.high) == ("2", "6")
    assert plot.lines[0].line[:, 0].tolist() == [0, HEIGHT / 2, HEIGHT]
    (flat,) = plots_of(("deletion_auc", {**FALL, "scores": [3.0] * 3}), **unbounded)
    assert (flat.low, flat.high) == ("2.5", "3.5")


def test_random_orders_are_a_band_from_their_lowest_to_their_highest(plots_of):
    random = [[1.0, 0.75, 0.0], [1.0, 0.25, 0.0]]
    (plot,) = plots_of(("deletion_auc", {**FALL, "null_scores": random}))
    band = plot.lines[0].band
    assert band[:, 0].tolist() == [0, HEIGHT / 4, HEIGHT, HEIGHT, 0.75 * HEIGHT, 0]
    assert band[:, 1].tolist() == [0, WIDTH / 4, WIDTH, WIDTH, WIDTH / 4, 0]


def test_a_curve_that_several_measures_share_is_drawn_once(plots_of):
    rise = {**FALL, "scores": [0.0, 0.75, 1.0]}
    (plot,) = plots_of(("deletion_auc", FALL), ("early_auc", FALL), ("insertion_auc", rise))
    assert [line.name for line in plot.lines] == ["Deletion", "Insertion"]
    assert len({line.dashes for line in plot.lines}) == 2
    assert plot.words == (
        "Grad-CAM, deletion: the score goes from 1 to 0, half of the way at 25\u202f% of the "
        "field; insertion: the score goes from 0 to 1, half of the way at 25\u202f% of the field."
    )


def test_a_score_that_stays_is_said_to_stay(plots_of):
    (plot,) = plots_of(("deletion_auc", {**FALL, "scores": [0.215, 0.3, 0.21502]}))
    assert plot.words == "Grad-CAM, deletion: the score starts and ends at 0.215."


def test_maps_without_curves_have_no_plot(plots_of, make_map):
    assert plots_of(("iou", {})) == []
    assert curve_plots([make_map()]) == []
