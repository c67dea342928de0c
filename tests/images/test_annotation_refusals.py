"""What cannot be read says which file it is, what was found and what to do."""

import json
import shutil
import warnings
import zipfile
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import roifile
import SimpleITK
from annotators import FORMATS, asap, coco, cvat, itk, labelbox_row
from test_annotations import RING, F, photograph, via

from foveal.core import FovealError
from foveal.images import read_labels, read_regions, read_soft_mask

RNG = np.random.default_rng(3)


def text(words):
    return lambda path: path.write_text(words)


def coco_of(*annotations):
    return lambda path: coco(path, "eye_1.jpg", F.shape, annotations)


def cvat_of(inner, grid=F.shape):
    return lambda path: cvat(path, "eye_1.jpg", grid, inner)


def via_of(regions):
    found = {"a": {"filename": "eye_1.jpg", "regions": regions}}
    return text(json.dumps(found))


def labelbox_of(**told):
    row = labelbox_row("eye_1.jpg", F.shape, [{"name": "MA", "annotation_kind": "Kind", **told}])
    return text(json.dumps([row]))


def archive_of(**members):
    def write(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name.replace("_", "."), data)

    return write


def line_roi(path):
    roi = roifile.ImagejRoi()
    roi.roitype, roi.name = roifile.ROI_TYPE.LINE, "axis"
    path.write_bytes(roi.tobytes())


def image_of(values, suffix):
    def write(path):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), f"{path}{suffix}")
        shutil.move(f"{path}{suffix}", path)

    return write


def header_to(place):
    words = f"ObjectType = Image\nNDims = 2\nDimSize = 17 12\nElementType = MET_UCHAR\n{place}\n"
    return text(words)


BOMB = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><annotations>&c;</annotations>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotations>&b;</annotations>'
WRONG_RUNS = {"size": [12, 17], "counts": [1, 2, 3]}
HUGE_RUNS = {"size": [12, 17], "counts": [10**12, 5]}
HUGE_SIZE = {"size": [10**6, 10**6], "counts": [10**12]}
UNNAMED = {"shape_attributes": {"name": "circle", "cx": 1, "cy": 1, "r": 1}}
REFUSED = [
    pytest.param(text(""), "is empty; copy or export it again", id="empty"),
    pytest.param(text("[" * 200_000), "nested too deep|is no JSON", id="deep JSON"),
    pytest.param(text("{'a': 1}"), "is no JSON; it may be damaged", id="no JSON"),
    pytest.param(text('{"a": 1}'), "is JSON, but none of COCO, VGG Image", id="other JSON"),
    pytest.param(text("{}"), "is JSON, but none of COCO", id="an empty object"),
    pytest.param(text("<svg/>"), "is XML, but none of COCO", id="other XML"),
    pytest.param(text("<annotations>"), "is XML that cannot be read", id="half XML"),
    pytest.param(text(BOMB), "damaged or defines entities", id="XML bomb"),
    pytest.param(text(OUTSIDE), "damaged or defines entities", id="XML entity outside"),
    pytest.param(
        text("<annotations><track/></annotations>"), "tracks of a video", id="CVAT video"
    ),
    pytest.param(
        coco_of({"category_id": 5, "bbox": [1, 1, 1, 1]}),
        r"marks the category 5, which it does not name \(it names 1: MA\)", id="unknown category",
    ),
    pytest.param(
        coco_of({"category_id": None, "bbox": [1, 1, 1, 1]}), "an entry without category_id",
        id="no category",
    ),
    pytest.param(coco_of({"bbox": [1, 2]}), "without outline and box", id="half a box"),
    pytest.param(coco_of({"segmentation": [[1, 2, 3]]}), "no pairs x, y", id="odd numbers"),
    pytest.param(coco_of({"segmentation": [[1, 2, 3, 4]]}), "fewer than 3 points", id="a line"),
    pytest.param(coco_of({"segmentation": [["a", 2]]}), "no list of numbers", id="no numbers"),
    pytest.param(
        coco_of({"segmentation": WRONG_RUNS}), r"make 6 pixels, but 12 x 17 .* are 204", id="runs"
    ),
    pytest.param(coco_of({"segmentation": HUGE_RUNS}), "runs make 1000000000005", id="huge runs"),
    pytest.param(coco_of({"segmentation": HUGE_SIZE}), "more than the 50000000", id="huge size"),
    pytest.param(
        partial(coco, name="eye_1.jpg", grid=(17, 12), annotations=[]), "it looks transposed",
        id="transposed",
    ),
    pytest.param(cvat_of("", (6, 8)), "is 6 x 8 .* is 12 x 17", id="another size"),
    pytest.param(cvat_of('<polyline label="MA"/>'), "a polyline, which encloses", id="CVAT line"),
    pytest.param(
        cvat_of('<box xtl="1" ytl="1" xbr="2" ybr="2"/>'), "a box without a label", id="no label"
    ),
    pytest.param(
        cvat_of('<box label="MA" xtl="one" ytl="1" xbr="2" ybr="2"/>'),
        r"xtl that is no number.*\(but 'one'\)",
        id="a word for a number",
    ),
    pytest.param(
        partial(via, shape={"name": "polyline"}), "a polyline, which encloses", id="VIA line"
    ),
    pytest.param(via_of([UNNAMED]), "a region without a label", id="VIA without a label"),
    pytest.param(
        via_of([{**UNNAMED, "region_attributes": {"a": "MA", "b": "big"}}]),
        "attributes a, b, and which of them names it", id="VIA with two attributes",
    ),
    pytest.param(
        labelbox_of(mask={"url": "https://far/mask.png"}), "address on a server", id="mask far away"
    ),
    pytest.param(labelbox_of(line=[]), "a Kind of 'MA', which encloses", id="Labelbox line"),
    pytest.param(archive_of(notes_txt="x"), "ZIP archive without ImageJ ROIs", id="other archive"),
    pytest.param(archive_of(a_roi=b"Iout" + bytes(9)), "a ROI that cannot", id="damaged ROI"),
    pytest.param(archive_of(a_roi=bytes(17 * 2**20)), "more than are read", id="archive bomb"),
    pytest.param(line_roi, "holds 'axis', a line that encloses nothing", id="ImageJ line"),
    pytest.param(
        image_of(np.full((12, 17), 3, np.uint8) * F + F * np.eye(12, 17, dtype=np.uint8), ".nrrd"),
        "the values 3, 4; say what they mean with labels=", id="several values",
    ),
    pytest.param(
        image_of(F.astype(np.float32) / 3, ".mha"), "threshold=0.5", id="fractions in a label image"
    ),
    pytest.param(
        image_of(F[:6].astype(np.uint8), ".nrrd"), "is 6 x 17", id="a label image of another size"
    ),
    pytest.param(
        header_to("ElementDataFile = ../../secret.raw"), "only a single file beside it",
        id="MetaImage values elsewhere",
    ),
    pytest.param(
        header_to("ElementDataFile = LIST\n/etc/passwd"), "only a single file beside it",
        id="MetaImage list",
    ),
    pytest.param(
        text("NRRD0004\ntype: uchar\ndimension: 2\nsizes: 17 12\nencoding: raw\n"
             "data file: /etc/passwd\n"),
        r"beside it is read.*\(in '/etc/passwd'\)", id="NRRD values elsewhere",
    ),
    pytest.param(header_to("ElementDataFile = LOCAL"), "cannot be read", id="no values"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "message"), REFUSED)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, write, message):
    path = tmp_path / "marks"
    write(path)

    with pytest.raises(FovealError, match=f"^{path}: .*({message})") as error:
        read_regions(path, image=photograph())
    # What a run says names no file, and holds no text from inside one.
    assert not any(word in str(error.value.__cause__) for word in (str(path), "passwd", "'one'"))


