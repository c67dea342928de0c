"""Numbers and codes in the words of the page."""

import pytest

from foveal.report.summary import check_in_words
from foveal.report.words import (
    counted,
    listed,
    map_name,
    measure_name,
    no_map,
    number,
    percent,
    range_in_words,
    share,
    target_in_words,
)

NUMBERS = [
    (0.0, "0"),
    (1.0, "1"),
    (0.5, "0.5"),
    (0.03126, "0.0313"),
    (0.00099949, "0.000999"),
    (-0.25, "−0.25"),
    (12.345, "12.3"),
    (999.6, "1\u202f000"),
    (123456.0, "123\u202f456"),
    (2.86e-5, "2.86\u202f×\u202f10⁻⁵"),
    (-3.0e-7, "−3\u202f×\u202f10⁻⁷"),
    (9.999e-5, "0.0001"),
    (4.2e9, "4.2\u202f×\u202f10⁹"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_a_number_has_three_digits_and_a_true_minus(value, text):
    assert number(value) == text


PERCENTS = [
    (0.0, "0\u202f%"),
    (0.001, "<\u202f1\u202f%"),
    (0.424, "42\u202f%"),
    (0.999, ">\u202f99\u202f%"),
    (1.0, "100\u202f%"),
]


@pytest.mark.parametrize(("share", "text"), PERCENTS)
def test_a_share_is_never_rounded_to_none_or_all(share, text):
    assert percent(share) == text


SHARES = [
    (0.0, "0.000"),
    (3e-9, "<\u202f0.001"),
    (0.0625, "0.062"),
    (0.99996, ">\u202f0.999"),
    (1.0, "1.000"),
]


@pytest.mark.parametrize(("value", "text"), SHARES)
def test_a_probability_is_never_rounded_to_never_or_always(value, text):
    assert share(value) == text


RANGES = [
    ((0, 1), "0 to 1"),
    ((-1.0, 1.0), "−1 to 1"),
    ((0, None), "0 or more"),
    ((0, float("inf")), "0 or more"),
    ((None, 0), "0 or less"),
    ((float("-inf"), float("inf")), "any number"),
    ((None, None), "any number"),
]


@pytest.mark.parametrize(("bounds", "text"), RANGES)
def test_a_range_is_said_as_far_as_it_is_bounded(bounds, text):
    assert range_in_words(*bounds) == text


NAMES = [
    ("iou", "IoU"),
    ("deletion_auc", "Deletion AUC"),
    ("out_of_fov_mass", "Mass outside the field"),
    ("relevance_rank_correlation", "Relevance rank correlation"),
    ("fmce", "Feature-map contribution entropy"),
    ("masked_roi_drop", "Masked ROI drop"),
]


@pytest.mark.parametrize(("name", "text"), NAMES)
def test_a_measure_is_written_as_people_write_it(name, text):
    assert measure_name(name) == text


MAPS = [
    ("gradcam", "gradcam", "Grad-CAM"),
    ("gradcam@layer3", "gradcam", "Grad-CAM at layer3"),
    ("fine", "integratedgradients", "fine (Integrated gradients)"),
    ("mine", "mine", "mine"),
]


@pytest.mark.parametrize(("key", "method", "text"), MAPS)
def test_a_map_is_called_as_in_its_paper_and_as_in_the_plan(key, method, text, make_map):
    assert map_name(key, make_map(key=key, method=method).attribution) == text


def test_a_target_fits_into_a_sentence():
    assert target_in_words("predicted: Severe") == "Severe (predicted)"
    assert target_in_words("grade >= 2") == "grade ≥ 2"
    assert target_in_words("ratio: cup") == "ratio: cup"


def test_things_are_counted_and_listed():
    assert [counted(n, "eye") for n in (0, 1, 2)] == ["0 eyes", "1 eye", "2 eyes"]
    assert counted(1200, "class", "classes") == "1\u202f200 classes"
    assert [listed(list(names)) for names in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


REASONS = [
    pytest.param(None, "nothing in it speaks for the score", id="found when drawing"),
    pytest.param("zero_map", "no positive value inside the field", id="zero map"),
    pytest.param("empty_mask", "no pixel is predicted as this class", id="no such pixel"),
]


@pytest.mark.parametrize(("reason", "text"), REASONS)
def test_the_reason_for_no_map_is_said_in_words(reason, text, make_map):
    assert text in no_map(make_map([[0.0]], reason=reason).attribution)


@pytest.mark.parametrize(
    ("difference", "most"), [("2.7e-06", "0.000003"), ("3e-06", "0.000003"), ("0", "0")]
)
def test_a_check_at_loading_tells_its_difference_without_powers_of_ten(difference, most):
    said = check_in_words(f"passed, largest difference {difference}")
    assert said == f"passed: the output differs from the expected one by at most {most}"
