"""The anatomy that plans ask for, beside what experts marked."""

import numpy as np
import pytest

from foveal.core import Image
from foveal.images.anatomy import ANATOMY, anatomy_of
from foveal.synthetic import fundus

SIZE = 256


@pytest.fixture(scope="module")
def eye():
    return fundus(7, grade=1, laterality="right", device="rose", size=SIZE)


def names(anatomy):
    return [region.name for region in anatomy.regions]


def test_everything_of_the_fundus_is_given_with_where_it_comes_from(eye):
    found = anatomy_of(eye.image, ANATOMY[:6])
    assert names(found)[:3] == ["optic disc", "fovea", "vessels"]
    assert len(names(found)) == 3 + 9 + 4 + 12
    assert {region.kind for region in found.regions} == {"anatomy"}
    assert found.facts["anatomy.disc.source"] == "heuristic"
    assert 0.5 <= found.facts["anatomy.disc.confidence"] < 1
    assert found.facts["anatomy.side"] == "right"
    assert found.facts["anatomy.side.source"] == "given"
    assert found.notes == ()
    disc = next(region.mask for region in eye.regions if region.name == "optic disc")
    both = (found.regions[0].mask & disc).sum()
    assert 2 * both / (found.regions[0].mask.sum() + disc.sum()) > 0.85


def test_the_disc_and_the_fovea_have_the_discs_diameter(eye):
    disc, fovea = anatomy_of(eye.image, ["disc", "fovea"]).regions
    assert disc.mask.sum() == pytest.approx(fovea.mask.sum(), rel=0.03)


def test_what_experts_marked_is_not_made_again(eye):
    marked = [region for region in eye.regions if region.name in ("optic disc", "vessels")]
    found = anatomy_of(eye.image, ["disc", "vessels", "fovea"], regions=marked)
    assert names(found) == ["fovea"]
    assert found.facts["anatomy.disc.source"] == "mask"
    assert found.facts["anatomy.vessels.confidence"] == 1.0


def test_what_is_not_sure_is_left_out_and_noted():
    rows, columns = np.mgrid[:200, :200]
    field = np.hypot(rows - 99.5, columns - 99.5) < 95
    noise = np.random.default_rng(0).normal(0.4, 0.02, (3, 200, 200))
    image = Image(pixels=(noise * field).clip(0, 1).astype(np.float32), modality="fundus")
    found = anatomy_of(image, ["disc", "etdrs", "vessels"])
    assert found.regions == ()
    assert [note.split(":")[0] for note in found.notes] == ["no etdrs", "no disc", "no vessels"]
    assert found.facts["anatomy.disc.source"] == "none"


def test_an_unknown_part_is_refused(eye):
    with pytest.raises(ValueError, match="'optic nerve' is asked for"):
        anatomy_of(eye.image, ["optic nerve"])
