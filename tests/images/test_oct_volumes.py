"""What a volume is measured by, in closed forms on boxes whose sides are known."""

import time

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import ImageError, Volume
from foveal.images import (
    area_mm2,
    cross_section,
    distance_um,
    en_face,
    en_face_area_mm2,
    per_section,
    prepare_volume,
    read_volume,
    resampled,
    thickness_um,
    volume_mm3,
)

SLICES, ROWS, COLUMNS = 4, 20, 6
ROW, COLUMN, SLICE = 0.004, 0.012, 0.03


def volume(*, spacing=(ROW, COLUMN), apart=SLICE):
    random = np.random.default_rng(0)
    pixels = random.uniform(size=(SLICES, 1, ROWS, COLUMNS)).astype(np.float32)
    lines = {"ILM": line(5.0), "BM": line(15.0)}
    return Volume(pixels=pixels, spacing_mm=spacing, slice_spacing_mm=apart, lines=lines)


def line(row):
    return np.full((SLICES, COLUMNS), row)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("mean", 7.0), ("max", 9.0), ("sum", 35.0)],
)
def test_rows_between_two_lines_become_one_number_a_column(how, expected):
    values = np.broadcast_to(np.arange(20.0)[:, None], (SLICES, ROWS, COLUMNS)).copy()
    upper, lower = line(4.6), line(9.6)  # rows 5 to 9, whose centres are 5.5 to 9.5
    upper[0, 0] = np.nan
    lower[1, 1] = 4.7  # no centre between
    found = en_face(values, upper=upper, lower=lower, how=how)
    assert np.isnan(found[[0, 1], [0, 1]]).all()
    assert np.isfinite(found).sum() == SLICES * COLUMNS - 2
    assert (found[np.isfinite(found)] == expected).all()


def test_projection_follows_a_slow_twin():
    random = np.random.default_rng(1)
    values = random.normal(size=(SLICES, ROWS, COLUMNS))
    upper = random.uniform(0, 10, size=(SLICES, COLUMNS))
    lower = upper + random.uniform(0, 10, size=(SLICES, COLUMNS))
    found = en_face(values, upper=upper, lower=lower)
    for slice_, column in np.ndindex(SLICES, COLUMNS):
        rows = [
            row for row in range(ROWS) if upper[slice_, column] <= row + 0.5 < lower[slice_, column]
        ]
        expected = np.mean(values[slice_, rows, column]) if rows else np.nan
        np.testing.assert_allclose(found[slice_, column], expected)


def test_a_section_is_summed_up_by_what_lies_in_the_band():
    values = np.zeros((SLICES, ROWS, COLUMNS))
    values[1, 6, :3] = 2.0  # in the band
    values[1, 0, :2] = 1.0  # in the vitreous
    values[1, 7, 0] = -5.0
    found = per_section(values, volume(), upper=line(5.0), lower=line(15.0))
    assert [entry.section for entry in found] == [1, 2, 3, 4]
    assert found[0].mass_share is None
    assert found[1].mass_share == pytest.approx(6 / 8)
    assert found[1].largest == 2.0
    assert found[1].mean == pytest.approx((6 - 5) / (10 * COLUMNS))
    assert found[1].area.value == pytest.approx(3 * ROW * COLUMN)
    assert found[1].mean_thickness.value == pytest.approx(40.0)
    bare = per_section(values, volume(spacing=None), upper=line(5.0), lower=line(15.0))
    assert bare[1].area.value is None
    assert "no spacing" in bare[1].mean_thickness.reason
    unknown = per_section(values, volume(), upper=line(np.nan), lower=line(15.0))
    assert unknown[1].mass_share is None
    assert "unknown in every column" in unknown[1].mean_thickness.reason


def test_sizes_of_a_box_are_the_products_of_its_sides():
    box = np.zeros((SLICES, ROWS, COLUMNS), bool)
    box[1:3, 4:9, 2:5] = True
    known = volume()
    assert volume_mm3(box, known).value == pytest.approx(2 * SLICE * 5 * ROW * 3 * COLUMN)
    assert area_mm2(box[1], known.spacing_mm).value == pytest.approx(5 * ROW * 3 * COLUMN)
    assert en_face_area_mm2(box.any(axis=1), known).value == pytest.approx(6 * SLICE * COLUMN)
    assert thickness_um(known, line(5.0), line(15.0)) == pytest.approx(40.0)
    diagonal = distance_um((0.5, 0.5, 0.5), (2.5, 3.5, 4.5), known).value
    expected = 1000 * np.sqrt((2 * SLICE) ** 2 + (3 * ROW) ** 2 + (4 * COLUMN) ** 2)
    assert diagonal == pytest.approx(expected)


