"""The anatomy that plans ask for, beside what experts marked."""

from dataclasses import replace

import numpy as np
import pytest

from foveal.core import Image, Region
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
    assert found.facts["anatomy.etdrs.source"] == found.regions[3].source
    assert found.facts["anatomy.etdrs.confidence"] == found.facts["anatomy.fovea.confidence"]
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


@pytest.mark.parametrize(
    ("modality", "strange"),
    [
        pytest.param("slit-lamp", ["disc", "fovea", "vessels", "etdrs"], id="front"),
        pytest.param("oct", ["disc", "vessels", "cornea"], id="section"),
        pytest.param("fundus", ["cornea", "pupil"], id="fundus"),
        pytest.param("unknown", ["eye"], id="unknown"),
    ],
)
def test_no_part_is_looked_for_in_a_kind_of_image_that_does_not_show_it(modality, strange):
    eye = fundus(7, grade=1, laterality="left", device="rose", size=192).image
    found = anatomy_of(replace(eye, modality=modality), strange)
    assert found.regions == ()
    assert found.facts == {}
    assert [note.partition(":")[0] for note in found.notes] == [f"no {part}" for part in strange]


def test_without_a_spacing_and_a_modality_both_are_told(eye):
    bare = replace(eye.image, spacing_mm=None, modality="unknown")
    found = anatomy_of(bare, ["etdrs"])
    assert "taking the disc for 1.5 mm (nominal)" in found.facts["anatomy.etdrs.source"]
    assert [note for note in found.notes if "name its modality" in note] == list(found.notes)
    assert len(found.notes) == 1


def test_a_mask_shows_a_part_in_any_kind_of_image():
    pixels = np.full((1, 60, 60), 0.4, np.float32)
    en_face = Image(pixels=pixels, modality="oct", laterality="right", spacing_mm=(0.1, 0.1))
    mask = np.zeros((60, 60), bool)
    mask[28:32, 28:32] = True
    disc = np.zeros((60, 60), bool)
    disc[25:35, 50:58] = True
    given = [Region(name="fovea", mask=mask), Region(name="optic disc", mask=disc)]
    assert len(anatomy_of(en_face, ["etdrs"], regions=given).regions) == 9
