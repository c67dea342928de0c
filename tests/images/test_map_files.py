"""Maps made elsewhere, written here in every format people use, and what is refused."""

import hashlib

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from foveal.core import Image, ImageError
from foveal.images import carry_map, find_map, map_from_array, prepare, read_map

SIGNED = np.array([[0.0, -2.0, 3.0, 0.5], [1.0, 0.0, 0.25, -0.5]], np.float32)
GREY = np.array([[0, 51, 102, 255], [255, 0, 204, 51]], np.uint8)


def npy(values):
    def write(path):
        with path.open("wb") as file:
            np.save(file, values)

    return write


def tiff(values, **settings):
    return lambda path: tifffile.imwrite(path, values, **settings)


def png(values):
    return lambda path: PillowImage.fromarray(values).save(path, format="PNG")


def nifti(values):
    def write(path):
        nibabel = pytest.importorskip("nibabel", reason="NIfTI is read through nibabel")
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0])), path)

    return write


CHANNELS = np.stack([SIGNED, SIGNED * 2, -SIGNED])
READ = [
    pytest.param("a.npy", npy(SIGNED), SIGNED, True, id="npy"),
    pytest.param("a.npy", npy(SIGNED.astype(np.float64)[None, None]), SIGNED, True, id="SHAP axes"),
    pytest.param("a.npy", npy(CHANNELS), 2 * SIGNED, True, id="channels first"),
    pytest.param("a.npy", npy(np.moveaxis(CHANNELS, 0, -1)[None]), 2 * SIGNED, True, id="last"),
    pytest.param("a.npy", npy(SIGNED > 0), SIGNED > 0, True, id="a drawing in npy"),
    pytest.param("a.dat", npy(np.asfortranarray(SIGNED)), SIGNED, True, id="other suffix"),
    pytest.param("a.tif", tiff(SIGNED), SIGNED, True, id="float TIFF"),
    pytest.param("a.tif", tiff(GREY.astype(np.uint16) * 257), GREY / 255, False, id="16-bit TIFF"),
    pytest.param("a.png", png(GREY), GREY / 255, False, id="8-bit PNG"),
    pytest.param("a.png", png(GREY.astype(np.uint16) * 257), GREY / 255, False, id="16-bit PNG"),
    pytest.param("a.png", png(np.dstack([GREY] * 3)), GREY / 255, False, id="grey saved as RGB"),
    pytest.param("a.png", png(GREY > 0), GREY > 0, False, id="a drawing in 1 bit"),
    pytest.param("a.nii", nifti(SIGNED.T[..., None]), SIGNED, True, id="NIfTI"),
    pytest.param("a.nii.gz", nifti(SIGNED.T), SIGNED, True, id="NIfTI, compressed"),
]


@pytest.mark.parametrize(("name", "write", "values", "signed"), READ)
def test_a_map_is_read_as_it_was_saved(tmp_path, name, write, values, signed):
    path = tmp_path / name
    write(path)

    found = read_map(path)

    np.testing.assert_allclose(found.values, values, atol=1e-6)
    assert found.values.dtype == np.float32
    assert found.signed is signed
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


HEAT = np.zeros((4, 4, 3), np.uint8)
HEAT[0] = 255, 0, 0
SEEN_THROUGH = np.dstack([np.zeros((4, 4, 3), np.uint8), np.arange(16).reshape(4, 4)])
REFUSED = [
    pytest.param(png(HEAT), None, "values cannot be told from them", id="heat map in colours"),
    pytest.param(png(SEEN_THROUGH.astype(np.uint8)), None, "transparent", id="transparent"),
    pytest.param(png(GREY), True, "cannot say what speaks against", id="grey as signed"),
    pytest.param(npy(SIGNED), False, "down to -2, but is said to have no sign", id="signs unsaid"),
    pytest.param(npy(np.zeros((5, 4, 4))), None, r"shape \(5, 4, 4\)", id="five classes"),
    pytest.param(npy(np.zeros(7)), None, r"shape \(7,\)", id="a row"),
    pytest.param(npy(np.zeros((2, 2), complex)), None, "complex128", id="complex"),
    pytest.param(npy(np.array([[{}]])), None, "Python objects", id="a pickle"),
    pytest.param(
        lambda path: path.write_bytes(b"\x93NUMPY\x01\0\x02\0{}"), None, "damaged", id="cut npy"
    ),
    pytest.param(nifti(np.zeros((4, 4, 3))), None, "no single picture", id="a volume"),
    pytest.param(
        lambda path: path.write_bytes(b"\x1f\x8b" + b"x" * 99), None, "cannot be read", id="gzip"
    ),
    pytest.param(
        lambda path: PillowImage.fromarray(GREY).save(path, format="JPEG"), None, "JPEG", id="JPEG"
    ),
    pytest.param(lambda path: path.write_text("row,column"), None, "a text file", id="a table"),
]


