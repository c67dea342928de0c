"""The grade that follows from the lesions of an eye."""

from collections import Counter
from collections.abc import Iterable

from foveal.synthetic.spec import Lesion, Point

GRADES = ("No DR", "Mild", "Moderate", "Severe", "Proliferative")
HAEMORRHAGES_PER_QUADRANT = 5
"""The rule asks for more than 20 in each quadrant of the whole retina; a photograph of the
posterior pole shows about a quarter of that."""


def grade_of(lesions: Iterable[Lesion]) -> int:
    """The grade of diabetic retinopathy, 0 to 4, by the lesions alone.

    0 no lesion; 1 microaneurysms only; 2 more than microaneurysms; 3 at least five haemorrhages in
    each of the four quadrants that meet in the fovea; 4 neovascularisation or preretinal
    haemorrhage. Of the 4-2-1 rule for grade 3 only its first part is drawn: there is no venous
    beading and no intraretinal microvascular abnormality here.

    Reference:
        Wilkinson et al. 2003, Proposed international clinical diabetic retinopathy and diabetic
        macular edema disease severity scales, Ophthalmology 110:1677.
    """
    lesions = tuple(lesions)
    kinds = {lesion.kind for lesion in lesions}
    if kinds & {"neovascularisation", "preretinal haemorrhage"}:
        return 4
    haemorrhages = (lesion.spots[0] for lesion in lesions if lesion.kind == "haemorrhages")
    quadrants = Counter(quadrant_of((spot.row, spot.column)) for spot in haemorrhages)
    if all(quadrants[quadrant] >= HAEMORRHAGES_PER_QUADRANT for quadrant in range(4)):
        return 3
    if kinds - {"microaneurysms"}:
        return 2
    return 1 if kinds else 0


def quadrant_of(point: Point) -> int:
    """0 superior temporal, 1 superior nasal, 2 inferior temporal, 3 inferior nasal."""
    return 2 * (point[0] >= 0) + (point[1] >= 0)
