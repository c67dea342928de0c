"""Preparation steps on real photographs of one camera, whose field is always the same disc."""

import numpy as np
import pytest

from foveal.images import color_reference, find_field, intensity_cv, prepare, read

pytestmark = pytest.mark.real

NAMES = ["IDRiD_001", "IDRiD_021", "IDRiD_055", "IDRiD_083", "IDRiD_089"]


@pytest.fixture(scope="module")
def photographs(real_data):
    folder = real_data / "fundus-idrid-grading-640"
    files = {file.stem: file for file in sorted((folder / "test").glob("*.jpg"))}
    return {name: read(files[name], modality="fundus") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_field_of_one_camera_is_found_alike_in_all_its_photographs(photographs, name):
    first, field = (find_field(photographs[key]) for key in (NAMES[0], name))

    assert (first & field).sum() / (first | field).sum() >= 0.96


@pytest.mark.parametrize("name", NAMES)
def test_dividing_by_the_background_makes_the_light_more_even(photographs, name):
    image = photographs[name]

    even, field = prepare(image, [{"step": "illumination", "method": "background"}])

    before, after = (intensity_cv(seen.pixels, field.mask) for seen in (image, even))
    assert after < 0.85 * before


@pytest.mark.parametrize("name", NAMES[1:])
def test_colours_come_close_to_those_of_the_reference(photographs, name):
    first = photographs[NAMES[0]]
    reference = color_reference(first, find_field(first))

    changed, field = prepare(photographs[name], [{"step": "color", "reference": reference}])

    found = color_reference(changed, field.mask)
    # What no screen shows is clipped, so that not all of the spread arrives.
    np.testing.assert_allclose(found["mean"], reference["mean"], atol=1.5)
    np.testing.assert_allclose(found["sd"], reference["sd"], rtol=0.25)
