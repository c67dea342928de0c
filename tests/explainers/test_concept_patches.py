"""Patches around lesions, and the random ones matched to them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from foveal import load_model, synthetic
from foveal.explainers import concept_patches, lesion_patches

SIDE = 8


@dataclass
class Eye:
    """An image whose pixels say where they are: photograph, row, column, lesion and field."""

    pixels: Tensor
    lesions: np.ndarray
    field: np.ndarray


def eye(number: int, lesions: list[tuple[int, int]], side: int = 72) -> Eye:
    row, column = np.indices((side, side))
    mask = np.zeros((side, side), bool)
    for place in lesions:
        mask[place] = True
    field = np.hypot(row - side / 2 + 0.5, column - side / 2 + 0.5) < 34
    channels = [np.full(mask.shape, number), row, column, mask, field]
    return Eye(torch.tensor(np.stack(channels)).float(), mask, field)


EYES = [eye(0, [(20, 30), (50, 44), (33, 12)]), eye(1, [(36, 20)]), eye(2, [])]


def patches(eyes: list[Eye] = EYES, **settings):
    given = {"size": None, "side": SIDE, "seed": 4, "fields": [e.field for e in eyes], **settings}
    return concept_patches([e.pixels for e in eyes], [e.lesions for e in eyes], **given)


def middles(found: Tensor) -> np.ndarray:
    """Photograph, row and column of each patch's middle."""
    return (found[:, :3].mean(dim=(2, 3)) + torch.tensor([0, 0.5, 0.5])).numpy()


def test_lesions_are_in_the_middle_of_their_patches():
    lesions, _ = patches()
    assert tuple(lesions.shape) == (4, 5, SIDE, SIDE)
    assert bool((lesions[:, 3].sum(dim=(1, 2)) == 1).all())
    assert bool((lesions[:, 3, SIDE // 2, SIDE // 2] == 1).all())


def test_random_patches_lie_in_the_same_field_and_touch_no_lesion():
    lesions, random = patches()
    assert bool((lesions[:, 4] == 1).all())
    assert bool((random[:, 4] == 1).all())
    assert not random[:, 3].any()


def test_random_patches_are_of_the_same_photograph_at_the_same_radius():
    lesions, random = (middles(found) for found in patches(matches=2))
    for lesion, matched in zip(lesions, random.reshape(-1, 2, 3), strict=True):
        assert set(matched[:, 0]) == {lesion[0]}
        radii = np.hypot(*(matched[:, 1:] - 36).T)
        assert np.abs(radii - np.hypot(*(lesion[1:] - 36))).max() <= SIDE / 2


def test_patches_of_one_side_share_at_most_half_their_width():
    crowded = [eye(0, [(30, 30), (31, 33), (40, 40)])]
    lesions, random = patches(crowded, matches=4)
    assert len(lesions) == 2
    for found in (middles(lesions), middles(random)):
        for one in range(len(found)):
            for other in range(one):
                assert np.abs(found[one] - found[other]).max() >= SIDE / 2


def test_photographs_take_turns():
    lesions, random = patches(count=2)
    assert {row[0] for row in middles(lesions)} == {0, 1}
    assert len(random) == 6


def test_a_lesion_at_the_border_or_without_random_patches_is_left_out():
    at_border = eye(0, [(36, 3), (36, 30)])
    assert len(patches([at_border]).concept) == 1
    with pytest.raises(ValueError, match="smaller side, or fewer matches"):
        patches([at_border], avoid=[np.ones_like(at_border.lesions)])


def test_other_lesions_are_avoided_where_they_are_named():
    (own,) = [eye(0, [(36, 20)])]
    other = np.zeros_like(own.lesions)
    other[:, 36:] = True
    _, random = patches([own], avoid=[other])
    assert middles(random)[:, 2].max() <= 36 - SIDE / 2


def test_patches_are_resized_bilinearly_and_their_seed_is_kept():
    small, large = patches().concept, patches(size=(16, 24)).concept
    assert tuple(large.shape) == (4, 5, 16, 24)
    np.testing.assert_allclose(middles(large), middles(small), atol=1e-3)
    assert torch.equal(patches().random, patches().random)
    assert not torch.equal(patches().random, patches(seed=5).random)


WRONG = [
    pytest.param({"side": 80}, "does not fit", id="side"),
    pytest.param({"fields": [np.ones((9, 9), bool)] * 3}, "its mask", id="field"),
    pytest.param({"avoid": [EYES[0].lesions]}, "shorter|longer", id="lists"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_arguments_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        patches(**settings)


@pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")
def test_photographs_and_regions_become_patches_of_what_the_model_sees():
    model = load_model(synthetic.grader_card(), trust=True)
    drawn = synthetic.fundus(7, grade=2, size=256)
    name = next(region.name for region in drawn.regions if region.kind == "lesion")
    found = lesion_patches(model, [drawn.image], [drawn.regions], name, count=2, matches=1)
    size = tuple(model.card.input.size)
    assert tuple(found.concept.shape[1:]) == (3, *size)
    assert len(found.concept) == len(found.random)
    assert 0 <= float(found.concept.min()) <= float(found.concept.max()) <= 1
    cut = lesion_patches(model, [drawn.image], [drawn.regions], name, count=2, resized=False)
    assert tuple(cut.concept.shape[2:]) == (size[0] // 8,) * 2
    with pytest.raises(ValueError, match="there is no lesion 'drusen'"):
        lesion_patches(model, [drawn.image], [drawn.regions], "drusen")
