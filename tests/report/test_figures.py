"""Small multiples of a case show what they say, and say what they show."""

import re

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import FovealWarning, Region, StoreError
from foveal.report import case_figure, overlay, save_figure, scale_of, write_figures
from foveal.report.carry import way_of
from foveal.store import Case


def texts(figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for panel in figure.axes:
        found += [text.get_text() for text in panel.texts]
        found += [label.get_text() for label in panel.get_xticklabels()]
        legend = panel.get_legend()
        found += [] if legend is None else [text.get_text() for text in legend.get_texts()]
    return "\n".join(found)


def pictures(figure) -> list[np.ndarray]:
    return [np.asarray(panel.images[0].get_array()) for panel in figure.axes if panel.images]


def test_the_original_comes_first_then_each_map_over_its_own_pixels(make_case, make_view, make_map):
    maps = make_map(), make_map(key="layercam@fine", values=np.eye(4), target="grade >= 2")
    case = make_case(views=(make_view(explained=maps),))
    original, *drawn = pictures(case_figure(case))
    np.testing.assert_array_equal(original, case.picture)
    way = way_of(case, case.views[0], (40, 60))
    for picture, one in zip(drawn, maps, strict=True):
        values = way.carry(one.attribution.map)
        expected = overlay(case.picture, values, scale_of(one.attribution), seen=way.seen)
        np.testing.assert_array_equal(picture, expected)


def test_everything_a_reader_needs_is_written_on_the_figure(make_case):
    words = texts(case_figure(make_case()))
    for expected in (
        "I-0  ·  P-1/right  ·  Fundus photograph, right eye (OD)",
        "grader: Severe",
        "Grad-CAM\nfor Severe (predicted)",
        "Raw values up to the map's maximum; a scale of its own.",
        "Layer features.top; one cell covers 10 × 10 pixels",
        "33\u202f% of the map is evidence against",
        "field of view",
        "hard exudates (3)",
        "1 mm",
        "0\n2",
    ):
        assert expected in words


def test_a_map_without_values_is_the_plain_picture_with_the_reason(make_case, make_view, make_map):
    one = make_map(np.zeros((4, 4)), reason="zero_map")
    case = make_case(views=(make_view(explained=(one,)),))
    figure = case_figure(case)
    np.testing.assert_array_equal(pictures(figure)[1], case.picture)
    assert "No map: the map has no positive value inside the field." in texts(figure)


def test_a_signed_map_has_zero_in_the_middle_of_its_scale(make_case):
    figure = case_figure(make_case(), signed=True, alpha=1.0)
    assert "−2\n0\n2" in texts(figure)
    assert "evidence against" not in texts(figure), "it is drawn"


def test_values_beyond_the_scale_are_said_to_be_cut(make_case, make_view, make_map):
    values = np.zeros((1, 20, 20))
    values[0, :5], values[0, 10, 10] = 1, 50
    case = make_case(views=(make_view(explained=(make_map(values),)),))
    assert "99.9th percentile" in texts(case_figure(case))


def test_contours_leave_the_photograph_bare(make_case):
    figure = case_figure(make_case(), contours=True)
    np.testing.assert_array_equal(pictures(figure)[1], make_case().picture)
    assert len(figure.axes[1].patches) == 6, "three heights, each with its rim"
    signed = case_figure(make_case(), contours=True, signed=True)
    assert len(signed.axes[1].patches) == 12


def test_an_opacity_by_value_leaves_what_is_zero_bare(make_case):
    bare = pictures(case_figure(make_case(), by_value=True))[1]
    assert (bare[:, 40:50] == make_case().picture[:, 40:50]).all()


def test_jet_is_drawn_when_asked_for_with_a_warning(make_case):
    with pytest.warns(FovealWarning, match="jet shows edges where there are none"):
        case_figure(make_case(), colormap="jet")


def test_maps_are_chosen_by_model_target_and_name(make_case, make_view, make_map):
    maps = make_map(), make_map(key="layercam"), make_map(target="grade >= 2")
    views = make_view(explained=maps), make_view(model="other", explained=(make_map(),))
    case = make_case(views=views)
    assert len(pictures(case_figure(case))) == 1 + 4
    assert len(pictures(case_figure(case, model="other"))) == 1 + 1
    assert len(pictures(case_figure(case, target="grade >= 2"))) == 1 + 1
    assert len(pictures(case_figure(case, methods=["layercam"]))) == 1 + 1
    assert "of other" in texts(case_figure(case))


WRONG = [
    pytest.param({"model": "x"}, "no model 'x'; it has grader", id="model"),
    pytest.param({"target": "x"}, "no target 'x'; it has predicted: Severe", id="target"),
    pytest.param({"methods": ["x"]}, "no method 'x'; it has gradcam", id="method"),
    pytest.param({"alpha": 2.0}, r"alpha must be in \[0, 1\]", id="opacity"),
    pytest.param({"colormap": "x"}, "no colour map 'x'", id="colour map"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_is_not_there_is_refused_with_what_is(make_case, settings, message):
    with pytest.raises(ValueError, match=message):
        case_figure(make_case(), **settings)


def test_a_failed_image_has_no_figure(make_case):
    with pytest.raises(ValueError, match="nothing can be drawn of I-9: too dark"):
        case_figure(Case(id="I-9", failure="too dark"))


def test_a_grey_picture_with_nothing_known_is_drawn(make_case, make_view):
    grey = make_case(
        picture=np.full((40, 60, 1), 80, np.uint8), spacing_mm=None, regions=(), eye=None,
        views=(make_view(field=np.ones((20, 20), bool)),),
    )  # fmt: skip
    figure = case_figure(grey)
    assert (pictures(figure)[0] == 80).all()
    assert "mm" not in texts(figure)
    assert figure.axes[0].get_legend() is None


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_saved_figure_is_the_same_bytes_again(make_case, tmp_path, ending):
    for name in ("one", "two"):
        save_figure(case_figure(make_case()), tmp_path / f"{name}.{ending}")
    one, two = (tmp_path / f"{name}.{ending}" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_figure_says_nothing_of_files_and_their_places(make_case, tmp_path):
    planted = "/data/Mueller_Hans"
    mask = np.eye(40, 60, dtype=bool)
    case = make_case(regions=(Region(name="drusen", mask=mask, source=f"{planted}/x.png"),))
    for ending in ("png", "svg"):
        path = tmp_path / f"Mueller_Hans.{ending}"
        save_figure(case_figure(case), path)
        assert b"Mueller" not in path.read_bytes()
    with PillowImage.open(tmp_path / "Mueller_Hans.png") as picture:
        assert set(picture.info) <= {"dpi"}


def test_other_endings_and_places_are_refused(make_case, tmp_path):
    figure = case_figure(make_case())
    with pytest.raises(ValueError, match=r"\.png or \.svg, not as \.pdf"):
        save_figure(figure, tmp_path / "x.pdf")
    with pytest.raises(StoreError, match=r"cannot write the figure x\.png"):
        save_figure(figure, tmp_path / "nowhere" / "x.png")


def test_a_run_gets_a_figure_for_each_explained_image(make_run, make_case):
    run = make_run([make_case("I-0"), Case(id="I-9", failure="dark"), make_case("../A $x$/b.jpg")])
    written = write_figures(run)
    assert [path.parent for path in written] == [run.folder / "figures"] * 2
    assert re.fullmatch(r"[\w%. $-]+\.png", written[1].name)
    assert all(path.exists() for path in written)
    assert len(list((run.folder / "figures").glob("*.png"))) == 2


def test_long_names_that_are_kept_give_figures_of_their_own(make_run, make_case):
    names = [f"{'äöü' * 40}/{number}.png" for number in (1, 2)]
    written = write_figures(make_run([make_case(name) for name in names]))
    assert len({path.name for path in written}) == 2
    assert all(path.is_file() and len(path.name.encode()) < 200 for path in written)


def test_a_place_for_figures_that_is_taken_is_said(make_run):
    run = make_run()
    (run.folder / "figures").write_text("")
    with pytest.raises(StoreError, match="cannot make the folder for figures"):
        write_figures(run)
