"""Rendered sections: layers as thick as asked, speckle by its statistics, masks as drawn."""

from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest

from foveal.images.names import region_name
from foveal.synthetic import draw_oct, oct_cohort, oct_volume, render_oct, without_oct
from foveal.synthetic.oct_draw import OCT_CLASSES, OCT_KINDS, oct_class_of
from foveal.synthetic.oct_layers import LINES
from foveal.synthetic.oct_paint import speckle
from foveal.synthetic.oct_spec import Cyst, Dome, Pose

GRID = {"rows": 496, "columns": 256}
FLAT = Pose(depth_mm=1.1, tilt=0.0, slice_tilt=0.0, curve_mm=1e6)
BARE = replace(
    draw_oct(3, findings=(), laterality="right", scanner="averaged"), pose=FLAT, vessels=()
)
DRUSE = Dome(kind="drusen", row=0.0, column=-1.5, height_mm=0.08, radius_mm=0.3, flat=1.0)
FLUID = Dome(kind="subretinal fluid", row=0.0, column=1.0, height_mm=0.15, radius_mm=0.8, flat=1.0)
CYST = Cyst(row=0.0, column=-1.2, level=0.5, half_depth_mm=0.03, radius_mm=0.2)


def masks(eye):
    return {region.name: region.mask for region in eye.regions}


def thickness_mm(eye, inner, outer):
    lines = eye.image.lines
    return (lines[outer] - lines[inner]) * eye.image.spacing_mm[0]


@pytest.fixture(scope="module")
def bare():
    return render_oct(BARE, **GRID)


@pytest.fixture(scope="module")
def ill():
    return render_oct(replace(BARE, domes=(DRUSE, FLUID), cysts=(CYST,)), **GRID)


def test_a_section_is_one_channel_of_8_bit_and_knows_its_scale_and_lines(bare):
    image = bare.image
    assert image.pixels.shape == (1, 496, 256)
    assert image.spacing_mm == pytest.approx((1.92 / 496, 6.0 / 256))
    np.testing.assert_allclose(image.pixels * 255, np.round(image.pixels * 255), atol=1e-4)
    assert tuple(image.lines) == LINES
    assert (image.modality, image.laterality) == ("oct", "right")


def test_outer_layers_are_as_thick_as_asked_everywhere(bare):
    macula = BARE.macula
    for inner, outer, asked in (
        ("ELM", "EZ", macula.elm_to_ez),
        ("EZ", "RPE", macula.ez_to_rpe),
        ("RPE", "BM", macula.rpe),
    ):
        np.testing.assert_allclose(thickness_mm(bare, inner, outer), asked, atol=1e-5)


def test_inner_layers_give_way_to_the_pit_and_reach_what_was_asked(bare):
    """1 - exp(-(r / pit)²) of the inner nuclear layer, and no ganglion cells in the fovea."""
    mm = (np.arange(256) + 0.5 - 128) * 6.0 / 256
    expected = BARE.macula.inl * (1 - np.exp(-((mm / BARE.macula.pit_mm) ** 2)))
    np.testing.assert_allclose(thickness_mm(bare, "IPL", "INL"), expected, atol=1e-5)
    cells = thickness_mm(bare, "RNFL", "IPL")
    assert cells[128] < 1e-3
    at_one_mm = cells[np.abs(np.abs(mm) - 1).argmin()]
    rise = 1 - np.exp(-((1 / (0.9 * BARE.macula.pit_mm)) ** 2))
    assert at_one_mm == pytest.approx(BARE.macula.gcl_ipl * rise, rel=0.01)


@pytest.mark.parametrize(("side", "nasal"), [("right", slice(-3, None)), ("left", slice(0, 3))])
def test_nerve_fibres_are_thick_towards_the_nose(side, nasal):
    eye = render_oct(replace(BARE, laterality=side), **GRID)
    fibres = thickness_mm(eye, "ILM", "RNFL")
    assert fibres[nasal].mean() == pytest.approx(BARE.macula.rnfl, rel=0.03)
    assert fibres[::-1][nasal].mean() == pytest.approx(BARE.macula.rnfl / 4, rel=0.03)


def test_lines_keep_their_order_in_eyes_full_of_lesions():
    for seed in range(6):
        lines = render_oct(draw_oct(seed, findings=OCT_KINDS), rows=128, columns=128).image.lines
        stacked = np.stack([lines[name] for name in LINES])
        assert (np.diff(stacked, axis=0) > -1e-3).all()


