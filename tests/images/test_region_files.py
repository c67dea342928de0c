"""Mask files written here in every format people use, and the ways to name them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from foveal.core import Image, ImageError
from foveal.images import find_regions, prepare, read_regions

MASK = np.zeros((6, 8), bool)
MASK[1:3, 2:6] = True
EMPTY = np.zeros((6, 8), bool)
RED = np.zeros((6, 8, 4), np.uint8)
RED[MASK, 0] = 255


def pillow(samples, mode=None):
    def write(path):
        picture = PillowImage.fromarray(samples)
        (picture.convert(mode) if mode else picture).save(path)

    return write


def palette(indices, *colors):
    def write(path):
        picture = PillowImage.fromarray(indices.astype(np.uint8), "P")
        picture.putpalette([level for color in colors for level in color])
        picture.save(path)

    return write


def photograph(source="photos/eye_1.jpg", grid=(6, 8)):
    return Image(pixels=np.zeros((3, *grid), np.float32), source=source)


BLACK, WHITE = (0, 0, 0), (255, 255, 255)
WRITTEN = [
    pytest.param("png", pillow(MASK), id="1 bit"),
    pytest.param("png", pillow(MASK.astype(np.uint8)), id="0 and 1"),
    pytest.param("png", pillow(MASK.astype(np.uint8) * 255), id="0 and 255"),
    pytest.param("png", pillow(MASK.astype(np.uint16) * 40000), id="16 bit"),
    pytest.param("png", palette(MASK, BLACK, WHITE), id="palette"),
    pytest.param(
        "png", palette(MASK * 3, BLACK, WHITE, WHITE, (9, 0, 0)), id="palette, other entry"
    ),
    pytest.param("png", palette(1 - MASK, WHITE, BLACK), id="palette from white to black"),
    pytest.param("png", pillow(RED[..., :3].copy()), id="red on black"),
    pytest.param("png", pillow(RED), id="red on black, see-through"),
    pytest.param(
        "png",
        pillow(np.dstack([np.full((6, 8, 3), 255, np.uint8), MASK * np.uint8(255)])),
        id="alpha alone",
    ),
    pytest.param("tif", pillow(MASK), id="TIFF 1 bit"),
    pytest.param("tif", palette(MASK, BLACK, (255, 0, 0)), id="TIFF palette"),
    pytest.param(
        "tif",
        lambda path: tifffile.imwrite(path, RED, photometric="rgb", extrasamples=["unassalpha"]),
        id="TIFF RGBA, red",
    ),
    pytest.param("tif", lambda path: tifffile.imwrite(path, MASK.astype(np.float32)), id="float"),
]


@pytest.mark.parametrize(("suffix", "write"), WRITTEN)
def test_a_mask_is_what_is_not_black(tmp_path, suffix, write):
    path = tmp_path / f"eye_1_MA.{suffix}"
    write(path)

    (region,) = read_regions(path, image=photograph())

    np.testing.assert_array_equal(region.mask, MASK)
    assert (region.name, region.kind) == ("microaneurysms", "lesion")
    assert region.source == str(path)


@pytest.mark.parametrize("mask", [EMPTY, ~EMPTY], ids=["empty", "full"])
def test_a_mask_of_one_value_is_kept(tmp_path, mask):
    path = tmp_path / "eye_1_SE.png"
    pillow(mask)(path)

    (region,) = read_regions(path)

    np.testing.assert_array_equal(region.mask, mask)


NAMES = [
    pytest.param("IDRiD_01_MA", "microaneurysms", "lesion", id="code"),
    pytest.param("IDRiD_01_od", "optic disc", "anatomy", id="code in small letters"),
    pytest.param("eye_hard_exudates", "hard exudates", "lesion", id="name with an underscore"),
    pytest.param("eye-soft-exudates", "soft exudates", "lesion", id="name with hyphens"),
    pytest.param("eye_Hemorrhages", "haemorrhages", "lesion", id="another spelling"),
    pytest.param("eye_corneal_ulcer", "corneal ulcer", "lesion", id="front of the eye"),
    pytest.param("eye_GA", "geographic atrophy", "lesion", id="short name"),
    pytest.param("scan-RPE", "retinal pigment epithelium", "anatomy", id="a layer"),
    pytest.param("eye_disc_hemorrhage", "disc haemorrhage", "lesion", id="American, two words"),
    pytest.param("eye_fov", "field of view", "field", id="field"),
    pytest.param("eye_laser_scars", "scars", "unknown", id="unknown: after the last underscore"),
    pytest.param("cup", "cup", "anatomy", id="no photograph"),
    pytest.param("hard_exudates", "hard exudates", "lesion", id="two words, no photograph"),
    pytest.param("scars", "scars", "unknown", id="one word"),
]


@pytest.mark.parametrize(("stem", "name", "kind"), NAMES)
def test_a_region_is_named_by_the_end_of_its_file(tmp_path, stem, name, kind):
    path = tmp_path / f"{stem}.png"
    pillow(MASK)(path)

    (region,) = read_regions(path)

    assert (region.name, region.kind) == (name, kind)


def test_names_of_ones_own_go_before_the_known_codes(tmp_path):
    for code in ("MA", "RPE"):
        pillow(MASK)(tmp_path / f"eye_1_{code}.png")

    regions = read_regions(tmp_path, names={"MA": "macular atrophy", "RPE": "optic disc"})

    assert [(region.name, region.kind) for region in regions] == [
        ("macular atrophy", "unknown"),
        ("optic disc", "anatomy"),
    ]


@pytest.fixture
def folder(tmp_path):
    """Masks of three photographs in one folder, among other files."""
    names = ("eye_1_MA", "eye_1_laser_scars", "eye_1_2_MA", "eye_10_MA", "eye_10_OD")
    for name in names:
        pillow(MASK)(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("graded twice")
    return tmp_path


def test_a_folder_gives_the_regions_of_the_photograph(folder):
    names = [region.name for region in read_regions(folder, image=photograph())]

    assert names == ["microaneurysms", "laser_scars"]


def test_a_folder_of_several_photographs_asks_which(folder):
    with pytest.raises(ImageError, match="masks of 4 photographs; pass image="):
        read_regions(folder)


def test_a_folder_of_one_photograph_needs_no_choice(tmp_path):
    for name in ("disc.png", "cup.png"):
        pillow(MASK)(tmp_path / name)

    assert [region.name for region in read_regions(tmp_path)] == ["cup", "disc"]
    assert len(read_regions(tmp_path, image=photograph())) == 2


def test_a_pattern_finds_files_by_photograph_and_region(folder):
    pillow(MASK)(folder / "eye_10_.png")  # names no region

    found = find_regions(f"{folder}/{{stem}}_{{region}}.png", "eye_10")

    assert found == {"MA": folder / "eye_10_MA.png", "OD": folder / "eye_10_OD.png"}
    regions = read_regions(f"{folder}/{{stem}}_{{region}}.*", image=photograph("x/eye_10.png"))
    assert [region.name for region in regions] == ["microaneurysms", "optic disc"]


OTHERS = [
    pytest.param("_", ["2_MA", "left_EX", "2_laser_scars", "left_hard_exudates"], id="underscore"),
    pytest.param("-", ["2-MA", "left-optic disc"], id="hyphen"),
    pytest.param(".", ["2.MA", "2.hard.exudates"], id="stop"),
    pytest.param("_mask_", ["2_mask_MA"], id="word"),
]


@pytest.mark.parametrize(("between", "codes"), OTHERS)
def test_a_pattern_leaves_out_masks_of_photographs_with_a_longer_name(tmp_path, between, codes):
    own = ["MA", "hard_exudates", "optic_disc", "laser_scars", "drusen-2", "3rd"]
    for code in (*own, *codes):
        pillow(MASK)(tmp_path / f"eye_1{between}{code}.png")

    found = find_regions(f"{tmp_path}/{{stem}}{between}{{region}}.png", "eye_1")

    assert sorted(found) == sorted(own)


def test_a_pattern_with_a_folder_for_each_photograph_takes_all_that_is_in_it(tmp_path):
    (tmp_path / "eye_1").mkdir()
    pillow(MASK)(tmp_path / "eye_1" / "2_MA.png")

    assert list(find_regions(f"{tmp_path}/{{stem}}/{{region}}.png", "eye_1")) == ["2_MA"]


def test_a_pattern_finds_one_folder_for_each_region(tmp_path, monkeypatch):
    for code in ("EX", "HE"):
        (tmp_path / "masks [a]" / code).mkdir(parents=True)
        pillow(MASK)(tmp_path / "masks [a]" / code / "eye [1].png")
    monkeypatch.chdir(tmp_path)

    found = find_regions("./masks [a]/{region}/{stem}.p?g", "eye [1]")

    assert found == {
        "EX": Path("masks [a]/EX/eye [1].png"),
        "HE": Path("masks [a]/HE/eye [1].png"),
    }
    assert find_regions("masks [a]/{region}/{stem}.png", "eye 1") == {}


def test_a_pattern_does_not_cross_folders(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    pillow(MASK)(tmp_path / "deep" / "er" / "eye_1_MA.png")

    assert find_regions(f"{tmp_path}/*/{{stem}}_{{region}}.png", "eye_1") == {}
    assert list(find_regions(f"{tmp_path}/*/*/{{stem}}_{{region}}.png", "eye_1")) == ["MA"]


@pytest.mark.parametrize("pattern", ["masks/{stem}.png", "{region}/{stem}_{region}.png"])
def test_a_pattern_needs_the_region_once(pattern):
    with pytest.raises(ValueError, match=r"needs \{region\} once"):
        find_regions(pattern, "eye_1")


def test_a_mask_named_like_its_photograph_is_named_by_its_folder(tmp_path):
    path = tmp_path / "vessels" / "eye_1.png"
    path.parent.mkdir()
    pillow(MASK)(path)

    (region,) = read_regions(tmp_path / "vessels" / "{stem}.png", image=photograph())

    assert (region.name, region.kind) == ("vessels", "anatomy")


def test_two_files_for_one_region_are_told_apart_by_nobody(tmp_path):
    pillow(MASK)(tmp_path / "eye_1_MA.png")
    pillow(MASK)(tmp_path / "eye_1_MA.tif")

    with pytest.raises(
        ImageError, match=r"eye_1_MA\.tif: is a second mask of 'MA'; make the pattern"
    ):
        find_regions(f"{tmp_path}/{{stem}}_{{region}}.*", "eye_1")
    with pytest.raises(ImageError, match="is a second mask of 'microaneurysms'"):
        read_regions(tmp_path)


def test_no_mask_at_all_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="there is no mask file"):
        read_regions(tmp_path)
    with pytest.raises(ImageError, match="there is no mask file"):
        read_regions(f"{tmp_path}/{{stem}}_{{region}}.png", image=photograph())
    with pytest.raises(ImageError, match="there is no such file"):
        read_regions(tmp_path / "eye_1_MA.png")


@pytest.mark.parametrize("image", [None, photograph(source=None)], ids=["no image", "no file"])
def test_a_stem_needs_an_image_with_a_file(tmp_path, image):
    with pytest.raises(ValueError, match="needs an image that was read from a file"):
        read_regions(f"{tmp_path}/{{stem}}_{{region}}.png", image=image)


LABELS = np.zeros((6, 8), np.uint8)
LABELS[1:5, 1:6] = 1
LABELS[2:4, 2:4] = 2
LABELLED = [
    pytest.param("png", pillow(LABELS), id="values"),
    pytest.param("png", pillow(LABELS.astype(np.uint16)), id="16 bit values"),
    pytest.param("png", pillow(LABELS, "RGB"), id="the same value in three channels"),
    pytest.param("png", palette(LABELS, BLACK, (0, 255, 0), (255, 0, 0)), id="palette indices"),
    pytest.param(
        "tif", palette(LABELS, BLACK, (0, 255, 0), (255, 0, 0)), id="TIFF palette indices"
    ),
]


@pytest.mark.parametrize(("suffix", "write"), LABELLED)
def test_a_label_image_gives_a_region_for_each_name(tmp_path, suffix, write):
    path = tmp_path / f"eye_1.{suffix}"
    write(path)

    rim, cup, scars = read_regions(path, labels={1: "rim", 2: "cup", 7: "scars"})

    np.testing.assert_array_equal(rim.mask, LABELS == 1)
    np.testing.assert_array_equal(cup.mask, LABELS == 2)
    assert not scars.mask.any()
    assert (rim.name, cup.name, cup.kind) == ("rim", "cup", "anatomy")


def test_zero_can_be_a_region_and_another_value_the_background(tmp_path):
    path = tmp_path / "eye_1.png"
    pillow(LABELS)(path)

    cup, disc = read_regions(path, labels={2: "cup", 0: "disc", 1: None})

    np.testing.assert_array_equal(cup.mask, LABELS == 2)
    np.testing.assert_array_equal(disc.mask, LABELS == 0)


def test_values_may_share_a_name(tmp_path):
    path = tmp_path / "eye_1.png"
    pillow(LABELS)(path)

    (disc,) = read_regions(path, labels={1: "disc", 2: "disc"})

    np.testing.assert_array_equal(disc.mask, LABELS > 0)


def jpeg(path):
    PillowImage.fromarray(MASK.astype(np.uint8) * 200).resize((8, 6)).save(path, "JPEG", quality=60)


COLORS = RED.copy()
COLORS[4, :3, 1] = 255
SOFT = (np.arange(48, dtype=np.uint8) * 5).reshape(6, 8)
NO_MASKS = [
    pytest.param(pillow(LABELS), {}, r"holds 3 values \(0, 1, 2\).*labels=", id="labels"),
    pytest.param(pillow(LABELS + 1), {}, r"holds 3 values \(1, 2, 3\)", id="no zero"),
    pytest.param(pillow(SOFT), {}, r"48 values \(0, 5, 10, 15, 20, 25, ...\)", id="soft"),
    pytest.param(
        pillow(COLORS[..., :3].copy()),
        {},
        r"holds 3 values \(\(0, 0, 0\), \(0, 255, 0\), \(255, 0, 0\)\)",
        id="two colours",
    ),
    pytest.param(jpeg, {}, "JPEG blurs masks, save them as PNG", id="JPEG"),
    pytest.param(
        pillow(LABELS),
        {"labels": {1: "disc"}},
        r"holds 1 value \(2\) without a label",
        id="unnamed",
    ),
    pytest.param(
        pillow(COLORS[..., :3].copy()),
        {"labels": {1: "disc"}},
        "holds colours; a label image has one grey value",
        id="colours for labels",
    ),
    pytest.param(lambda path: path.write_text("MA"), {}, "is a text file", id="text"),
    pytest.param(
        lambda path: path.write_bytes(bytes(128) + b"DICM"),
        {},
        "is a DICOM file; masks",
        id="DICOM",
    ),
]


@pytest.mark.parametrize(("write", "options", "message"), NO_MASKS)
def test_what_is_no_mask_is_refused_by_name_with_what_it_holds(tmp_path, write, options, message):
    path = tmp_path / "eye_1_MA.png"
    write(path)

    with pytest.raises(ImageError, match=f"{path}: {message}" if options else message):
        read_regions(path, **options)


SIZES = [
    pytest.param((8, 6), "looks transposed", id="transposed"),
    pytest.param((3, 4), "looks like a copy at 0.5 of the size", id="a smaller copy"),
    pytest.param((6, 9), r"is 6 x 9 \(row x column\), but its photograph is 6 x 8$", id="other"),
]


@pytest.mark.parametrize(("grid", "message"), SIZES)
def test_a_mask_of_another_size_names_both_sizes(tmp_path, grid, message):
    path = tmp_path / "eye_1_MA.png"
    pillow(np.ones(grid, bool))(path)

    with pytest.raises(ImageError, match=message):
        read_regions(path, image=photograph())


def test_masks_belong_to_the_photograph_before_it_was_prepared(tmp_path):
    path = tmp_path / "eye_1_MA.png"
    mask = np.zeros((64, 64), bool)
    pillow(mask)(path)
    pixels = np.zeros((1, 64, 64), np.float32)
    pixels[:, 16:48, 16:48] = 0.5
    prepared, _ = prepare(Image(pixels=pixels, source="eye_1.png"), [{"step": "field-of-view"}])

    (region,) = read_regions(path, image=prepared)

    assert region.grid == (64, 64) != prepared.grid
