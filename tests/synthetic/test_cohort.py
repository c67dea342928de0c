from collections import Counter

import pytest

from foveal.synthetic import cohort
from foveal.synthetic.devices import DEVICES


@pytest.fixture(scope="module")
def twelve():
    return list(cohort(12, size=64))


def test_twelve_eyes_are_six_patients_with_both_eyes(twelve):
    assert [eye.image.patient for eye in twelve] == [f"P{k // 2 + 1:03d}" for k in range(12)]
    assert [eye.image.laterality for eye in twelve] == ["right", "left"] * 6
    assert twelve[3].image.eye == "P002/left"


def test_every_grade_occurs_about_equally_often(twelve):
    counts = Counter(eye.grade for eye in twelve)
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert max(counts.values()) - min(counts.values()) <= 1


def test_every_device_occurs_and_fellow_eyes_share_it(twelve):
    devices = [eye.spec.device.name for eye in twelve]
    assert set(devices) == set(DEVICES)
    assert devices[::2] == devices[1::2]


def test_fellow_eyes_are_alike_in_pigment_and_grade_but_not_the_same_eye(twelve):
    for right, left in zip(twelve[::2], twelve[1::2], strict=True):
        assert right.spec.ground.pigment == left.spec.ground.pigment
        assert abs(right.grade - left.grade) <= 1
        assert right.spec.vessels != left.spec.vessels


def test_the_grades_do_not_come_in_order(twelve):
    grades = [eye.grade for eye in twelve]
    assert grades != sorted(grades)


def test_another_seed_gives_other_eyes_and_the_same_seed_the_same(twelve):
    first, other = next(cohort(12, size=64)), next(cohort(12, 1, size=64))
    assert first.spec == twelve[0].spec != other.spec


def test_an_odd_count_leaves_one_patient_with_one_eye():
    patients = Counter(eye.image.patient for eye in cohort(3, size=64))
    assert sorted(patients.values()) == [1, 2]


def test_an_empty_cohort_is_refused():
    with pytest.raises(ValueError, match="at least one eye, but count is 0"):
        next(cohort(0))
