"""What several graders have in common: by hand, against SimpleITK, for graders of known skill."""

import numpy as np
import pytest
import SimpleITK

from foveal.core import ImageError, Region
from foveal.images import SoftMask, consensus_of
from foveal.images.annotations.staple import staple

RNG = np.random.default_rng(7)
TRUTH = np.zeros((60, 80), bool)
TRUTH[20:45, 30:62] = True
SKILLS = ((0.95, 0.99), (0.8, 0.97), (0.6, 0.999), (0.9, 0.9))
"""Sensitivity and specificity of four graders."""
GRADED = np.array(
    [np.where(TRUTH, RNG.random(TRUTH.shape) < p, RNG.random(TRUTH.shape) > q) for p, q in SKILLS]
)


def regions(masks, name="drusen", graders="abcd"):
    return [
        Region(name=name, mask=np.asarray(mask, bool), grader=grader, kind="lesion")
        for grader, mask in zip(graders, masks, strict=False)
    ]


def test_staple_is_the_one_of_simpleitk():
    filter_ = SimpleITK.STAPLEImageFilter()
    filter_.SetForegroundValue(1.0)
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in GRADED]

    probability = SimpleITK.GetArrayFromImage(filter_.Execute(images))
    found = staple(GRADED)

    np.testing.assert_allclose(found.probability, probability, atol=2e-4)
    np.testing.assert_allclose(found.sensitivity, filter_.GetSensitivity(), atol=1e-4)
    np.testing.assert_allclose(found.specificity, filter_.GetSpecificity(), atol=1e-4)


def test_staple_finds_how_good_each_grader_is():
    found = staple(GRADED)

    for (p, q), sensitivity, specificity in zip(
        SKILLS, found.sensitivity, found.specificity, strict=True
    ):
        # Three standard errors of a share among the 800 true and the 4000 other pixels.
        assert sensitivity == pytest.approx(p, abs=3 * np.sqrt(p * (1 - p) / 800) + 0.01)
        assert specificity == pytest.approx(q, abs=3 * np.sqrt(q * (1 - q) / 4000) + 0.01)
    assert (found.probability.round() == TRUTH).mean() > 0.99


def slow_staple(masks):
    """Warfield 2004 with every pixel by itself, and as many rounds as it may need."""
    prior, p, q = masks.mean(), np.full((len(masks), 1), 0.99999), np.full((len(masks), 1), 0.99999)
    said = masks.reshape(len(masks), -1)
    for _ in range(2000):
        yes = prior * np.prod(np.where(said, p, 1 - p), axis=0)
        no = (1 - prior) * np.prod(np.where(said, 1 - q, q), axis=0)
        weights = yes / (yes + no)
        p = (said * weights).sum(axis=1, keepdims=True) / weights.sum()
        q = (~said * (1 - weights)).sum(axis=1, keepdims=True) / (1 - weights).sum()
    return weights.reshape(masks.shape[1:]), p[:, 0], q[:, 0]


def test_staple_is_the_expectation_maximisation_of_the_paper():
    small = GRADED[:3, 14:26, 24:38]

    probability, p, q = slow_staple(small)
    found = staple(small)

    np.testing.assert_allclose(found.probability, probability, atol=1e-5)
    np.testing.assert_allclose(found.sensitivity, p, atol=1e-5)
    np.testing.assert_allclose(found.specificity, q, atol=1e-5)


@pytest.mark.parametrize(
    ("value", "none"), [(False, "sensitivity"), (True, "specificity")], ids=["nothing", "all"]
)
def test_graders_who_all_say_the_same_everywhere_tell_only_half(value, none):
    masks = np.full((3, 4, 5), value)

    found = staple(masks)

    assert getattr(found, none) is None
    np.testing.assert_array_equal(found.probability, masks[0])


def test_the_majority_is_more_than_half():
    one, two, three = np.array([[1, 1, 1, 0]]), np.array([[1, 1, 0, 0]]), np.array([[1, 0, 0, 0]])

    (of_three,) = consensus_of(regions([one, two, three]))
    (of_two,) = consensus_of(regions([one, two]))

    assert of_three.region.mask.tolist() == [[True, True, False, False]]
    assert of_two.region.mask.tolist() == [[True, True, False, False]]
    np.testing.assert_allclose(of_three.probability, [[1, 2 / 3, 1 / 3, 0]])
    assert of_three.region.facts == {"consensus": "majority", "graders": 3}
    assert (of_three.region.kind, of_three.sensitivity) == ("lesion", None)
    # The share of graders is a soft mask, too.
    soft = SoftMask(name="drusen", values=of_three.probability.astype(np.float32))
    assert soft.region(1 / 3).mask.tolist() == [[True, True, True, False]]


def test_pairs_of_graders_agree_as_worked_out_by_hand():
    """Of ten pixels both mark 3, only the first 1, only the second 2, nobody 4."""
    first = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]])
    second = np.array([[1, 1, 1, 0, 1, 1, 0, 0, 0, 0]])

    ((pair,),) = (c.pairs for c in consensus_of(regions([first, second])))

    assert (pair.first, pair.second) == ("a", "b")
    assert pair.dice == pytest.approx(6 / 9)
    assert pair.iou == pytest.approx(3 / 6)
    # Observed 0.7; expected 0.4 * 0.5 + 0.6 * 0.5 = 0.5.
    assert pair.kappa == pytest.approx(0.4)


def test_what_lies_outside_the_field_does_not_count():
    first, second = np.array([[1, 0, 1, 1]]), np.array([[1, 0, 0, 1]])
    inside = np.array([[True, True, False, False]])

    (found,) = consensus_of(regions([first, second]), "staple", field=inside)

    assert found.pairs[0].kappa == pytest.approx(1.0)
    assert found.region.mask.tolist() == [[True, False, False, False]]


def test_two_graders_who_mark_nothing_agree_and_have_no_kappa():
    nothing = np.zeros((2, 3), bool)

    ((pair,),) = (c.pairs for c in consensus_of(regions([nothing, nothing])))

    assert (pair.dice, pair.iou, pair.kappa) == (1.0, 1.0, None)


def test_who_marked_other_regions_only_has_marked_none_of_this_one():
    mask = np.ones((2, 2), bool)
    told = [*regions([mask, mask]), *regions([mask], "scars", "c")]

    drusen, scars = consensus_of(told)

    assert drusen.graders == ("a", "b", "c")
    assert drusen.region.mask.all()
    assert not scars.region.mask.any()
    (alone,) = consensus_of(regions([mask, mask]), graders="abcd")
    assert not alone.region.mask.any()


REFUSED = [
    pytest.param(
        [Region(name="a", mask=np.ones((2, 2), bool))], "needs to know who", id="no grader"
    ),
    pytest.param(regions(np.ones((2, 2, 2)), graders="aa"), "several regions", id="twice"),
    pytest.param(
        [*regions(np.ones((1, 2, 2))), *regions(np.ones((1, 3, 3)))], "differ in size", id="sizes"
    ),
]


@pytest.mark.parametrize(("told", "message"), REFUSED)
def test_regions_that_have_nothing_in_common_are_refused(told, message):
    with pytest.raises(ImageError, match=message):
        consensus_of(told)