def test_tilt_and_curvature_move_all_lines_alike():
    pose = replace(FLAT, tilt=0.05, curve_mm=30.0)
    eye, flat = (render_oct(replace(BARE, pose=p), **GRID).image for p in (pose, FLAT))
    mm = (np.arange(256) + 0.5 - 128) * 6.0 / 256
    moved = (0.05 * mm - mm**2 / 60 + mm**2 / 2e6) / eye.spacing_mm[0]
    for name in LINES:
        np.testing.assert_allclose(eye.lines[name] - flat.lines[name], moved, atol=1e-3)


@pytest.mark.parametrize("looks", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("grain", [0.0, 0.8])
def test_speckle_has_mean_1_and_the_contrast_of_so_many_looks(looks, grain):
    """Goodman: contrast 1 / sqrt(looks), whatever the grain's size."""
    factors = speckle(np.random.default_rng(0), (400, 400), looks, grain)
    assert factors.mean() == pytest.approx(1, abs=0.02)
    assert factors.std() == pytest.approx(1 / sqrt(looks), rel=0.03)


def test_one_look_without_grain_is_an_exponential():
    factors = speckle(np.random.default_rng(1), (400, 400), 1.0, 0.0)
    for level in (0.5, 1.0, 2.0):
        assert (factors > level).mean() == pytest.approx(np.exp(-level), abs=0.005)


def test_uniform_tissue_shows_the_contrast_of_its_scanner():
    scanner = replace(
        BARE.scanner, compression=1.0, floor=0.6, looks=9.0, fall_off_db=0.0, grain=0.7
    )
    eye = render_oct(replace(BARE, scanner=scanner, hyaloid_mm=None), **GRID)
    vitreous = eye.image.pixels[0, 4:100, 4:-4]
    assert vitreous.std() / vitreous.mean() == pytest.approx(1 / 3, rel=0.05)


def test_a_dome_has_the_area_of_its_parabola(ill):
    """Two thirds of base times height; detachments and fluid alike."""
    pixel = np.prod(ill.image.spacing_mm)
    for name, dome in (("drusen", DRUSE), ("subretinal fluid", FLUID)):
        expected = 2 / 3 * 2 * dome.radius_mm * dome.height_mm
        assert masks(ill)[name].sum() * pixel == pytest.approx(expected, rel=0.06)


def test_a_cyst_has_the_area_of_its_ellipse_and_the_volume_of_its_ellipsoid():
    spec = replace(BARE, cysts=(CYST,))
    found = oct_volume(spec, sections=11, slice_spacing_mm=0.04, **GRID)
    mask, voxel = found.masks["intraretinal fluid"], 0.04 * 1.92 / 496 * 6.0 / 256
    solid = 4 / 3 * pi * CYST.half_depth_mm * CYST.radius_mm**2
    assert mask.sum() * voxel == pytest.approx(solid, rel=0.08)
    ellipse = pi * CYST.half_depth_mm * CYST.radius_mm
    assert mask[5].sum() * voxel / 0.04 == pytest.approx(ellipse, rel=0.08)


def test_without_a_cyst_only_its_pixels_change_but_for_the_scanner_s_blur():
    with_cyst, healthy = (render_oct(replace(BARE, cysts=c), **GRID) for c in ((CYST,), ()))
    mask = masks(with_cyst)["intraretinal fluid"]
    change = with_cyst.image.pixels[0] != healthy.image.pixels[0]
    blurred = np.any([np.roll(mask, k, axis=0) for k in range(-3, 4)], axis=0)
    assert not (change & ~blurred).any()
    assert change[mask].mean() > 0.9
    assert with_cyst.image.pixels[0][mask].mean() < 0.6 * healthy.image.pixels[0][mask].mean()


def test_a_druse_lifts_the_epithelium_by_its_height(ill, bare):
    lifted = (bare.image.lines["RPE"] - ill.image.lines["RPE"]) * ill.image.spacing_mm[0]
    assert lifted.max() == pytest.approx(DRUSE.height_mm, rel=0.01)
    np.testing.assert_allclose(ill.image.lines["BM"], bare.image.lines["BM"])


def test_layers_and_lesions_do_not_overlap(ill):
    found = masks(ill)
    parts = ("vitreous", "retinal nerve fibre layer", "inner nuclear layer", "choroid", "drusen",
             "outer plexiform layer", "outer nuclear layer", "retinal pigment epithelium",
             "intraretinal fluid", "subretinal fluid")  # fmt: skip
    assert np.sum([found[name] for name in parts], axis=0).max() == 1
    for region in ill.regions:
        assert region_name(region.name, {}) == (region.name, region.kind)


CLASSES = [
    pytest.param((), "Normal", id="nothing"),
    pytest.param(("drusen",), "Drusen", id="drusen"),
    pytest.param(("intraretinal fluid",), "Fluid", id="within"),
    pytest.param(("drusen", "subretinal fluid"), "Fluid", id="below, with drusen"),
    pytest.param(("pigment epithelial detachment",), "Fluid", id="detachment"),
]


@pytest.mark.parametrize(("kinds", "name"), CLASSES)
def test_the_class_follows_from_the_lesions(kinds, name):
    assert OCT_CLASSES[oct_class_of(kinds)] == name


def test_a_section_beside_the_lesions_shows_none_and_is_normal():
    eye = render_oct(replace(BARE, domes=(DRUSE,)), **GRID, row_mm=0.4)
    assert eye.label == 0
    assert not any(region.kind == "lesion" for region in eye.regions)


def test_nothing_but_the_lesions_depends_on_the_findings():
    one, other = draw_oct(8, findings=()), draw_oct(8, findings=OCT_KINDS)
    assert one == replace(other, domes=(), cysts=(), swellings=()) == without_oct(other)


def test_without_leaves_the_other_kinds():
    spec = draw_oct(8, findings=OCT_KINDS)
    left = without_oct(spec, "drusen")
    assert {dome.kind for dome in left.domes} == {dome.kind for dome in spec.domes} - {"drusen"}
    assert left.cysts == spec.cysts


def test_a_left_eye_has_the_lines_and_masks_of_a_mirrored_right_eye():
    spec = draw_oct(4, findings=OCT_KINDS, laterality="right")
    right, left = (render_oct(replace(spec, laterality=s), **GRID) for s in ("right", "left"))
    for name in LINES:
        np.testing.assert_allclose(right.image.lines[name], left.image.lines[name][::-1], atol=1e-3)
    for name, mask in masks(right).items():
        assert (mask != masks(left)[name][:, ::-1]).mean() < 1e-3


def test_a_volume_is_its_sections_and_its_middle_is_the_section_through_the_fovea():
    spec = draw_oct(11, findings=("subretinal fluid", "drusen"))
    found = oct_volume(spec, sections=5, slice_spacing_mm=0.3, rows=96, columns=96)
    alone = render_oct(spec, rows=96, columns=96)
    np.testing.assert_array_equal(found.volume.section(2).pixels, alone.image.pixels)
    np.testing.assert_array_equal(found.volume.lines["ILM"][2], alone.image.lines["ILM"])
    assert found.volume.slice_spacing_mm == 0.3
    assert found.label == max(eye.label for eye in found.sections) == 2
    for name, mask in found.masks.items():
        for number, eye in enumerate(found.sections):
            shown = masks(eye).get(name, np.zeros((96, 96), bool))
            np.testing.assert_array_equal(mask[number], shown)


def test_a_cohort_has_fellow_eyes_and_every_class_as_often():
    eyes = list(oct_cohort(6, seed=2, rows=96, columns=96))
    assert sorted(eye.label for eye in eyes) == [0, 0, 1, 1, 2, 2]
    for right, left in zip(eyes[::2], eyes[1::2], strict=True):
        assert (right.image.laterality, left.image.laterality) == ("right", "left")
        assert right.spec.macula == left.spec.macula
        assert right.image.patient == left.image.patient


WRONG = [
    pytest.param(lambda: draw_oct(1, scanner="x"), "scanner must be one of", id="scanner"),
    pytest.param(lambda: render_oct(BARE, rows=32), "at least 64 rows and columns", id="rows"),
    pytest.param(lambda: oct_volume(BARE, sections=0), "a section or more", id="sections"),
    pytest.param(lambda: replace(DRUSE, height_mm=0.0), "positive height", id="dome"),
    pytest.param(lambda: replace(CYST, radius_mm=0.0), "positive half axes", id="cyst"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
