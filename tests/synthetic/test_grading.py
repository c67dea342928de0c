"""The grade by the rule, on lesions placed by hand."""

import pytest

from foveal.synthetic.grading import grade_of, quadrant_of
from foveal.synthetic.spec import Lesion, Spot, Vessel


def lesion(kind, row=1.0, column=1.0):
    return Lesion(kind=kind, spots=(Spot(row=row, column=column, radius=0.2, strength=0.8),))


def haemorrhages(*per_quadrant):
    places = [(-3.0, -3.0), (-3.0, 3.0), (3.0, -3.0), (3.0, 3.0)]
    return [
        lesion("haemorrhages", row, column)
        for (row, column), count in zip(places, per_quadrant, strict=True)
        for _ in range(count)
    ]


NEW_VESSEL = Lesion(
    kind="neovascularisation",
    vessels=(Vessel(kind="vein", points=((5.0, 5.0), (6.0, 6.0)), radii=(0.05, 0.05)),),
)

EYES = [
    pytest.param([], 0, id="nothing"),
    pytest.param([lesion("microaneurysms")] * 40, 1, id="microaneurysms only, however many"),
    pytest.param([lesion("microaneurysms"), lesion("haemorrhages")], 2, id="one haemorrhage more"),
    pytest.param([lesion("hard exudates")], 2, id="an exudate without microaneurysms"),
    pytest.param([lesion("soft exudates")], 2, id="a cotton wool spot"),
    pytest.param(haemorrhages(5, 5, 5, 5), 3, id="five in every quadrant"),
    pytest.param(haemorrhages(50, 5, 5, 4), 2, id="one quadrant one short"),
    pytest.param([NEW_VESSEL], 4, id="new vessels alone"),
    pytest.param([lesion("preretinal haemorrhage")], 4, id="preretinal haemorrhage alone"),
    pytest.param([*haemorrhages(9, 9, 9, 9), NEW_VESSEL], 4, id="the worst finding decides"),
]


@pytest.mark.parametrize(("lesions", "grade"), EYES)
def test_the_grade_follows_from_the_lesions(lesions, grade):
    assert grade_of(lesions) == grade


def test_a_blot_of_several_spots_is_one_haemorrhage():
    spots = haemorrhages(1, 0, 0, 0)[0].spots * 5
    quadrants = [Lesion(kind="haemorrhages", spots=spots), *haemorrhages(3, 5, 5, 5)]
    assert grade_of(quadrants) == 2


@pytest.mark.parametrize(
    ("point", "quadrant"),
    [
        pytest.param((-1.0, -1.0), 0, id="superior temporal"),
        pytest.param((-1.0, 1.0), 1, id="superior nasal"),
        pytest.param((1.0, -1.0), 2, id="inferior temporal"),
        pytest.param((1.0, 1.0), 3, id="inferior nasal"),
    ],
)
def test_quadrants_meet_in_the_fovea(point, quadrant):
    assert quadrant_of(point) == quadrant
