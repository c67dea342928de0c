"""What a colour over a photograph means, to the number."""

import matplotlib as mpl
import numpy as np
import pytest

from foveal.core import Attribution, FovealWarning
from foveal.report import Scale, evidence, overlay, scale_of
from foveal.report.thumbnails import small_overlay

GREY = np.full((1, 1, 1), 100, np.uint8)


def attribution(values: object, reason: str | None = None) -> Attribution:
    return Attribution(map=np.asarray(values, np.float32), method="gradcam", reason=reason)


def scale(**changes: object) -> Scale:
    settings = {
        "limit": 2.0,
        "signed": False,
        "scaling": "maximum",
        "largest": 2.0,
        "colormap": "gray",
    }
    return Scale(**{**settings, **changes})  # type: ignore[arg-type]


BLENDS = [
    pytest.param(2.0, 0.5, False, 177.5, id="half and half"),
    pytest.param(2.0, 1.0, False, 255, id="only the colour"),
    pytest.param(2.0, 0.0, False, 100, id="only the picture"),
    pytest.param(0.0, 0.5, False, 50, id="zero has a colour too"),
    pytest.param(-5.0, 0.5, False, 50, id="negative looks like zero"),
    pytest.param(9.0, 0.25, False, 0.75 * 100 + 0.25 * 255, id="beyond the scale"),
    pytest.param(0.0, 0.5, True, 100, id="by value: zero is clear"),
    pytest.param(2.0, 0.5, True, 177.5, id="by value: the end has the full opacity"),
    pytest.param(1.0, 0.5, True, 0.75 * 100 + 0.25 * 128, id="by value: the middle has half"),
]


@pytest.mark.parametrize(("value", "alpha", "by_value", "expected"), BLENDS)
def test_a_pixel_is_the_picture_and_the_colour_in_their_shares(value, alpha, by_value, expected):
    values = np.full((1, 1), value, np.float32)
    drawn = overlay(GREY, values, scale(), alpha=alpha, by_value=by_value)
    assert drawn.shape == (1, 1, 3)
    assert np.abs(drawn.astype(float) - expected).max() <= 0.5


def test_an_empty_map_does_not_change_the_brightness_of_the_photograph():
    # A known fault elsewhere: dividing by the result's own maximum turns this into (72, 72, 255).
    with pytest.warns(FovealWarning, match="jet shows edges"):
        jet = scale_of(attribution(np.eye(2)), colormap="jet")
    drawn = overlay(np.full((1, 1, 3), 51, np.uint8), np.zeros((1, 1), np.float32), jet)
    np.testing.assert_allclose(drawn[0, 0], (25, 25, 89), atol=1)


def test_a_pixel_that_the_model_did_not_see_stays_plain():
    picture = np.full((1, 2, 3), 100, np.uint8)
    seen = np.array([[True, False]])
    drawn = overlay(picture, np.full((1, 2), 2.0, np.float32), scale(), alpha=1, seen=seen)
    assert drawn[0].tolist() == [[255] * 3, [100] * 3]


def test_no_evidence_lies_in_the_middle_of_a_signed_scale():
    signed = scale(signed=True, colormap="vanimo")
    assert signed.levels(np.array([-2.0, -9.0, 0.0, 2.0])).tolist() == [0, 0, 128, 255]
    middle = np.array(mpl.colormaps["vanimo"](128)[:3])
    np.testing.assert_allclose(signed.colours[128], 255 * middle, atol=0.5)
    assert signed.colours[128].max() < 30, "dark, so that the photograph shows through"
    assert signed.strength(np.array([-2.0, 0.0, 1.0])).tolist() == [1, 0, 0.5]


def test_squares_of_gradients_have_no_sign_to_draw():
    assert scale_of(attribution([[[1.0, -4.0]]])).signed
    squares = scale_of(attribution([[[1.0, 4.0]]]))
    assert (squares.signed, squares.scaling) == (False, "p99.9")


SCALES = [
    pytest.param([[1.0, 4.0], [-8.0, 0.0]], {}, (False, "maximum", 4, 4), id="positive only"),
    pytest.param([[1.0, 4.0], [-8.0, 0.0]], {"signed": True}, (True, "maximum", 8, 8), id="signed"),
    pytest.param([[[1.0]], [[2.0]], [[-7.0]]], {}, (True, "p99.9", 4, 4), id="channels summed"),
    pytest.param(
        [np.arange(1001)], {"scaling": "p99.9"}, (False, "p99.9", 999, 1000), id="99.9th percentile"
    ),
    pytest.param(
        [[0.0] * 2000 + [3.0]], {"scaling": "p99.9"}, (False, "p99.9", 3, 3), id="nearly empty"
    ),
]


@pytest.mark.parametrize(("values", "settings", "expected"), SCALES)
def test_the_scale_ends_where_the_raw_map_says(values, settings, expected):
    found = scale_of(attribution(values), **settings)
    assert (found.signed, found.scaling) == expected[:2]
    assert (found.limit, found.largest) == pytest.approx(expected[2:])
    assert found.clipped == (expected[3] > expected[2])


NOTHING = [
    pytest.param([[0.0, -1.0]], {}, id="nothing positive"),
    pytest.param([[0.0, 0.0]], {"signed": True}, id="nothing at all"),
]


@pytest.mark.parametrize(("values", "settings"), NOTHING)
def test_a_map_without_anything_to_draw_has_no_scale(values, settings):
    assert scale_of(attribution(values), **settings) is None


def test_a_map_with_a_reason_has_no_scale_whatever_its_values():
    assert scale_of(attribution([[1.0, 2.0]], reason="zero_map")) is None


def test_channels_are_summed_with_their_sign():
    assert evidence(attribution([[[1.0, 2.0]], [[-3.0, 5.0]]])).tolist() == [[-2, 7]]


WRONG = [
    pytest.param({"alpha": 1.5}, "alpha must be in", id="opacity"),
    pytest.param({"alpha": -0.1}, "alpha must be in", id="negative opacity"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_an_opacity_that_is_none_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        overlay(GREY, np.zeros((1, 1), np.float32), scale(), **settings)


def test_on_a_thumbnail_a_faint_signed_map_is_seen_and_the_rest_is_the_photograph():
    picture = np.full((10, 10, 3), 100, np.uint8)
    values = np.zeros((10, 10), np.float32)
    values[:2, 0] = 0.02, -0.02
    signed = scale(signed=True, colormap="vanimo")
    drawn = small_overlay(picture, values, signed, np.ones((10, 10), bool), fine=True)
    assert [tuple(drawn[row, 0]) for row in (0, 1)] == [tuple(signed.colours[k]) for k in (255, 0)]
    assert (drawn[2:] == picture[2:]).all()


def test_a_map_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="carry the map onto the picture's grid"):
        overlay(GREY, np.zeros((2, 1), np.float32), scale())


def test_an_unknown_colour_map_is_refused_with_near_names():
    with pytest.raises(ValueError, match="no colour map 'cividiss'; near names: cividis"):
        scale_of(attribution([[1.0]]), colormap="cividiss")
    with pytest.raises(ValueError, match="must be positive"):
        scale(limit=0.0)