def test_what_does_not_say_how_large_its_picture_is_asks_for_it(tmp_path):
    asap(tmp_path / "a.xml", "", [RING], F)

    with pytest.raises(FovealError, match="how large its picture is; pass image="):
        read_regions(tmp_path / "a.xml")


def test_a_mark_of_another_picture_may_be_broken(tmp_path):
    pictures = {
        name: {"filename": f"{name}.jpg", "regions": [region]}
        for name, region in (
            ("eye_1", {**UNNAMED, "region_attributes": {"lesion": "MA"}}),
            ("eye_2", {"shape_attributes": {"name": "nonsense"}}),
        )
    }
    (tmp_path / "via.json").write_text(json.dumps(pictures))

    (region,) = read_regions(tmp_path / "via.json", image=photograph())

    assert region.mask.sum() == 4


@pytest.mark.parametrize("format", FORMATS)
def test_mutated_bytes_give_regions_or_an_error_of_ours(tmp_path, format):
    name, write = FORMATS[format]
    write(tmp_path / name, "eye_1.jpg", [RING], F)
    whole = (tmp_path / name).read_bytes()
    for round_ in range(12):
        data = bytearray(whole[: RNG.integers(1, len(whole))] if round_ % 4 == 0 else whole)
        for place in RNG.integers(0, len(data), round_):
            data[place] = RNG.integers(256)
        (tmp_path / name).write_bytes(data)
        with warnings.catch_warnings(), suppress(FovealError):
            warnings.simplefilter("ignore")
            regions = read_regions(tmp_path / name, image=photograph())
            assert all(region.grid == F.shape for region in regions)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a,b\n", "no label description of ITK-SNAP"),
        ('1 0 0 0 1 1 1 "a"\n1 0 0 0 1 1 1 "b"\n', "names the value 1 twice"),
        ("# only a comment\n", "no label description"),
    ],
    ids=["a table", "twice", "nothing"],
)
def test_what_describes_no_labels_is_refused(tmp_path, words, message):
    (tmp_path / "labels.txt").write_text(words)

    with pytest.raises(FovealError, match=message):
        read_labels(tmp_path / "labels.txt")


def test_soft_masks_are_cut_where_asked_and_kept(tmp_path):
    shares = np.linspace(0, 1, F.size, dtype=np.float32).reshape(F.shape)
    np.save(tmp_path / "eye_1_MA.npy", shares)

    soft = read_soft_mask(tmp_path / "eye_1_MA.npy", name="drusen", image=photograph())
    (region,) = read_regions(tmp_path / "eye_1_MA.npy", image=photograph(), threshold=0.75)

    np.testing.assert_array_equal(soft.values, shares)
    np.testing.assert_array_equal(soft.region().mask, shares >= 0.5)
    np.testing.assert_array_equal(region.mask, shares >= 0.75)
    assert (region.name, region.facts["threshold"]) == ("microaneurysms", 0.75)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (F * 3.0, "no mask of probabilities: .* from 0 to 3"),
        (np.where(F, np.nan, 0.0), "no mask of probabilities"),
        (F[:5] * 1.0, "is 5 x 17"),
    ],
    ids=["beyond 1", "no numbers", "another size"],
)
def test_what_is_no_soft_mask_is_refused(tmp_path, values, message):
    np.save(tmp_path / "soft.npy", values)

    with pytest.raises(FovealError, match=message):
        read_soft_mask(tmp_path / "soft.npy", name="drusen", image=photograph())


def test_a_threshold_is_a_share(tmp_path):
    itk(tmp_path / "eye_1_MA.nii", "", [], F)

    for threshold in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"must be in \(0, 1\]"):
            read_regions(tmp_path / "eye_1_MA.nii", threshold=threshold)
