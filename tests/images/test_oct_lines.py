"""Lines of layers: from an expert's picture, onto other grids, and to regions."""

import numpy as np
import pytest

from foveal.core import Image, ImageError
from foveal.images import (
    Resize,
    drusen,
    layer_regions,
    line_on_grid,
    lines_from_mask,
    read,
)


def picture(columns=10, rows=12):
    """RPE (255) at row 3, membrane (127) at row 7."""
    levels = np.zeros((rows, columns), np.uint8)
    levels[3], levels[7] = 255, 127
    return levels


def as_image(levels):
    return Image(pixels=(levels / np.float32(255))[np.newaxis])


def test_a_line_is_the_row_of_its_pixels_with_centres_at_a_half():
    levels = picture()
    levels[:, 0] = 0
    levels[2:6, 4] = 255  # a steep stroke of rows 2 to 5
    lines = lines_from_mask(as_image(levels))
    assert np.isnan(lines["RPE"][0])
    assert lines["RPE"][4] == 4.0
    assert (np.delete(lines["RPE"], [0, 4]) == 3.5).all()
    assert (lines["BM"][1:] == 7.5).all()


def test_where_one_line_hides_the_other_both_lie_there():
    levels = picture()
    levels[3, 6] = 0
    lines = lines_from_mask(as_image(levels))
    assert lines["RPE"][6] == lines["BM"][6] == 7.5
    assert np.isnan(lines_from_mask(as_image(levels), touching=False)["RPE"][6])


def test_a_line_that_is_hardly_drawn_is_missing_and_not_hidden():
    levels = picture()
    levels[3, 1:] = 0
    lines = lines_from_mask(as_image(levels))
    assert np.isnan(lines["RPE"]).all()
    assert (lines["BM"] == 7.5).all()
    with pytest.raises(ImageError, match="shows none of the levels"):
        lines_from_mask(as_image(np.zeros((4, 4), np.uint8)))


def section(upper, lower, rows=20, row_mm=0.004):
    lines = {"RPE": np.asarray(upper, float), "BM": np.asarray(lower, float)}
    pixels = np.zeros((1, rows, len(upper)), np.float32)
    return Image(pixels=pixels, lines=lines, spacing_mm=(row_mm, 0.01), modality="oct")


def test_a_layer_holds_the_pixels_whose_centres_lie_between_its_lines():
    image = section([2.0, 2.5, 2.6, np.nan, 9.0], [5.0, 5.5, 5.6, 5.0, 5.0])
    (layer,) = layer_regions(image, {"epithelium": ("RPE", "BM")})
    rows = [np.flatnonzero(column).tolist() for column in layer.mask.T]
    assert rows == [[2, 3, 4], [2, 3, 4], [3, 4, 5], [], []]
    assert layer.kind == "anatomy"
    with pytest.raises(ImageError, match="no line 'ILM'; it has RPE, BM"):
        layer_regions(image, {"retina": ("ILM", "BM")})


def test_drusen_are_where_the_elevation_in_micrometres_reaches_the_least():
    image = section([2.0, 2.0, 2.0], [11.0, 12.0, 13.0])  # 36, 40 and 44 um
    found = drusen(image, least_um=40)
    assert found.mask.any(axis=0).tolist() == [False, True, True]
    assert found.mask.sum() == 10 + 11
    assert "at least 40 um" in found.source
    bare = Image(pixels=image.pixels, lines=image.lines)
    with pytest.raises(ImageError, match="no spacing"):
        drusen(bare)


def test_drusen_of_a_prepared_section_are_measured_on_its_original_grid():
    image = section([2.0, 2.0, 2.0], [11.0, 12.0, 13.0])
    from foveal.images import prepare

    noisy = np.random.default_rng(0).uniform(size=image.pixels.shape).astype(np.float32)
    image = Image(pixels=noisy, lines=image.lines, spacing_mm=image.spacing_mm)
    prepared, _ = prepare(image, [{"step": "resize", "size": [5, 9], "aspect": "stretch"}])
    assert prepared.spacing_mm[0] == pytest.approx(0.016)
    np.testing.assert_array_equal(drusen(prepared).mask, drusen(image).mask)


def test_a_line_on_a_finer_grid_lies_at_the_same_place():
    line = np.array([4.0, 6.0, np.nan, 10.0])
    image = Image(pixels=np.zeros((1, 20, 4), np.float32))
    step = Resize.fit(image, np.ones((20, 4), bool), size=[40, 8], aspect="stretch")
    found = line_on_grid(line, (step,), step.target)
    # Old centres 0.5, 1.5, 3.5 lie at 1, 3 and 7 of the new columns; new centres are k + 0.5.
    expected = [8.0, 9.0, 11.0, 13.0, np.nan, np.nan, 19.0, 20.0]
    np.testing.assert_allclose(found, expected)


@pytest.mark.real
def test_the_bonn_lines_lie_as_its_sources_say(real_data):
    files = sorted((real_data / "oct-bonn-volume" / "rpe-bm-layers").glob("*.png"))
    lines = [lines_from_mask(read(file)) for file in files[28:32]]
    missing = [bool(np.isnan(entry["RPE"]).all()) for entry in lines]
    assert missing == [False, False, True, False]  # 067 shows the membrane alone
    apart = (lines[0]["BM"] - lines[0]["RPE"]) * 3.872
    assert np.nanmin(apart) >= 0
    assert 15 < np.nanmedian(apart) < 50
