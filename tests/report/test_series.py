"""Changes of maps from visit to visit: their numbers, their threshold, and how they are drawn."""

import numpy as np
import pytest

from foveal.core import ImageError, Region
from foveal.report.series import SeriesMap
from foveal.report.series_figures import series_figure


def series(values: np.ndarray, repeats: np.ndarray | None = None, **changes: object) -> SeriesMap:
    values = np.asarray(values, float)
    settings: dict[str, object] = {
        "key": "gradcam",
        "name": "Grad-CAM",
        "target": "Severe",
        "numbers": tuple(range(1, len(values) + 1)),
        "pictures": np.full((*values.shape, 3), 90, np.uint8),
        "values": values,
        "repeats": np.empty((0, *values.shape[1:])) if repeats is None else np.asarray(repeats),
        "original": values.shape[1:],
    }
    return SeriesMap(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize("spread", [0.01, 7.0])
def test_of_unchanged_pixels_five_in_a_hundred_are_called_changed(count, spread):
    random = np.random.default_rng(count)
    maps = random.normal(3, spread, size=(2 + count, 150, 150))
    (row,) = series(maps[:2], maps[2:]).rows()
    # 22,500 pixels: the standard deviation of their share is 0.0015.
    assert row["changed"] == pytest.approx(0.05, abs=0.006)
    assert row["by_chance"] == 0.05


VISITS = np.array([[[1.0, 0.0, 2.0]], [[1.0, 5.0, 2.5]], [[np.nan, 9.0, 3.0]]]).repeat(2, axis=1)
REPEATS = np.array([[[1.0, 0.0, 2.0]], [[2.0, 0.0, 2.0]], [[3.0, 0.0, 2.0]]]).repeat(2, axis=1)
"""Standard deviations of 1, 0 and 0; the middle of the field is sure."""


def test_steps_are_from_each_visit_to_the_next_and_from_the_first_to_the_last():
    assert series(VISITS).steps == ((1, 2), (2, 3), (1, 3))
    assert series(VISITS[:2], numbers=(1, 4)).steps == ((1, 4),)


def test_numbers_of_a_change_by_hand():
    found = series(VISITS, REPEATS)
    assert found.threshold == pytest.approx(4.3027, abs=1e-4)  # Student's t, 2 degrees of freedom
    one, _, last = found.rows()
    assert one["mean_change"] == pytest.approx(5.5 / 3)
    assert one["changed"] == pytest.approx(2 / 3)  # where repeats agree, any difference is one
    # Means of the repeats are 1, 4/3, 5/3: standard deviation 1/3, floor sqrt(2)/3.
    assert one["mean_in_floors"] == pytest.approx(5.5 / np.sqrt(2))
    assert last["mean_change"] == pytest.approx(5)  # the first pixel is not seen at visit 3


def test_numbers_of_a_region_and_of_one_that_no_visit_shows():
    left = Region(name="left", mask=np.array([[True, False, False]] * 2))
    rows = series(VISITS, REPEATS).rows([left])
    assert [row["region"] for row in rows] == [None, "left"] * 3
    assert (rows[1]["mean_change"], rows[1]["changed"]) == (0.0, 0.0)
    assert (rows[3]["mean_change"], rows[3]["changed"]) == (None, None)
    assert rows[3]["reason"] == "no pixel of it is seen at both visits"
    with pytest.raises(ImageError, match="regions lie on the first photograph"):
        series(VISITS).rows([Region(name="left", mask=np.ones((3, 1), bool))])


def test_without_repeats_there_is_a_change_and_the_reason_why_nothing_is_called_changed():
    found = series(VISITS)
    (row, *_) = found.rows()
    assert row["mean_change"] == pytest.approx(5.5 / 3)
    assert row["changed"] is row["threshold"] is None
    assert "two repeats" in str(row["reason"])
    assert found.changed((1, 2)) is None


@pytest.mark.parametrize(("repeats", "said"), [(None, "without a noise floor"), (REPEATS, "4.3")])
def test_a_figure_shows_visits_maps_and_changes_and_says_what_they_are(repeats, said):
    figure = series_figure(series(VISITS, repeats), notes=["Left out: visit 4."])
    assert sum(bool(axes.get_images()) for axes in figure.axes) == 9
    words = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    for part in (said, "no measurement of disease", "Left out: visit 4.", "From visit 1 to 3"):
        assert part in words


def test_a_visit_more_than_there_are_maps_is_refused():
    with pytest.raises(ValueError, match="a series of 2 visits"):
        series(VISITS, numbers=(1, 2))
