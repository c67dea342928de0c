"""What a map shows, in words that a person could check by looking at it."""

import numpy as np
import pytest

from foveal.report.carry import way_of
from foveal.report.colour import scale_of
from foveal.report.describe import description, resolution, scale_bar, share_against
from foveal.store import Measured


@pytest.fixture
def say(make_case, make_view, make_map):
    def words(row: int, column: int, *, scores=(), values=None, **changes: object) -> str:
        given = np.zeros((20, 20)) if values is None else values
        if values is None:
            given[row, column] = 3
        one = make_map(given, scores=scores)
        case = make_case(views=(make_view(explained=(one,)),), **changes)
        way = way_of(case, case.views[0], (20, 30))
        return description(case, case.views[0], one, scale_of(one.attribution), way)

    return words


PLACES = [
    pytest.param(4, 4, {}, "in the upper temporal quadrant", id="right eye, left"),
    pytest.param(4, 15, {}, "in the upper nasal quadrant", id="right eye, right"),
    pytest.param(15, 4, {"laterality": "left"}, "in the lower nasal quadrant", id="left eye, left"),
    pytest.param(15, 15, {"laterality": "left"}, "in the lower temporal quadrant", id="left eye"),
    pytest.param(4, 4, {"laterality": "unknown"}, "in the upper left part", id="side unknown"),
    pytest.param(15, 15, {"modality": "oct"}, "in the lower right part", id="no fundus"),
    pytest.param(10, 9, {}, "near the centre of the field", id="middle"),
    pytest.param(0, 0, {}, "outside the field of view", id="corner"),
]


@pytest.mark.parametrize(("row", "column", "changes", "place"), PLACES)
def test_the_strongest_place_is_named_as_an_examiner_names_it(say, row, column, changes, place):
    assert say(row, column, **changes) == f"Grad-CAM for Severe (predicted): strongest {place}."


def test_a_signed_map_says_where_it_speaks_against(say):
    values = np.zeros((3, 20, 20))
    values[1, 4, 4], values[0, 15, 15] = 1, -2
    assert say(0, 0, values=values) == (
        "Grad-CAM for Severe (predicted): strongest in the upper temporal quadrant; strongest "
        "evidence against in the lower nasal quadrant."
    )


def test_a_map_without_values_says_why(say):
    assert say(0, 0, values=np.full((4, 4), -1.0)).endswith(
        "no map, since the map has no positive value, so nothing in it speaks for the score."
    )


SHARES = [
    pytest.param(
        {"hard exudates": 0.42, "optic disc": 0.03, "drusen": 0.01},
        "; of the positive evidence 42\u202f% in hard exudates and 3\u202f% in optic disc.",
        id="the two with the most",
    ),
    pytest.param(
        {"hard exudates": 0.42, "all lesions": 0.5},
        "; of the positive evidence 42\u202f% in hard exudates.",
        id="all lesions only where alone",
    ),
    pytest.param(
        {"all lesions": 0.5}, "; of the positive evidence 50\u202f% in all lesions.", id="alone"
    ),
    pytest.param(
        {"drusen": 0.001},
        "; less than 1\u202f% of the positive evidence in any outlined region.",
        id="hardly any",
    ),
    pytest.param({}, "temporal quadrant.", id="not measured"),
]


@pytest.mark.parametrize(("shares", "end"), SHARES)
def test_the_measured_shares_are_told(say, make_score, shares, end):
    scores = [Measured(score=make_score(value=v), region=name) for name, v in shares.items()]
    missing = Measured(score=make_score(value=None, reason="empty_mask"), region="scars")
    assert say(4, 4, scores=[*scores, missing]).endswith(end)


def test_the_share_that_speaks_against_counts_absolute_values(make_map):
    assert share_against(make_map([[3.0, -1.0]]).attribution) == 0.25
    assert share_against(make_map([[0.0, 0.0]]).attribution) == 0


def test_a_cell_is_told_in_pixels_and_where_the_spacing_is_known_in_millimetres(
    make_case, make_map
):
    case, made = make_case(), make_map().attribution
    way = way_of(case, case.views[0], (20, 30))
    text = "one cell covers 10 × 10 pixels of the original"
    assert resolution(case, made, way) == f"{text} (1 × 1 mm)"
    assert resolution(make_case(spacing_mm=None), made, way) == text


BARS = [
    pytest.param((0.1, 0.1), 60, (10, "1 mm"), id="a quarter of 6 mm holds 1 mm"),
    pytest.param((0.1, 0.1), 600, (100, "1 mm"), id="a larger picture"),
    pytest.param((9, 0.01), 60, (10, "100\u202f×\u202fµm"), id="columns only"),
    pytest.param(None, 60, None, id="spacing not known"),
]


@pytest.mark.parametrize(("spacing", "columns", "expected"), BARS)
def test_a_scale_bar_is_a_round_length_and_drawn_only_where_the_spacing_is_known(
    make_case, spacing, columns, expected
):
    found = scale_bar(make_case(spacing_mm=spacing), columns)
    if expected is None:
        assert found is None
    else:
        assert found[0] == pytest.approx(expected[0])
        assert found[1] == expected[1].replace("\u202f×\u202f", " ")


def test_nothing_can_be_drawn_of_a_case_without_a_grid(make_case, make_view):
    with pytest.raises(ValueError, match="I-0: it has no grid"):
        way_of(make_case(grid=None), make_view(), (4, 4))
