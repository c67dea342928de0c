"""Steps for sections: what they do in closed form, and that they can be taken back."""

import json

import numpy as np
import pytest

from foveal.core import Image, ImageError
from foveal.images import (
    Flatten,
    RetinaBand,
    Speckle,
    find_retina,
    map_to_original,
    map_to_prepared,
    mask_to_original,
    points_to_original,
    points_to_prepared,
    prepare,
    revive,
)

ROWS, COLUMNS = 96, 120
BEND = 40 + 12 * np.sin(np.arange(COLUMNS) / 30)


def section(*, noise=0.02, inner=None, outer=None, padding=0):
    """Vitreous, retina, a bright outer layer of five rows, and choroid, with known boundaries."""
    random = np.random.default_rng(0)
    top = BEND - 20 if inner is None else inner
    bottom = BEND + 10 if outer is None else outer
    rows = np.arange(ROWS)[:, None] + 0.5
    pixels = np.full((ROWS, COLUMNS), 0.08)
    pixels = np.where(rows >= top, 0.45, pixels)
    pixels = np.where(rows >= bottom - 2.5, 0.9, pixels)
    pixels = np.where(rows >= bottom + 2.5, 0.3, pixels)
    pixels = np.clip(pixels + noise * random.normal(size=pixels.shape), 0.02, 0.95)
    pixels[:padding] = 1.0
    return Image(
        pixels=pixels[np.newaxis].astype(np.float32),
        modality="oct",
        spacing_mm=(0.004, 0.012),
        lines={"ILM": top, "RPE": bottom},
    )


def field(image):
    return np.ones(image.grid, bool)


@pytest.mark.parametrize(
    ("noise", "padding"),
    [pytest.param(0.02, 0, id="clean"), pytest.param(0.12, 0, id="noisy"), (0.02, 10)],
)
def test_the_retina_is_found_within_two_rows(noise, padding):
    image = section(noise=noise, padding=padding)
    found = find_retina(image)
    assert np.abs(found.top[0] - image.lines["ILM"]).mean() < 2
    assert np.abs(found.bottom[0] - image.lines["RPE"]).mean() < 2
    assert found.confidence[0] > 0.9


def test_noise_alone_is_found_with_no_confidence_and_not_used():
    random = np.random.default_rng(1)
    noise = Image(pixels=random.uniform(size=(1, 96, 120)).astype(np.float32), modality="oct")
    assert find_retina(noise).confidence[0] < 0.3
    with pytest.raises(ImageError, match="no retina that could be found"):
        Flatten.fit(noise, field(noise))


def test_a_line_becomes_level_within_half_a_row():
    image = section()
    step = Flatten.fit(image, field(image), line="RPE", degree="none")
    line = np.stack([image.lines["RPE"], np.arange(COLUMNS) + 0.5], axis=1)
    level = step.points_forward(line)[:, 0]
    assert np.ptp(level) <= 1.0
    assert np.median(level) == pytest.approx(np.median(image.lines["RPE"]), abs=0.5)
    placed = Flatten.fit(image, field(image), line="RPE", degree="none", row=0.75)
    assert placed.points_forward(line)[:, 0] == pytest.approx(0.75 * ROWS, abs=0.51)


def test_every_column_is_moved_by_its_own_whole_rows():
    image = section()
    step = Flatten.fit(image, field(image), line="RPE", degree="none")
    moved = step.pixels_forward(image.pixels)[0]
    for column, shift in enumerate(step.shifts):
        rolled = np.roll(image.pixels[0, :, column], shift)
        rolled[: max(0, shift)] = 0
        rolled[ROWS + min(0, shift) :] = 0
        np.testing.assert_array_equal(moved[:, column], rolled)


def test_a_polynomial_takes_the_bend_and_leaves_the_druse():
    bend = 50 + 0.002 * (np.arange(COLUMNS) - 60.0) ** 2
    druse = bend.copy()
    druse[50:62] -= 8
    image = section(outer=druse, inner=bend - 30)
    step = Flatten.fit(image, field(image), line="RPE", degree=2)
    line = np.stack([druse, np.arange(COLUMNS) + 0.5], axis=1)
    level = step.points_forward(line)[:, 0]
    flat = np.delete(level, np.arange(50, 62))
    assert np.ptp(flat) <= 1.0 + 1e-9
    assert np.median(flat) - level[50:62] == pytest.approx(8, abs=1)


def test_gaps_in_a_line_are_bridged_and_an_unknown_line_is_an_error():
    line = np.full(COLUMNS, np.nan)
    line[[10, 100]] = 30.0, 48.0
    image = Image(pixels=section().pixels, modality="oct", lines={"BM": line})
    step = Flatten.fit(image, field(image), line="BM", degree="none")
    assert step.shifts[55] == round(39 - (30 + 18 * 45 / 90))
    with pytest.raises(ImageError, match="no line 'RPE'; it has BM"):
        Flatten.fit(image, field(image), line="RPE")
    with pytest.raises(ImageError, match="in 2 columns, too few"):
        Flatten.fit(image, field(image), line="BM", degree=2)


