"""Who counts as one: the patient, else the eye, else the image, and the result says which."""

import numpy as np
import pytest

from foveal.analysis import units_of

CASES = [
    pytest.param(["A", "A", "B"], None, None, [0, 0, 1], "patient", "", id="patients"),
    pytest.param([None] * 3, ["l", "r", "r"], None, [0, 1, 1], "eye", "no patient ids", id="eyes"),
    pytest.param([""] * 3, None, ["i", "j", "k"], [0, 1, 2], "image", "each image", id="images"),
    pytest.param([np.nan] * 2, None, None, [0, 1], "image", "each image", id="nothing known"),
    pytest.param(
        ["A", None, "A", None],
        ["w", "x", "y", "x"],
        None,
        [0, 1, 0, 1],
        "patient",
        "2 of 4 rows have no patient id",
        id="some patients",
    ),
    pytest.param(["A", None], ["l", "A"], None, [0, 1], "patient", "1 of 2 rows", id="same name"),
    pytest.param(
        ["A", "B"], None, ["i", "i"], [0, 1], "patient", "1 row repeats an image", id="duplicate"
    ),
    pytest.param([], None, None, [], "patient", "", id="no rows"),
]


@pytest.mark.parametrize(("patients", "eyes", "images", "codes", "unit", "note"), CASES)
def test_rows_belong_to_their_patient_or_what_stands_for_it(
    patients, eyes, images, codes, unit, note
):
    units = units_of(patients, eyes, images)
    np.testing.assert_array_equal(units.codes, codes)
    assert (units.unit, units.count) == (unit, len(set(codes)))
    assert note in " ".join(units.notes)
    assert bool(note) == bool(units.notes)


def test_choosing_rows_counts_their_units_anew():
    units = units_of(["A", "B", "C", "C"], ["1", "2", "3", "4"])
    chosen = units.chosen(np.array([False, True, False, True]))
    np.testing.assert_array_equal(chosen.codes, [0, 1])
    np.testing.assert_array_equal(chosen.eyes, [0, 1])


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="a name for each row"):
        units_of(["A", "B"], ["l"])


def test_few_units_are_counted_in_words_and_none_have_no_remark():
    said = {count: units_of([f"P{n}" for n in range(count)]).remarks() for count in (0, 1, 2, 30)}
    assert said == {
        0: (),
        1: ("only 1 patient: fewer than 30, so be wary",),
        2: ("only 2 patients: fewer than 30, so be wary",),
        30: (),
    }
