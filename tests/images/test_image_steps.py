"""Steps on small grids where every number can be worked out by hand or by a slow twin."""

import json
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image as PillowImage

from foveal.core import Image, ImageError, Region, StoreError
from foveal.images import (
    AbstractPreparation,
    AbstractWindow,
    FieldOfView,
    Resize,
    carry_region,
    map_to_original,
    map_to_prepared,
    mask_to_original,
    mask_to_prepared,
    points_to_original,
    points_to_prepared,
    prepare,
    register_step,
    revive,
)
from foveal.images.preparation.resample import bilinear, covered_half

RNG = np.random.default_rng(0)


def photograph(rows=40, columns=60, box=(5, 10, 20, 30), **known):
    """A lit box in black, which is its field of view."""
    row, column, height, width = box
    pixels = np.zeros((3, rows, columns), np.float32)
    lit = RNG.uniform(0.4, 0.9, (3, height, width))
    pixels[:, row : row + height, column : column + width] = lit
    return Image(pixels=pixels, modality="fundus", **known)


def fitted(asked, image=None):
    prepared, _ = prepare(image or photograph(), [asked])
    return prepared.steps[0]


GRIDS = [
    ((30, 40), (17, 9)),
    ((7, 9), (30, 44)),
    ((64, 50), (32, 25)),
    ((6, 6), (1, 1)),
    ((1, 1), (4, 3)),
    ((10, 10), (7, 13)),
]


@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_bilinear_is_that_of_torch_and_pillow(old, new):
    values = RNG.normal(size=old).astype(np.float32)

    found = bilinear(values, new)

    by_torch = F.interpolate(
        torch.from_numpy(values)[None, None], new, mode="bilinear", antialias=True
    )
    by_pillow = PillowImage.fromarray(values).resize(new[::-1], PillowImage.Resampling.BILINEAR)
    np.testing.assert_allclose(found, by_torch[0, 0].numpy(), atol=1e-5)
    np.testing.assert_allclose(found, np.asarray(by_pillow), atol=1e-5)


CONSTANTS = [((512, 512), (300, 222)), ((7, 7), (224, 224)), ((512, 512), (384, 384))]


@pytest.mark.parametrize("constant", [0.1, 7.3])
@pytest.mark.parametrize(("old", "new"), CONSTANTS)
def test_a_constant_stays_one_to_the_last_bit(old, new, constant):
    found = bilinear(np.full(old, constant, np.float32), new)
    assert found.shape == new
    assert found.dtype == np.float32
    assert (found == np.float32(constant)).all()


def slow_coverage(mask, new):
    """Exact shares by adding up the overlap of every pair of pixels."""

    def overlap(i, old, j, new):
        start = max(Fraction(i, old), Fraction(j, new))
        end = min(Fraction(i + 1, old), Fraction(j + 1, new))
        return max(end - start, Fraction(0)) * new

    (rows, columns), (new_rows, new_columns) = mask.shape, new
    marked = np.argwhere(mask)
    return [
        [
            sum(
                overlap(r, rows, i, new_rows) * overlap(c, columns, j, new_columns)
                for r, c in marked
            )
            for j in range(new_columns)
        ]
        for i in range(new_rows)
    ]


@pytest.mark.parametrize(
    ("old", "new"), [((9, 8), (4, 3)), ((8, 8), (4, 4)), ((3, 4), (7, 9)), ((5, 7), (5, 3))]
)
def test_a_mask_covers_what_the_slow_twin_says_ties_included(old, new):
    for _ in range(5):
        mask = RNG.random(old) < 0.5
        expected = np.array(slow_coverage(mask, new)) >= Fraction(1, 2)
        np.testing.assert_array_equal(covered_half(mask, new), expected)


RESIZES = [
    pytest.param((20, 40), {"size": [10, 10], "aspect": "pad"}, (0, 0, 20, 40), (2, 0, 5, 10)),
    pytest.param((20, 40), {"size": [10, 10]}, (0, 0, 20, 40), (2, 0, 5, 10)),
    pytest.param((20, 40), {"size": [10, 10], "aspect": "stretch"}, (0, 0, 20, 40), (0, 0, 10, 10)),
    pytest.param((20, 40), {"size": [10, 10], "aspect": "crop"}, (0, 10, 20, 20), (0, 0, 10, 10)),
    pytest.param((40, 20), {"size": [10, 10], "aspect": "crop"}, (10, 0, 20, 20), (0, 0, 10, 10)),
    pytest.param((20, 40), {"size": [40, 80], "aspect": "pad"}, (0, 0, 20, 40), (0, 0, 40, 80)),
    pytest.param((2, 400), {"size": [10, 10], "aspect": "pad"}, (0, 0, 2, 400), (4, 0, 1, 10)),
]