@pytest.mark.parametrize("settings", [{"degree": 7}, {"degree": True}, {"row": 1.5}, {"line": 3}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        Flatten.fit(section(), field(section()), **settings)


STEPS = [
    pytest.param([{"step": "flatten", "line": "RPE"}], id="flatten"),
    pytest.param([{"step": "flatten"}, {"step": "retina-band", "margin_um": 40}], id="band"),
    pytest.param(
        [{"step": "spacing", "mm": 0.006}, {"step": "speckle"}, {"step": "flatten", "line": "ILM"}],
        id="square pixels first",
    ),
]


@pytest.mark.parametrize("steps", STEPS)
def test_what_is_in_the_middle_comes_back_and_stored_steps_do_the_same(steps):
    image = section()
    prepared, _ = prepare(image, steps)
    assert prepared.spacing_mm[0] > 0
    revived = [revive(json.loads(json.dumps(step.numbers()))) for step in prepared.steps]
    assert revived == list(prepared.steps)
    points = np.stack([image.lines["RPE"][5:-5], np.arange(COLUMNS)[5:-5] + 0.5], axis=1)
    there = points_to_prepared(points, prepared.steps)
    np.testing.assert_allclose(points_to_original(there, prepared.steps), points, atol=1e-9)
    rows = np.arange(ROWS)[:, None] + 0.5
    band = (rows >= BEND - 5) & (rows < BEND + 8)
    smooth = np.where(band, np.cos(np.arange(COLUMNS) / 20) + 2, 0).astype(np.float32)
    returned = map_to_original(map_to_prepared(smooth, prepared.steps), prepared.steps)
    inner = (rows >= BEND - 2) & (rows < BEND + 5)
    np.testing.assert_allclose(returned[inner], smooth[inner], atol=0.12)
    carried = band
    for step in prepared.steps:
        carried = step.mask_forward(carried)
    assert (mask_to_original(carried, prepared.steps) == band).mean() > 0.97


def test_spacing_of_a_flattened_section_stays_as_it_was():
    image = section()
    prepared, _ = prepare(image, [{"step": "flatten", "line": "RPE", "degree": "none"}])
    assert prepared.spacing_mm == pytest.approx(image.spacing_mm)


def test_flattened_maps_and_masks_come_back_exactly_where_nothing_left_the_grid():
    image = section()
    step = Flatten.fit(image, field(image), line="RPE", degree="none")
    values = np.random.default_rng(2).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    values[:25] = values[-25:] = 0
    np.testing.assert_array_equal(step.map_back(step.map_forward(values)), values)
    np.testing.assert_array_equal(step.mask_back(step.mask_forward(values > 0)), values > 0)


def test_the_band_holds_both_lines_and_the_margin():
    image = section()
    step = RetinaBand.fit(image, field(image), upper="ILM", lower="RPE", margin_um=20)
    first = np.floor(image.lines["ILM"].min())
    last = np.ceil(image.lines["RPE"].max())
    assert step.source_box[0] == first - 5  # 20 um of 4 um rows
    assert step.target == (last - first + 10, COLUMNS)
    wide = RetinaBand.fit(image, field(image), upper="ILM", lower="RPE", margin=10)
    assert wide.target == (ROWS, COLUMNS)
    bare = Image(pixels=image.pixels, lines=image.lines)
    with pytest.raises(ImageError, match="no spacing"):
        RetinaBand.fit(bare, field(bare), upper="ILM", lower="RPE", margin_um=20)
    with pytest.raises(ImageError, match="above"):
        RetinaBand.fit(image, field(image), upper="RPE", lower="ILM", margin=0)


def test_speckle_over_a_flat_layer_shrinks_and_its_variation_is_found():
    random = np.random.default_rng(3)
    variation = 0.15
    flat = 0.4 * random.gamma(1 / variation**2, variation**2, size=(1, 200, 200))
    image = Image(pixels=flat.clip(0, 1).astype(np.float32), modality="oct")
    step = Speckle.fit(image, field(image), window=[5, 5])
    assert step.variation == pytest.approx(variation, rel=0.1)
    quiet = step.pixels_forward(image.pixels)
    assert quiet.mean() == pytest.approx(0.4, rel=0.01)
    assert quiet.std() / quiet.mean() < 0.5 * variation


def test_without_speckle_the_filter_keeps_every_pixel():
    pixels = np.random.default_rng(4).uniform(0.1, 0.9, size=(1, 40, 40)).astype(np.float32)
    image = Image(pixels=pixels, modality="oct")
    step = Speckle.fit(image, field(image), variation=0)
    np.testing.assert_allclose(step.pixels_forward(pixels), pixels, atol=1e-6)


def test_a_pixel_is_filtered_as_the_equation_says():
    pixels = np.random.default_rng(5).uniform(0.1, 0.9, size=(1, 9, 9)).astype(np.float32)
    image = Image(pixels=pixels, modality="oct")
    found = Speckle.fit(image, field(image), window=[3, 5], variation=0.3).pixels_forward(pixels)
    window = pixels[0, 3:6, 2:7].astype(float)
    mean, seen = window.mean(), window.std() / window.mean()
    weight = np.clip((1 - 0.3**2 / seen**2) / (1 + 0.3**2), 0, 1)
    assert found[0, 4, 4] == pytest.approx(mean + weight * (pixels[0, 4, 4] - mean), rel=1e-5)


@pytest.mark.parametrize("window", [[4, 5], [3], 5, [3, 33], [3.0, 5.0]])
def test_a_window_is_two_odd_numbers(window):
    with pytest.raises(ValueError, match="two odd numbers"):
        Speckle.fit(section(), field(section()), window=window)


@pytest.mark.real
def test_the_pigment_epithelium_of_the_bonn_volume_is_found_within_ten_micrometres(real_data):
    from foveal.images import find_retinas, lines_from_mask, read, read_volume

    folder = real_data / "oct-bonn-volume"
    volume = read_volume(folder / "bscans", sections=(1, 10))
    found = find_retinas(volume.pixels)
    files = sorted((folder / "rpe-bm-layers").glob("*.png"))[:10]
    drawn = np.stack([lines_from_mask(read(file))["RPE"] for file in files])
    assert np.nanmedian(np.abs(found.bottom - drawn)) * 3.872 < 10
    assert found.confidence.min() > 0.9
