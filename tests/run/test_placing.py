"""What a run asks of a map without sending a pass: on which regions, and how near is a hit."""

import numpy as np
import pytest

from foveal.core import Attribution, Image, Region
from foveal.run import LEVELS
from foveal.run.measuring import Measuring, Yardstick
from foveal.run.placing import PLACING, place_of
from foveal.run.plan import measures_named

FIELD = np.ones((40, 40), bool)
ROWS, COLUMNS = np.mgrid[:40, :40]
DISC = Region(name="optic disc", mask=(ROWS > 25) & (COLUMNS > 25), kind="anatomy")
EXUDATES = Region(name="hard exudates", mask=(ROWS < 6) & (COLUMNS < 6), kind="lesion")
BLEEDS = Region(name="haemorrhages", mask=(ROWS < 6) & (COLUMNS > 32), kind="lesion")
MAP = np.exp(-(ROWS**2 + COLUMNS**2) / 50).astype(np.float32)


def taken(regions, names=LEVELS["quick"], **facts) -> dict[tuple[str, str | None], object]:
    image = Image(pixels=np.zeros((3, 40, 40), np.float32), **facts)
    by = Measuring(place_of(image, FIELD, regions), Yardstick(names=names))
    made = by.measure(Attribution(map=MAP, method="gradcam"))
    return {(m.score.name, m.region): m.score for m in made}


def test_quick_makes_every_measure_that_sends_no_passes():
    assert LEVELS["quick"] == tuple(PLACING)
    found = {name for name, _ in taken([EXUDATES, BLEEDS, DISC])}
    assert found == set(PLACING) - {"negative_image_profile"}


def test_lesions_are_scored_by_kind_and_together_and_structures_are_no_lesions():
    scores = taken([EXUDATES, BLEEDS, DISC])
    kinds = {region for name, region in scores if name == "lesion_hit_rate"}
    assert kinds == {"hard exudates", "haemorrhages", "all lesions"}
    assert scores["lesion_hit_rate", "all lesions"].value == 0.5
    together = {region for name, region in scores if name == "false_highlight_rate"}
    assert together == {"all lesions"}
    assert {region for name, region in scores if name == "pap"} == kinds | {"optic disc"}


def test_shares_of_all_structures_add_up():
    scores = taken([EXUDATES, BLEEDS, DISC])
    shares = {r: s.value for (name, r), s in scores.items() if name == "region_shares"}
    assert set(shares) == {"hard exudates", "haemorrhages", "optic disc", "background"}
    assert sum(shares.values()) == pytest.approx(100)


def test_fields_of_a_grid_are_no_structures_but_are_measured_one_by_one():
    half = Region(name="superior-nasal", mask=ROWS < 20, kind="anatomy")
    scores, bare = taken([half, EXUDATES, DISC]), taken([EXUDATES, DISC])
    shares = {r: s.value for (name, r), s in scores.items() if name == "region_shares"}
    assert shares == {r: s.value for (name, r), s in bare.items() if name == "region_shares"}
    assert scores["pap", "superior-nasal"].value > 90


def test_a_lesion_owns_its_pixels_whatever_it_and_the_structure_around_it_are_called():
    around = Region(name="anterior chamber", mask=np.ones((40, 40), bool), kind="anatomy")
    worn = Region(name="worn patch", mask=EXUDATES.mask, kind="lesion")
    scores = taken([around, worn])
    shares = scores["region_shares", "worn patch"].parts["shares"]
    top_tenth = np.zeros(1600, bool)
    top_tenth[np.argsort(-MAP.ravel(), kind="stable")[:160]] = True
    inside = top_tenth[worn.mask.ravel()].sum() / 160
    assert shares["worn patch"] == pytest.approx(100 * inside)
    assert shares["worn patch"] > 20
    assert sum(shares.values()) == pytest.approx(100)


def test_an_image_without_a_marked_lesion_has_a_profile_instead():
    nothing = Region(name="drusen", mask=np.zeros((40, 40), bool), kind="lesion")
    scores = taken([nothing, DISC])
    assert scores["negative_image_profile", None].value == 1
    assert scores["negative_image_profile", None].parts["mass"]["background"] > 0.99
    bare = {name for name, _ in taken([])}
    assert "negative_image_profile" in bare
    assert "region_shares" not in bare


def test_a_known_spacing_says_how_near_is_near():
    pixels = taken([EXUDATES])["pointing_game", "hard exudates"]
    assert pixels.params == {"tolerance_px": pytest.approx(0.6)}
    known = {"spacing_mm": (0.004, 0.01)}
    fundus = taken([EXUDATES], modality="fundus", **known)["pointing_game", "hard exudates"]
    assert fundus.params["tolerance_um"] == pytest.approx(6)
    oct = taken([EXUDATES], modality="oct", **known)["lesion_hit_rate", "hard exudates"]
    assert oct.params["tolerance_um"] == (25, 50)
    area = taken([EXUDATES], **known)["mean_attribution_area", None]
    assert area.parts["area_mm2"] == pytest.approx(area.value * 1600 * 0.004 * 0.01)


def test_measures_are_found_by_other_names_and_ambiguous_ones_are_refused():
    assert measures_named(["ebpg", "relevance_mass", "iou"]) == ("relevance_mass", "iou")
    with pytest.raises(ValueError, match="three meanings"):
        measures_named(["sensitivity-n"])
    with pytest.raises(ValueError, match="no measure 'cost'"):
        measures_named(["cost"])