@pytest.mark.parametrize(("grid", "settings", "source_box", "target_box"), RESIZES)
def test_resize_keeps_the_shape_as_asked(grid, settings, source_box, target_box):
    step = Resize.fit(
        Image(pixels=np.zeros((1, *grid), np.float32)), np.ones(grid, bool), **settings
    )

    assert (step.source_box, step.target_box) == (source_box, target_box)
    assert (step.source, step.target) == (grid, tuple(settings["size"]))


CROPS = [
    pytest.param({}, (20, 30), (5, 10, 20, 30), (0, 0, 20, 30), id="the field"),
    pytest.param({"margin": 0.1}, (26, 36), (2, 7, 26, 36), (0, 0, 26, 36), id="with a margin"),
    pytest.param(
        {"margin": 0.5}, (50, 60), (0, 0, 40, 55), (10, 5, 40, 55), id="a margin past the image"
    ),
    pytest.param({"square": True}, (30, 30), (0, 10, 30, 30), (0, 0, 30, 30), id="square"),
    pytest.param(
        {"square": True, "margin": 0.1},
        (36, 36),
        (0, 7, 33, 36),
        (3, 0, 33, 36),
        id="square, past the image",
    ),
]


@pytest.mark.parametrize(("settings", "target", "source_box", "target_box"), CROPS)
def test_the_crop_is_the_field_and_what_was_asked_around_it(
    settings, target, source_box, target_box
):
    image = photograph()

    prepared, field = prepare(image, [{"step": "field-of-view", **settings}])

    (step,) = prepared.steps
    assert (step.target, step.source_box, step.target_box) == (target, source_box, target_box)
    row, column, rows, columns = step.target_box
    top, left = step.source_box[:2]
    expected = np.zeros((3, *target), np.float32)
    expected[:, row : row + rows, column : column + columns] = image.pixels[
        :, top : top + rows, left : left + columns
    ]
    np.testing.assert_array_equal(prepared.pixels, expected)
    np.testing.assert_array_equal(field.mask, expected.any(axis=0))


def test_the_surround_is_blackened_only_when_asked():
    image = photograph()
    image.pixels[:, 0, :] = 0.02
    wide = {"step": "field-of-view", "margin": 0.5}

    kept, field = prepare(image, [wide])
    blackened, _ = prepare(image, [{**wide, "blacken": True}])

    assert (kept.pixels[:, ~field.mask] > 0).any()
    assert not (blackened.pixels[:, ~field.mask] > 0).any()
    np.testing.assert_array_equal(blackened.pixels[:, field.mask], kept.pixels[:, field.mask])


CHAIN = [
    {"step": "field-of-view", "margin": 0.05, "square": True},
    {"step": "resize", "size": [16, 24], "aspect": "pad"},
]


def test_a_chain_names_its_steps_and_grids_in_order():
    image = photograph(spacing_mm=(0.01, 0.02), patient="P1")

    prepared, field = prepare(image, CHAIN)

    assert [step.name for step in prepared.steps] == ["field-of-view", "resize"]
    assert prepared.grid == field.grid == (16, 24)
    assert prepared.original_grid == (40, 60)
    assert field.kind == "field"
    assert prepared.patient == "P1"
    assert prepared.steps[1].source == prepared.steps[0].target


def test_spacing_grows_as_pixels_get_fewer():
    image = photograph(spacing_mm=(0.01, 0.02))

    cropped, _ = prepare(image, [{"step": "field-of-view"}])
    stretched, _ = prepare(
        image,
        [{"step": "field-of-view"}, {"step": "resize", "size": [10, 10], "aspect": "stretch"}],
    )

    assert cropped.spacing_mm == pytest.approx((0.01, 0.02))
    assert stretched.spacing_mm == pytest.approx((0.02, 0.06))


def test_an_image_already_prepared_goes_on_from_where_it_is():
    once, _ = prepare(photograph(), CHAIN[:1])
    twice, _ = prepare(once, CHAIN[1:])
    at_once, _ = prepare(photograph(), CHAIN)

    assert [step.numbers() for step in twice.steps] == [step.numbers() for step in at_once.steps]


