"""Real masks of IDRiD, written as tools export them and read back."""

import numpy as np
import pytest
from annotators import FORMATS
from PIL import Image as PillowImage
from scipy.ndimage import binary_fill_holes
from skimage.measure import find_contours

from foveal.core import Image
from foveal.images import consensus_of, read_regions


@pytest.fixture(scope="module")
def lesions(real_data):
    """A crop with dozens of hard exudates, without holes, and the outlines between its pixels."""
    with PillowImage.open(real_data / "fundus-idrid-lesions" / "masks" / "IDRiD_03_EX.png") as file:
        whole = np.asarray(file)
    whole = whole.reshape(*whole.shape[:2], -1).any(axis=-1)
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    top, left = int(np.median(rows)) - 200, int(np.median(columns)) - 300
    mask = binary_fill_holes(whole[top : top + 400, left : left + 600])
    mask[:, [0, -1]] = mask[[0, -1]] = False
    # Contours lie half way between the centres of pixels, which are at whole numbers there.
    return mask, [ring[:-1] + 0.5 for ring in find_contours(mask.astype(float), 0.5)]


@pytest.mark.real
@pytest.mark.parametrize("format", FORMATS)
def test_a_real_mask_comes_back_pixel_by_pixel(tmp_path, lesions, format):
    mask, rings = lesions
    name, write = FORMATS[format]
    write(tmp_path / name, "eye_1.jpg", rings, mask)
    image = Image(pixels=np.zeros((3, *mask.shape), np.float32), source="eye_1.jpg")

    (region,) = read_regions(tmp_path / name, image=image)

    assert len(rings) > 20
    np.testing.assert_array_equal(region.mask, mask)


@pytest.mark.real
def test_staple_trusts_the_careful_grader_of_real_lesions(lesions):
    from foveal.core import Region

    mask, _ = lesions
    shifted = np.roll(mask, 3, axis=1)
    graders = {"careful": mask, "again": mask, "shifted": shifted}
    regions = [Region(name="EX", mask=m, grader=name) for name, m in graders.items()]

    (found,) = consensus_of(regions, "staple")

    assert found.sensitivity["careful"] > 0.99 > found.sensitivity["shifted"]
    np.testing.assert_array_equal(found.region.mask, mask)