@pytest.mark.parametrize(("write", "signed", "why"), REFUSED)
def test_what_is_no_map_is_refused_with_the_reason(tmp_path, write, signed, why):
    path = tmp_path / "Anna.nii"
    write(path)
    with pytest.raises(ImageError, match=why) as told:
        read_map(path, name="shap", signed=signed)
    assert str(path) in str(told.value)
    assert str(told.value.__cause__).startswith("the map 'shap' ")
    assert "Anna" not in str(told.value.__cause__)


def test_a_pattern_finds_the_one_map_of_its_photograph(tmp_path):
    for name in ("eye_1.npy", "eye_10.npy", "eye_2_a.npy", "eye_2_b.npy"):
        np.save(tmp_path / name, SIGNED)
    assert find_map(f"{tmp_path}/{{stem}}.npy", "eye_1") == tmp_path / "eye_1.npy"
    assert find_map(f"{tmp_path}/{{stem}}.npy", "eye_3") is None
    with pytest.raises(ImageError, match="second map"):
        find_map(f"{tmp_path}/{{stem}}_*.npy", "eye_2")


def prepared(grid=(40, 60)):
    """The middle of a picture of 40 x 60 at a quarter of its size."""
    pixels = np.zeros((3, *grid), np.float32)
    pixels[:, 10:30, 20:40] = 0.5
    return prepare(
        Image(pixels=pixels),
        [{"step": "field-of-view", "margin": 0.0}, {"step": "resize", "size": [5, 5]}],
    )[0]


def test_a_map_of_the_original_goes_the_way_of_the_pixels():
    image = prepared()
    drawn = np.zeros((40, 60), np.float32)
    drawn[12:16, 20:40] = 3.0  # the second of the five prepared rows is 14 to 18
    drawn[0, :10] = 12.0  # outside of what the model sees: a third of the whole

    carried = carry_map(map_from_array(drawn), image)

    assert carried.values.shape == (5, 5)
    np.testing.assert_allclose(carried.values, carried.values[:, :1].repeat(5, axis=1), atol=1e-6)
    assert carried.values[:2].sum() == pytest.approx(3.0 * 5, rel=0.15)  # one row in all
    assert carried.mass_kept == pytest.approx(240 / 360)


def test_a_map_of_the_prepared_grid_stays_as_it_is():
    drawn = np.arange(25, dtype=np.float32).reshape(5, 5)
    carried = carry_map(map_from_array(drawn), prepared(), grid="prepared")
    np.testing.assert_array_equal(carried.values, drawn)


OTHERS = [
    pytest.param((7, 7), "original", "is 7 x 7 .* is 40 x 60 .* 5 x 5", id="another grid"),
    pytest.param((5, 5), "original", 'say so with grid = "prepared"', id="prepared unsaid"),
    pytest.param((40, 60), "prepared", 'say so with grid = "original"', id="original unsaid"),
    pytest.param((60, 40), "original", "transposed", id="transposed"),
]


@pytest.mark.parametrize(("shape", "grid", "why"), OTHERS)
def test_a_map_of_another_grid_is_refused_naming_both_sizes(shape, grid, why):
    with pytest.raises(ImageError, match=why):
        carry_map(map_from_array(np.ones(shape)), prepared(), grid=grid)