def test_without_spacing_there_is_a_reason_and_no_number():
    box = np.ones((SLICES, ROWS, COLUMNS), bool)
    flat, bare = volume(apart=None), volume(spacing=None)
    for found in (volume_mm3(box, flat), volume_mm3(box, bare), area_mm2(box[0], None)):
        assert found.value is None
        assert found.reason
    assert distance_um((0.5, 1, 1), (0.5, 1, 3), flat).value == pytest.approx(2000 * COLUMN)
    assert "distance of the sections" in distance_um((0, 1, 1), (1, 1, 1), flat).reason
    assert thickness_um(bare, line(1.0), line(2.0)) is None
    with pytest.raises(ImageError, match="distance of the sections"):
        resampled(flat, 0.01)


def test_a_cut_across_has_sections_for_columns():
    known = volume()
    cut = cross_section(known, 2)
    np.testing.assert_array_equal(cut.pixels[0], known.pixels[:, 0, :, 2].T)
    assert cut.spacing_mm == (ROW, SLICE)
    assert cut.lines["ILM"].tolist() == [5.0] * SLICES
    assert cross_section(volume(apart=None), 2).spacing_mm is None
    with pytest.raises(IndexError, match="no 6"):
        cross_section(known, COLUMNS)


def test_cubes_keep_the_size_of_the_box_and_a_ramp_stays_a_ramp():
    ramp = (np.arange(ROWS) + 0.5) / ROWS
    pixels = np.broadcast_to(ramp[:, None], (SLICES, 1, ROWS, COLUMNS)).astype(np.float32).copy()
    known = Volume(
        pixels=pixels,
        spacing_mm=(ROW, COLUMN),
        slice_spacing_mm=SLICE,
        lines={"BM": line(15.0)},
    )
    cubes = resampled(known, 0.002)
    assert cubes.pixels.shape == (60, 1, 40, 36)
    assert cubes.spacing_mm == pytest.approx((0.002, 0.002))
    assert cubes.slice_spacing_mm == pytest.approx(0.002)
    expected = (np.arange(40) + 0.5) / 40
    np.testing.assert_allclose(cubes.pixels[3, 0, 1:-1, 5], expected[1:-1], atol=1e-6)
    np.testing.assert_allclose(cubes.lines["BM"], 30.0)


def test_every_section_is_prepared_on_its_own_and_the_failing_one_is_named():
    random = np.random.default_rng(2)
    pixels = random.uniform(size=(3, 1, 64, 64)).astype(np.float32)
    known = Volume(pixels=pixels, spacing_mm=(ROW, COLUMN), slice_spacing_mm=SLICE)
    images, fields = prepare_volume(known, [{"step": "resize", "size": [32, 32]}])
    assert [image.grid for image in images] == [(32, 32)] * 3
    assert all(field.mask.shape == (32, 32) for field in fields)
    assert [image.facts["section"] for image in images] == [1, 2, 3]
    pixels = pixels.copy()
    pixels[1] = 0.5
    with pytest.raises(ImageError, match="section 2 of 3"):
        prepare_volume(Volume(pixels=pixels), [{"step": "resize", "size": [32, 32]}])


@pytest.mark.real
@pytest.mark.soak
def test_a_volume_of_145_sections_is_read_and_prepared_in_ten_seconds(real_data, tmp_path):
    files = sorted((real_data / "oct-bonn-volume" / "bscans").glob("*.png"))
    for number in range(145):
        plane = PillowImage.open(files[number % len(files)])
        plane.save(tmp_path / f"{number + 1:03d}.png")
    description = (real_data / "oct-bonn-volume" / "OCT-Info.xml").read_text()
    (tmp_path / "OCT-Info.xml").write_text(description)
    started = time.process_time()
    found = read_volume(tmp_path)
    images, _ = prepare_volume(
        found,
        [{"step": "flatten"}, {"step": "resize", "size": [224, 224]}],
    )
    assert time.process_time() - started < 10
    assert len(images) == 145
    assert found.slice_spacing_mm == pytest.approx(0.0298, abs=1e-4)