def test_a_field_step_after_a_resize_uses_the_carried_field():
    resized_first = [{"step": "resize", "size": [20, 30]}, {"step": "field-of-view"}]

    prepared, field = prepare(photograph(box=(6, 10, 20, 30)), resized_first)

    assert prepared.grid == (10, 15)
    assert field.mask.all()


def test_a_field_that_a_step_leaves_nothing_of_is_an_error():
    with pytest.raises(ImageError, match=r"left after the step 'resize' to \(1, 1\)"):
        prepare(photograph(), [{"step": "resize", "size": [1, 1]}])


def test_no_steps_leave_the_image_as_it_is():
    image = photograph()

    prepared, field = prepare(image, [])

    np.testing.assert_array_equal(prepared.pixels, image.pixels)
    np.testing.assert_array_equal(field.mask, image.pixels.any(axis=0))


def test_white_stays_within_display_units_at_any_size():
    white = Image(pixels=np.ones((1, 37, 53), np.float32))

    for size in ([11, 7], [90, 101], [36, 53]):
        step = Resize.fit(white, np.ones((37, 53), bool), size=size, aspect="stretch")
        assert step.pixels_forward(white.pixels).max() == 1.0


def test_a_point_a_map_and_a_mask_arrive_at_the_same_place():
    image = photograph()
    prepared, _ = prepare(image, CHAIN)
    mask = np.zeros(image.grid, bool)
    mask[12:16, 30:36] = True

    point = points_to_prepared(np.array([[14.0, 33.0]]), prepared.steps)[0]
    moved = mask_to_prepared(mask, prepared.steps)
    values = map_to_prepared(mask.astype(np.float32), prepared.steps)

    assert moved[tuple(point.astype(int))]
    np.testing.assert_allclose(np.argwhere(moved).mean(axis=0) + 0.5, point, atol=0.5)
    weights = values / values.sum()
    rows, columns = np.indices(values.shape) + 0.5
    center = [(weights * rows).sum(), (weights * columns).sum()]
    np.testing.assert_allclose(center, point, atol=0.05)


def test_what_was_not_prepared_comes_back_as_nothing():
    prepared, _ = prepare(photograph(), CHAIN[:1])
    everywhere = np.ones(prepared.grid, np.float32)

    back = map_to_original(everywhere, prepared.steps)

    seen = mask_to_original(everywhere > 0, prepared.steps)
    assert back.shape == seen.shape == (40, 60)
    np.testing.assert_array_equal(back == 1, seen)
    assert not back[~seen].any()
    assert not seen.all()


def test_numbers_survive_json_and_revive_the_same_step():
    prepared, _ = prepare(photograph(), CHAIN)

    for step in prepared.steps:
        numbers = step.numbers()
        stored = json.loads(json.dumps(numbers))
        assert stored == numbers
        assert revive(stored) == step


def test_revived_steps_carry_maps_back_without_the_image():
    image = photograph()
    prepared, _ = prepare(image, CHAIN)
    revived = [revive(step.numbers()) for step in prepared.steps]
    values = RNG.random(prepared.grid, dtype=np.float32)

    np.testing.assert_array_equal(
        map_to_original(values, revived), map_to_original(values, prepared.steps)
    )
    points = RNG.random((5, 2)) * 16
    np.testing.assert_array_equal(
        points_to_original(points, revived), points_to_original(points, prepared.steps)
    )


ASKED_WRONG = [
    pytest.param({"step": "field-of-veiw"}, "did you mean 'field-of-view'", id="a slip in a name"),
    pytest.param({"step": "sharpen"}, "there are field-of-view, resize", id="an unknown name"),
    pytest.param({"size": [8, 8]}, "no preparation step None", id="no name"),
    pytest.param(
        {"step": "field-of-view", "margins": 0.1}, "did you mean 'margin'", id="a slip in a setting"
    ),
    pytest.param(
        {"step": "resize", "size": [8, 8], "colour": 1}, "no setting 'colour'", id="no such setting"
    ),
    pytest.param({"step": "resize"}, "needs the setting 'size'", id="a missing setting"),
    pytest.param({"step": "resize", "size": [8]}, "two positive whole numbers", id="one side"),
    pytest.param({"step": "resize", "size": [8, 0]}, "two positive whole numbers", id="no columns"),
    pytest.param(
        {"step": "resize", "size": [8, 8], "aspect": "squash"},
        "pad, stretch, crop, but is 'squash'",
        id="an unknown aspect",
    ),
    pytest.param(
        {"step": "field-of-view", "margin": -0.1}, "from 0 to 10, not -0.1", id="a negative margin"
    ),
    pytest.param({"step": "field-of-view", "margin": "wide"}, "not 'wide'", id="no number"),
    pytest.param({"step": "field-of-view", "square": 1}, "true or false, not 1", id="no switch"),
    pytest.param({"step": "resize", "size": 512}, "two positive whole numbers", id="one number"),
    pytest.param({"step": "resize", "size": "ab"}, "two positive whole numbers", id="letters"),
]


