"""Rendered fronts of eyes: what is promised about pixels, masks and classes."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from foveal.images.names import region_name
from foveal.synthetic import draw_slitlamp, front_cohort, render_slitlamp, without_front
from foveal.synthetic.slitlamp import VISIBLE_LEVELS
from foveal.synthetic.slitlamp_draw import SLIT_LAMPS
from foveal.synthetic.slitlamp_lesions import (
    CORNEAL_KINDS,
    FRONT_CLASSES,
    FRONT_KINDS,
    front_class_of,
)
from foveal.synthetic.slitlamp_spec import FrontLesion
from foveal.synthetic.spec import Spot

SIZE = 192
ILL = draw_slitlamp(
    7, findings=FRONT_KINDS, laterality="right", illumination="diffuse", device="led"
)
"""An eye with every kind of lesion, its lids wide open, seen whole."""
ILL = replace(
    ILL,
    lids=replace(ILL.lids, upper_mm=7.5, lower_mm=7.5, slant=0.0),
    lighting=replace(ILL.lighting, width_mm=22.0, middle=(0.0, 0.0)),
)
QUIET = replace(ILL, device=replace(ILL.device, noise=0.0, blur_mm=0.0))


@pytest.fixture(scope="module")
def ill():
    return render_slitlamp(ILL, size=SIZE)


def masks(eye):
    return {region.name: region.mask for region in eye.regions}


def levels(eye):
    return np.round(eye.image.pixels * 255).astype(int)


def spot(**numbers):
    given = {"row": 0.0, "column": 0.0, "radius": 1.0, "strength": 0.9, "soft": 0.05}
    return Spot(**{**given, **numbers})


def test_the_same_seed_gives_the_same_eye():
    one, other = (render_slitlamp(draw_slitlamp(5), size=96) for _ in range(2))
    assert one.spec == other.spec
    np.testing.assert_array_equal(one.image.pixels, other.image.pixels)


def test_a_photograph_is_8_bit_colour_and_knows_its_scale(ill):
    pixels = ill.image.pixels
    assert pixels.shape == (3, SIZE * 3 // 4, SIZE)
    np.testing.assert_allclose(pixels * 255, np.round(pixels * 255), atol=1e-4)
    assert ill.image.modality == "slit-lamp"
    assert ill.image.spacing_mm == pytest.approx((22 / SIZE, 22 / SIZE))


@pytest.mark.parametrize("kind", ["ring infiltrate", "hypopyon", "cortical opacity"])
def test_a_mask_holds_the_pixels_that_change_when_the_lesions_are_taken_out(ill, kind):
    change = np.abs(levels(ill) - levels(render_slitlamp(without_front(ILL, kind), size=SIZE)))
    np.testing.assert_array_equal(masks(ill)[kind], change.max(axis=0) >= VISIBLE_LEVELS)


def test_highlights_are_the_pixels_that_change_without_the_lamps_images(ill):
    dull = replace(ILL, lighting=replace(ILL.lighting, highlights=()))
    change = np.abs(levels(ill) - levels(render_slitlamp(dull, size=SIZE))).max(axis=0)
    np.testing.assert_array_equal(masks(ill)["specular highlights"], change >= VISIBLE_LEVELS)
    assert ill.image.pixels[:, change >= VISIBLE_LEVELS].max() > 0.95


def test_without_lesions_nothing_else_changes():
    healthy, ill = (render_slitlamp(spec, size=SIZE) for spec in (without_front(QUIET), QUIET))
    outside = ~np.any([r.mask for r in ill.regions if r.kind == "lesion"], axis=0)
    assert np.abs(levels(ill) - levels(healthy)).max(axis=0)[outside].max() < 2 * VISIBLE_LEVELS
    assert healthy.label == 0
    assert all(region.kind != "lesion" for region in healthy.regions)


def test_anatomy_has_the_area_of_its_ellipse_and_circle(ill):
    found, pixel = masks(ill), (22 / SIZE) ** 2
    cornea, pupil = ILL.cornea, ILL.pupil
    ellipse = pi * cornea.radius_mm**2 * cornea.aspect
    assert found["cornea"].sum() * pixel == pytest.approx(ellipse, rel=0.02)
    assert found["pupil"].sum() * pixel == pytest.approx(pi * pupil.radius_mm**2, rel=0.04)
    ring = pi * 2 * cornea.radius_mm * (1 + cornea.aspect) / 2
    assert found["limbus"].sum() * pixel == pytest.approx(ring, rel=0.05)


def test_the_parts_of_the_eye_add_up(ill):
    found = masks(ill)
    np.testing.assert_array_equal(found["palpebral fissure"], ~found["eyelids"])
    np.testing.assert_array_equal(found["cornea"] | found["sclera"], found["palpebral fissure"])
    assert not (found["cornea"] & found["sclera"]).any()
    assert not (found["iris"] & found["pupil"]).any()
    assert not ((found["iris"] | found["pupil"]) & ~found["cornea"]).any()


@pytest.mark.parametrize("kind", FRONT_KINDS)
def test_lesions_lie_where_their_kind_does(ill, kind):
    """Blur carries a border a pixel further."""
    place = masks(ill)["cornea" if kind in CORNEAL_KINDS else "pupil"]
    outside = masks(ill)[kind] & ~place
    assert outside.sum() < 0.1 * masks(ill)[kind].sum()


def test_a_planted_infiltrate_is_found_where_it_was_planted_and_as_large():
    planted = FrontLesion(
        kind="corneal infiltrate", spots=(spot(row=2.0, column=3.0, radius=1.2),), tint=0.0
    )
    eye = render_slitlamp(replace(QUIET, lesions=(planted,)), size=SIZE)
    rows, columns = np.nonzero(masks(eye)["corneal infiltrate"])
    scale = SIZE / 22
    middle = np.array([2.0, 3.0]) * scale + np.array([SIZE * 3 / 8, SIZE / 2]) - 0.5
    np.testing.assert_allclose([rows.mean(), columns.mean()], middle, atol=0.5)
    assert len(rows) == pytest.approx(pi * (1.2 * scale) ** 2, rel=0.2)


def test_pus_has_a_level_and_lies_below_it():
    pus = FrontLesion(kind="hypopyon", spots=(spot(radius=5.3, level=3.0),), tint=1.0)
    eye = render_slitlamp(replace(QUIET, lesions=(pus,)), size=SIZE)
    rows, _ = np.nonzero(masks(eye)["hypopyon"])
    assert rows.min() == pytest.approx(3.0 * SIZE / 22 + SIZE * 3 / 8, abs=1)


def test_the_highlight_hides_nothing_from_the_class_and_lids_hide_what_they_cover():
    """Below closed lids nothing of the lesions is seen."""
    shut = replace(QUIET, lids=replace(QUIET.lids, upper_mm=-5.0, lower_mm=5.0))
    eye = render_slitlamp(shut, size=SIZE)
    assert not masks(eye)["pupil"].any()
    assert "nuclear opacity" not in masks(eye)


CLASSES = [
    pytest.param((), "Healthy", id="nothing"),
    pytest.param(("corneal infiltrate",), "Keratitis", id="infiltrate"),
    pytest.param(("hypopyon",), "Keratitis", id="pus"),
    pytest.param(("cortical opacity",), "Cataract", id="spokes"),
    pytest.param(("nuclear opacity", "ring infiltrate"), "Keratitis", id="both"),
]


@pytest.mark.parametrize(("findings", "name"), CLASSES)
def test_the_class_follows_from_the_lesions(findings, name):
    spec = draw_slitlamp(3, findings=findings)
    assert {lesion.kind for lesion in spec.lesions} == set(findings)
    assert FRONT_CLASSES[front_class_of(spec.lesions)] == name


def test_nothing_but_the_lesions_depends_on_the_findings():
    one, other = draw_slitlamp(8, findings=()), draw_slitlamp(8, findings=FRONT_KINDS)
    assert one == replace(other, lesions=())


def test_a_left_eye_mirrors_a_right_eye_but_for_the_noise():
    other = render_slitlamp(replace(QUIET, laterality="left"), size=SIZE)
    right = render_slitlamp(QUIET, size=SIZE)
    assert np.abs(levels(right) - levels(other)[:, :, ::-1]).max() <= 1
    for name, mask in masks(right).items():
        assert (mask != masks(other)[name][:, ::-1]).mean() < 1e-3


def test_the_beam_meets_deeper_surfaces_further_to_the_side():
    """On the iris it lies its tilt times the depth away from where it was aimed at."""
    lighting = replace(
        QUIET.lighting,
        illumination="slit",
        ambient=0.1,
        beam_mm=0.4,
        beam_column=-1.0,
        beam_tilt=0.8,
        highlights=(),
    )
    dark = replace(QUIET, lighting=lighting, pupil=replace(QUIET.pupil, radius_mm=0.3))
    eye = render_slitlamp(
        replace(dark, lesions=(), cornea=replace(dark.cornea, arcus=0.0)), size=384
    )
    bright = eye.image.pixels[:, eye.image.grid[0] // 2].sum(axis=0)
    mm = (np.arange(384) + 0.5 - 192) * 22 / 384
    lit = mm[bright > 0.5 * bright.max()]
    iris = -1.0 + 0.8 * 2.9
    assert np.abs(lit - iris).min() < 0.2
    assert bright[np.abs(mm + 0.8) < 0.3].mean() > 2 * bright[np.abs(mm - 4.5) < 0.5].mean()


def test_every_name_is_known_as_masks_are():
    for region in render_slitlamp(ILL, size=64).regions:
        if region.kind != "unknown":
            assert region_name(region.name, {}) == (region.name, region.kind)


def test_a_cohort_has_fellow_eyes_and_every_class_as_often():
    eyes = list(front_cohort(8, seed=1, size=64))
    assert sorted(eye.label for eye in eyes) == [0, 0, 0, 1, 1, 1, 2, 2]
    for right, left in zip(eyes[::2], eyes[1::2], strict=True):
        assert (right.image.laterality, left.image.laterality) == ("right", "left")
        assert right.image.patient == left.image.patient
        assert right.spec.iris.pigment == left.spec.iris.pigment
        assert right.spec.device == left.spec.device
    assert {eye.spec.device.name for eye in eyes} == set(SLIT_LAMPS)
    assert {eye.spec.lighting.illumination for eye in eyes} == {"slit", "diffuse"}


def test_an_unknown_lamp_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"device must be one of \['halogen', .*\], but is 'x'"):
        draw_slitlamp(1, device="x")


def test_a_picture_too_small_is_refused():
    with pytest.raises(ValueError, match="size must be at least 64 columns, but is 32"):
        render_slitlamp(ILL, size=32)


def test_a_lesion_of_nothing_is_refused():
    with pytest.raises(ValueError, match="'hypopyon' needs something to show"):
        FrontLesion(kind="hypopyon", spots=(), tint=0.0)
