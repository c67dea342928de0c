"""Volumes in the report: order and scale of sections, the view from above, and what is missing."""

import numpy as np
import pytest

from foveal.report.page import write_page
from foveal.report.stack_figures import stack_figure, stack_scale
from foveal.report.stacks import Stack, evenly
from foveal.report.volumes import Volumes, sections_left_out


def stack(values: np.ndarray, **changes: object) -> Stack:
    """A stack whose retina is the second and third row."""
    inside = np.zeros(values.shape, bool)
    inside[:, 1:3] = True
    settings: dict[str, object] = {
        "name": "scan",
        "numbers": tuple(range(1, len(values) + 1)),
        "pictures": np.full(values.shape, 51, np.uint8),
        "values": values.astype(np.float32),
        "inside": inside,
    }
    return Stack(**{**settings, **changes})  # type: ignore[arg-type]


VALUES = np.zeros((3, 4, 5))
VALUES[0, 0, 0] = 6.0  # outside the retina
VALUES[1, 1, 2], VALUES[1, 2, 2] = 2.0, 4.0
VALUES[2, 2, 4] = -3.0


def test_from_above_a_column_is_the_mean_over_the_retina_of_what_speaks_for_the_target():
    above = stack(VALUES).en_face
    expected = np.zeros((3, 5))
    expected[1, 2] = 3.0
    np.testing.assert_array_equal(above, expected)
    np.testing.assert_allclose(stack(VALUES).fundus, 0.2, rtol=1e-6)


def test_where_no_retina_is_nothing_is_known_from_above():
    blind = stack(VALUES, inside=np.zeros(VALUES.shape, bool))
    assert np.isnan(blind.en_face).all()


def test_the_shares_of_the_sections_add_up_to_one_and_negative_values_count_for_nothing():
    np.testing.assert_allclose(stack(VALUES).shares, [0.5, 0.5, 0.0])
    assert np.isnan(stack(-np.abs(VALUES)).shares).all(), "nothing to share"


def test_a_section_without_a_map_has_no_share_and_the_others_share_the_whole():
    holes = VALUES.copy()
    holes[0] = np.nan
    shares = stack(holes).shares
    assert np.isnan(shares[0])
    assert shares[1:].tolist() == [1.0, 0.0]


def test_all_sections_have_one_scale_that_a_single_pixel_does_not_stretch():
    many = np.ones((10, 20, 20))
    many[3, 4, 5] = 1000.0
    scale = stack_scale(stack(many))
    assert scale is not None
    assert (scale.low, scale.limit, scale.largest) == (0.0, 1.0, 1000.0)
    assert stack_scale(stack(-np.abs(VALUES))) is None
    assert stack(VALUES).hottest == (0, 0, 0)


@pytest.mark.parametrize(
    ("numbers", "expected"), [((1, 2, 3), 10.0), ((1, 5, 9), 40.0)], ids=["each", "every fourth"]
)
def test_from_above_cells_are_as_tall_as_the_sections_are_apart(numbers, expected):
    one = stack(VALUES, numbers=numbers, spacing_mm=(0.004, 0.012), slice_spacing_mm=0.12)
    assert one.aspect == pytest.approx(expected)
    assert one.section_aspect == pytest.approx(1 / 3)
    assert stack(VALUES).aspect is None


def test_a_few_sections_stand_for_many_with_both_ends():
    assert list(evenly(73, 4)) == [0, 24, 48, 72]
    assert list(evenly(3, 8)) == [0, 1, 2]


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="4 sections"):
        stack(VALUES, numbers=(1, 2, 3, 4))


@pytest.fixture
def section(make_case, make_view, make_map):
    """The case of one section, whose map is as strong as its number says."""

    def make(number: int, **facts: object):
        made = make_map(np.full((4, 4), float(number), np.float32))
        return make_case(
            f"I-{number}",
            views=(make_view(explained=(made,)),),
            facts={"volume": "I-scan", "section": number, "sections": 9, **facts},
        )

    return make


def test_sections_stand_in_their_order_whatever_the_order_of_the_cases(section):
    volumes = Volumes()
    for number in (7, 2, 5):
        volumes.add(section(number))
    (sheet,) = volumes.sheets()
    assert sheet.facts == ("3 sections of 9", "distance from section to section not known")
    (shown,) = sheet.maps
    assert [one.number for one in shown.strip] == [2, 5, 7]
    assert [one.share for one in shown.strip] == ["14\u202f%", "36\u202f%", "50\u202f%"]
    assert "section 7, which has 50\u202f%" in shown.words


def test_images_that_are_no_sections_and_failed_ones_make_no_volume(make_case, section):
    volumes = Volumes()
    volumes.add(make_case("I-0"))
    assert not volumes
    assert list(volumes.sheets()) == []


def test_the_page_shows_a_volume_with_a_link_to_it(make_run, make_case, section):
    run = make_run([section(1), section(2), make_case("I-photo")])
    text = write_page(run).read_text(encoding="utf-8")
    assert '<a href="#volumes">Volumes</a>' in text
    assert text.count('class="fv-volume"') == 1
    assert "Section 2: 67\u202f%" in text
    assert "#volumes" not in write_page(make_run([make_case("I-photo")])).read_text("utf-8")


def test_a_page_shows_a_few_sections_of_a_volume_one_by_one(make_run, section, make_case):
    run = make_run([section(number) for number in range(1, 12)], [make_case("I-photo")])
    left_out = sections_left_out(run)
    assert left_out == {"I-2", "I-4", "I-6", "I-8", "I-10"}
    text = write_page(run).read_text(encoding="utf-8")
    assert text.count('class="fv-case"') == 7


def test_the_figure_has_a_strip_two_views_from_above_a_cut_and_the_shares():
    many = np.tile(VALUES, (4, 1, 1))
    one = stack(many, spacing_mm=(0.004, 0.012), slice_spacing_mm=0.12)
    figure = stack_figure(one, "Grad-CAM for drusen")
    pictures = [axes for axes in figure.axes if axes.get_images()]
    assert len(pictures) == 6 + 3
    (line, chance) = next(axes for axes in figure.axes if axes.get_xlabel() == "section").lines
    np.testing.assert_allclose(line.get_ydata(), 100 * one.shares)
    assert list(chance.get_ydata()) == pytest.approx([100 / 12] * 2)


def test_the_figure_says_which_section_is_on_top_from_above():
    figure = stack_figure(stack(np.ones((3, 4, 5), np.float32), numbers=(7, 8, 9)), "Map")
    told = " ".join(" ".join(text.get_text().split()) for text in figure.texts)
    assert "section 7 is on top, whichever way they run in the eye" in told