@pytest.mark.parametrize(("asked", "message"), ASKED_WRONG)
def test_a_step_asked_for_wrongly_says_what_was_meant(asked, message):
    with pytest.raises(ValueError, match=message):
        prepare(photograph(), [asked])


STORED_WRONG = [
    pytest.param({"step": "tilt"}, "'tilt' is not known here", id="a foreign step"),
    pytest.param({"step": "resize", "target": [8, 8]}, "is damaged", id="numbers missing"),
    pytest.param(
        {**fitted(CHAIN[1]).numbers(), "source_box": [0, 0, 999, 999]},
        "does not lie inside the source grid",
        id="a box outside its grid",
    ),
]


@pytest.mark.parametrize(("stored", "message"), STORED_WRONG)
def test_a_stored_step_that_cannot_be_revived_says_why(stored, message):
    with pytest.raises(StoreError, match=message):
        revive(stored)


@register_step
@dataclass(frozen=True, kw_only=True)
class Upper(AbstractWindow):
    """A step of a user's own: the upper rows of the image."""

    name = "upper"

    @classmethod
    def fit(cls, image, field, *, share=0.5):
        rows, columns = image.grid
        grid = (round(rows * share), columns)
        return cls(
            source=image.grid, target=grid, source_box=(0, 0, *grid), target_box=(0, 0, *grid)
        )

    def pixels_forward(self, pixels):
        return self._window(pixels)


def test_a_users_own_step_is_asked_for_and_revived_by_name():
    prepared, field = prepare(photograph(), [{"step": "upper", "share": 0.25}])

    assert prepared.grid == field.grid == (10, 60)
    assert revive(json.loads(json.dumps(prepared.steps[0].numbers()))) == prepared.steps[0]
    assert isinstance(prepared.steps[0], AbstractPreparation)


def test_a_name_that_is_taken_is_refused():
    assert register_step(FieldOfView) is FieldOfView
    other = type("Other", (Upper,), {"name": "resize"})

    with pytest.raises(ValueError, match="'resize' belongs to Resize"):
        register_step(other)


def test_what_a_mask_loses_is_counted():
    image = photograph()
    prepared, _ = prepare(image, [*CHAIN[:1], {"step": "resize", "size": [15, 15]}])
    mask = np.zeros(image.grid, bool)
    mask[10:16, 20:28] = True  # survives
    mask[18, 34] = True  # one pixel of four or more: lost
    mask[0, 0] = True  # outside of the crop: lost

    carried = carry_region(Region(name="lesions", mask=mask, kind="lesion"), prepared)

    assert carried.region.grid == prepared.grid
    assert carried.region.kind == "lesion"
    assert (carried.lesions, carried.lesions_lost) == (3, 2)
    landed = mask_to_original(carried.region.mask, prepared.steps)[10:16, 20:28].sum()
    assert carried.area_kept == pytest.approx(landed / mask.sum(), abs=0.1)


def test_an_empty_region_has_lost_nothing_to_speak_of():
    prepared, _ = prepare(photograph(), CHAIN)

    carried = carry_region(Region(name="lesions", mask=np.zeros((40, 60), bool)), prepared)

    assert (carried.lesions, carried.lesions_lost, carried.area_kept) == (0, 0, None)
    assert not carried.region.mask.any()


def test_pixels_that_touch_at_a_corner_are_one_lesion():
    mask = np.zeros((40, 60), bool)
    mask[10:12, 20:22] = mask[12:14, 22:24] = True

    assert carry_region(Region(name="lesions", mask=mask), photograph()).lesions == 1


def test_a_region_of_another_grid_is_not_carried():
    prepared, _ = prepare(photograph(), CHAIN)
    region = Region(name="disc", mask=np.zeros(prepared.grid, bool))

    with pytest.raises(ImageError, match=r"'disc' is \(16, 24\).*was \(40, 60\)"):
        carry_region(region, prepared)
