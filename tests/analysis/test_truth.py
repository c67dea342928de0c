"""What the labels of a manifest mean, label by label."""

import numpy as np
import pytest

from foveal.analysis.truth import truth_of

CLASSES = ("No DR", "Mild", "Severe")
LABELS = [
    pytest.param("Mild", 1, id="name"),
    pytest.param("no dr", 0, id="capitals do not count"),
    pytest.param("2", 2, id="number from 0"),
    pytest.param("2.0", 2, id="number that a table made of it"),
    pytest.param("3", -1, id="number beyond the classes"),
    pytest.param("-1", -1, id="negative number"),
    pytest.param("ungradable", -1, id="no class"),
    pytest.param(None, -1, id="empty"),
]


@pytest.mark.parametrize(("label", "expected"), LABELS)
def test_a_label_is_a_class_by_name_or_number(label, expected):
    found = truth_of({"sex": ("f",), "grade": (label,)}, CLASSES)
    assert found is not None
    assert found.index.tolist() == [expected]
    assert found.known == (expected >= 0)
    assert bool(found.notes) == (expected < 0 and label is not None)


def test_what_is_no_class_is_counted_in_words():
    found = truth_of({"grade": ("ungradable", "Mild", "ungradable")}, CLASSES)
    assert found is not None
    assert found.notes == ("2 images have a grade that is no class of the model: 'ungradable' (2)",)


def test_names_go_before_numbers_and_grade_before_other_columns():
    found = truth_of({"diagnosis": ("1",), "grade": ("1",)}, ("0", "2", "1"))
    assert found is not None
    assert (found.column, found.index.tolist()) == ("grade", [2])


def test_without_such_a_column_nothing_is_true():
    assert truth_of({"quality": ("1",)}, CLASSES) is None
    np.testing.assert_array_equal(truth_of({"label": ()}, CLASSES).index, [])
