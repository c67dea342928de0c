"""Visits of one eye at the clinical door: a lesion that grows, under known motions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

import foveal
from foveal import synthetic
from foveal.core import Image, ImageError, Region
from foveal.synthetic.spec import Lesion, Spot
from foveal.synthetic.view import view_of

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

SIDE = 128
SPEC = replace(synthetic.draw_fundus(3, grade=0, laterality="right", device="rose"), lesions=())
ROW, COLUMN = SPEC.exposure.gaze


def eye(radius: float, *, moved: tuple[float, float] = (0, 0), seed: int = 1) -> synthetic.Eye:
    """The eye with a haemorrhage of that radius, looked at from so many degrees further."""
    spot = Spot(row=6.0, column=2.0, radius=radius or 1.0, strength=1.0)
    exposure = replace(SPEC.exposure, gaze=(ROW + moved[0], COLUMN + moved[1]), seed=seed)
    lesions = (Lesion(kind="preretinal haemorrhage", spots=(spot,)),) if radius else ()
    return synthetic.render(replace(SPEC, lesions=lesions, exposure=exposure), size=SIDE)


MOTIONS = [(1.5, -2.0), (-1.0, 1.0)]


@pytest.fixture(scope="module")
def visits() -> list[Image]:
    grown = [eye(3, moved=MOTIONS[0], seed=2), eye(6, moved=MOTIONS[1], seed=3)]
    return [eye(0).image, *(one.image for one in grown)]


@pytest.fixture(scope="module")
def repeats() -> list[Image]:
    jitter = [(0.3, -0.3), (-0.5, 0.5), (0.8, 0.2), (-0.2, -0.6)]
    return [eye(0, moved=moved, seed=10 + n).image for n, moved in enumerate(jitter)]


@pytest.fixture(scope="module")
def stranger() -> Image:
    """No eye that could be taken for this one."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(SIDE, SIDE)), 2)
    pixels = (0.5 + 0.1 * blobs / blobs.std()).clip(0, 1)
    return Image(pixels=np.stack([pixels] * 3).astype(np.float32))


class Dark(nn.Module):
    """The logit of the second class is the mean of what is darker than a third."""

    def __init__(self) -> None:
        super().__init__()
        self.look, self.relu = nn.Conv2d(1, 1, 1), nn.ReLU()
        self.head = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.look.weight.fill_(-1.0)
            self.look.bias.fill_(1 / 3)
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.look(images)).flatten(2).mean(dim=2))


@pytest.fixture(scope="module")
def model() -> foveal.Model:
    card = {
        "name": "blood",
        "task": "multiclass",
        "classes": ["none", "blood"],
        "input": {
            "size": [SIDE, SIDE],
            "color": "gray",
            "prepare": [{"step": "resize", "aspect": "stretch"}],
        },
    }
    return foveal.load_model(card, module=Dark())


def test_the_change_is_hot_where_the_lesion_grew(model, visits, repeats):
    found = foveal.explain_series(model, visits, target="blood", repeats=repeats)
    scale = view_of(SPEC, SIDE).pixels_per_unit
    for number, moved in zip((2, 3), MOTIONS, strict=True):
        assert found.motions[number].shift == pytest.approx(
            tuple(scale * degree for degree in moved), abs=1.0
        )
    made = found["gradcam"]
    assert made.steps == ((1, 2), (2, 3), (1, 3))
    # The lesion as the first visit would have shown it, without its soft border.
    lesion = next(one for one in eye(6).regions if one.name == "preretinal haemorrhage")
    core = ndimage.binary_erosion(lesion.mask, iterations=3)
    changed = made.changed((1, 3))
    assert changed is not None
    assert changed[core].mean() > 0.95
    far = ~ndimage.binary_dilation(lesion.mask, iterations=3)
    assert (made.changes[1, 3].difference[core] > 0).all()
    assert changed[far].mean() < 0.15
    whole, inside = [row for row in found.rows([lesion]) if (row["from"], row["to"]) == (1, 3)]
    # In the repeats nothing is dark there, so there is no noise to count in.
    assert (inside["mean_in_floors"], inside["reason"]) == (None, "the repeats do not differ")
    assert inside["mean_change"] > 5 * abs(whole["mean_change"])


def test_a_visit_that_does_not_fit_is_named_and_the_others_go_on(model, visits, stranger):
    found = foveal.explain_series(model, [visits[0], stranger, visits[1]], target="blood")
    assert list(found.refused) == ["visit 2"]
    assert found["gradcam"].numbers == (1, 3)
    assert len(found.result.readings) == 2
    words = " ".join(text.get_text() for text in found.show().texts)
    assert "Left out: visit 2" in words
    with pytest.raises(ImageError, match="no later visit fits"):
        foveal.explain_series(model, [visits[0], stranger], target="blood")


def test_photographs_of_two_eyes_or_patients_are_refused(model, visits):
    left = replace(visits[1], laterality="left")
    with pytest.raises(ImageError, match="visit 2 is of another side than visit 1"):
        foveal.explain_series(model, [visits[0], left], target="blood")
    ours, theirs = (replace(one, patient=name) for one, name in zip(visits, "AB", strict=False))
    with pytest.raises(ImageError, match="repeat 1 is of another patient") as told:
        foveal.explain_series(model, [ours, ours], target="blood", repeats=[theirs])
    assert "'A'" not in str(told.value)


def test_what_cannot_be_compared_is_a_value_error(model, visits):
    with pytest.raises(ValueError, match="one class for all visits"):
        foveal.explain_series(model, visits, target="predicted")
    with pytest.raises(ValueError, match="two visits or more"):
        foveal.explain_series(model, visits[:1], target="blood")


def test_large_photographs_meet_on_a_coarser_grid_and_regions_on_the_first(
    model, visits, monkeypatch
):
    monkeypatch.setattr("foveal.doors.series._SIDE", 96)
    made = foveal.explain_series(model, visits[:2], target="blood")["gradcam"]
    assert made.values.shape == (2, 96, 96)
    assert made.original == (SIDE, SIDE)
    half = Region(name="upper half", mask=np.arange(SIDE)[:, None] < np.full(SIDE, SIDE // 2))
    assert [row["region"] for row in made.rows([half])] == [None, "upper half"]
