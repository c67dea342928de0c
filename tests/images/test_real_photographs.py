"""Real photographs and sections: the field is where a person sees it, lesions lie inside."""

from pathlib import Path

import numpy as np
import pytest

from foveal.images import (
    carry_region,
    find_field,
    mask_to_original,
    mask_to_prepared,
    points_to_original,
    points_to_prepared,
    prepare,
    read,
    read_regions,
)

pytestmark = pytest.mark.real

IDRID = [f"IDRiD_{number:02}" for number in (*range(1, 14), *range(55, 62))]
STEPS = [{"step": "field-of-view", "square": True}, {"step": "resize", "size": [512, 512]}]


@pytest.fixture(scope="module")
def photograph(request, real_data):
    folder = real_data / "fundus-idrid-lesions"
    image = read(folder / "images" / f"{request.param}.jpg", modality="fundus")
    return image, read_regions(folder / "masks", image=image)


# The mask holds a strip of 17 columns at the image's right side, where the photograph is black.
STRAY = {("IDRiD_61", "haemorrhages"): 0.95}


def centroid(mask):
    return np.argwhere(mask).mean(axis=0) + 0.5


@pytest.mark.parametrize("photograph", IDRID, indirect=True)
def test_the_field_holds_the_lesions_and_the_disc_of_every_photograph(photograph):
    image, regions = photograph

    field = find_field(image)

    # Two framings of the same camera: a disc clipped above and below, 69 and 79 % of the image.
    assert 0.685 <= field.mean() <= 0.80
    assert field[:, image.grid[1] // 2].all()
    for region in regions:
        least = STRAY.get((Path(image.source).stem, region.name), 0.99)
        assert field[region.mask].mean() >= least, region.name


@pytest.mark.parametrize("photograph", IDRID[::4], indirect=True)
def test_masks_go_to_the_models_grid_and_come_back(photograph):
    image, regions = photograph
    prepared, field = prepare(image, STEPS)
    pixel = np.array(prepared.steps[0].target) / 512

    assert prepared.grid == (512, 512)
    assert 0.66 <= field.mask.mean() <= 0.73
    disc = next(region for region in regions if region.name == "optic disc")
    there = mask_to_prepared(disc.mask, prepared.steps)
    back = mask_to_original(there, prepared.steps)
    arrived = points_to_original(centroid(there)[np.newaxis], prepared.steps)[0]
    assert (np.abs(arrived - centroid(disc.mask)) <= pixel / 2).all()
    assert 2 * (back & disc.mask).sum() / (back.sum() + disc.mask.sum()) >= 0.985
    carried = carry_region(disc, prepared)
    assert carried.lesions_lost == 0
    assert carried.area_kept >= 0.98


def test_small_lesions_lose_area_and_the_loss_is_told(real_data):
    folder = real_data / "fundus-idrid-lesions"
    image = read(folder / "images" / "IDRiD_13.jpg", modality="fundus")
    prepared, _ = prepare(image, [STEPS[0], {"step": "resize", "size": [128, 128]}])
    regions = {region.name: region for region in read_regions(folder / "masks", image=image)}

    small = carry_region(regions["microaneurysms"], prepared)
    large = carry_region(regions["optic disc"], prepared)

    assert 0 < small.lesions_lost <= small.lesions
    assert small.area_kept < large.area_kept


def test_every_framing_of_the_grading_set_is_found(real_data):
    files = sorted((real_data / "fundus-idrid-grading-640").glob("*/*.jpg"))[::12]

    shares = [find_field(read(file)).mean() for file in files]

    assert len(files) == 43
    assert min(shares) >= 0.685
    assert max(shares) <= 0.72


def test_the_scans_of_oct_sections_are_all_but_their_padding(real_data):
    folder = real_data / "oct-kermany-samples"
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".jpeg", ".png")]

    for file in files:
        image = read(file, modality="oct")
        field = find_field(image)
        assert 0.75 <= field.mean() <= 1
        # What is left out is white padding, with a rim of two pixels that JPEG blurs.
        assert field.all() or np.median(image.pixels[0][~field]) > 0.75, file.name


def test_a_point_marked_on_a_photograph_comes_back(real_data):
    image = read(real_data / "fundus-idrid-lesions" / "images" / "IDRiD_01.jpg", modality="fundus")
    prepared, _ = prepare(image, STEPS)
    points = np.array([[1424.5, 2144.5], [10.25, 2000.0], [2847.9, 289.1]])

    there = points_to_prepared(points, prepared.steps)
    seen = points_to_original(np.floor(there) + 0.5, prepared.steps)

    np.testing.assert_allclose(points_to_original(there, prepared.steps), points, atol=1e-9)
    assert (np.abs(seen - points) <= 0.5 * prepared.steps[0].target[0] / 512 + 1e-9).all()
