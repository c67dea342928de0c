"""What annotation tools export, written here after their documentation, becomes the same mask."""

import json
import shutil

import numpy as np
import pydicom
import pytest
import roifile
import SimpleITK
from annotators import (
    FORMATS,
    asap,
    coco,
    cvat,
    dicom_seg,
    dicom_source,
    itk,
    labelbox_row,
    via_regions,
)

from foveal.core import FovealWarning, Image, ImageError
from foveal.images import read_labels, read_regions

F = np.zeros((12, 17), bool)
F[2:10, 3:5] = F[2:4, 3:11] = F[5:7, 3:8] = True
"""Turned, mirrored or transposed it is another letter."""
RING = [
    (2.25, 3.25), (2.25, 10.75), (3.75, 10.75), (3.75, 4.75), (5.25, 4.75),
    (5.25, 7.75), (6.75, 7.75), (6.75, 4.75), (9.75, 4.75), (9.75, 3.25),
]  # fmt: skip
"""A quarter of a pixel inside its edges, so that half a pixel of shift either way changes it."""


def photograph(source="photos/eye_1.jpg", grid=F.shape, **facts):
    return Image(pixels=np.zeros((3, *grid), np.float32), source=str(source), facts=facts)


@pytest.mark.parametrize("format", FORMATS)
def test_an_asymmetric_mark_lands_on_its_pixels(tmp_path, format):
    name, write = FORMATS[format]
    write(tmp_path / name, "eye_1.jpg", [RING], F)

    (region,) = read_regions(tmp_path / name, image=photograph())

    np.testing.assert_array_equal(region.mask, F)
    assert (region.name, region.kind) == ("microaneurysms", "lesion")
    assert region.source == str(tmp_path / name)


@pytest.mark.parametrize("format", [f for f in FORMATS if "ITK" not in f and "nibabel" not in f])
def test_content_decides_and_no_suffix(tmp_path, format):
    name, write = FORMATS[format]
    write(tmp_path / name, "eye_1.jpg", [RING], F)
    shutil.move(tmp_path / name, tmp_path / "eye_1_MA.bin")

    (region,) = read_regions(tmp_path / "eye_1_MA.bin", image=photograph())

    np.testing.assert_array_equal(region.mask, F)


def test_a_nifti_file_of_another_name_is_read(tmp_path):
    itk(tmp_path / "labels.nii.gz", "", [], F)
    shutil.move(tmp_path / "labels.nii.gz", tmp_path / "eye_1_MA.bin")

    (region,) = read_regions(tmp_path / "eye_1_MA.bin")

    np.testing.assert_array_equal(region.mask, F)


BLOCK = np.zeros_like(F)
BLOCK[3:6, 4:11] = True
DOT = np.zeros_like(F)
DOT[3, 4] = True
"""Rows 3 to 5, columns 4 to 10."""


def via(path, shape):
    region = {"shape_attributes": shape, "region_attributes": {"lesion": "MA"}}
    path.write_text(json.dumps({"a": {"filename": "eye_1.jpg", "regions": [region]}}))


def via_3(path, numbers):
    told = {
        "attribute": {"1": {"aname": "lesion", "options": {}}},
        "file": {"1": {"fname": "eye_1.jpg"}},
        "view": {"1": {"fid_list": ["1"]}},
        "metadata": {"x": {"vid": "1", "xy": numbers, "av": {"1": "MA"}}},
    }
    path.write_text(json.dumps(told))


def roi(path, **told):
    found = roifile.ImagejRoi()
    for name, value in told.items():
        setattr(found, name, value)
    path.write_bytes(found.tobytes())


def box_of(**told):
    return lambda path: roi(path, roitype=roifile.ROI_TYPE.RECT, name="MA", **told)


def labelled(**told):
    def write(path):
        row = labelbox_row("eye_1.jpg", F.shape, [{"name": "MA", **told}])
        path.write_text(json.dumps([row]))

    return write


SHAPES = [
    pytest.param(
        lambda p: coco(p, "eye_1.jpg", F.shape, [{"bbox": [3.75, 3.25, 7.0, 2.5]}]), BLOCK, "box",
        id="COCO box",
    ),
    pytest.param(
        lambda p: via(p, {"name": "rect", "x": 4, "y": 3, "width": 7, "height": 3}), BLOCK, "box",
        id="VIA box",
    ),
    pytest.param(lambda p: via_3(p, [2, 4, 3, 7, 3]), BLOCK, "box", id="VIA 3 box"),
    pytest.param(lambda p: via_3(p, [1, 4.9, 3.1]), DOT, "point", id="VIA 3 point"),
    pytest.param(
        lambda p: via(p, {"name": "point", "cx": 4.9, "cy": 3.1}), DOT, "point", id="VIA point"
    ),
    pytest.param(
        labelled(bounding_box={"top": 3, "left": 4, "height": 3, "width": 7}), BLOCK, "box",
        id="Labelbox box",
    ),
    pytest.param(labelled(point={"x": 4.5, "y": 3.5}), DOT, "point", id="Labelbox point"),
    pytest.param(
        lambda p: cvat(
            p, "eye_1.jpg", F.shape, '<box label="MA" xtl="4" ytl="3" xbr="11" ybr="6"/>'
        ),
        BLOCK, "box", id="CVAT box",
    ),
    pytest.param(
        # A quarter turn about (4.5, 7.5): what was 3 rows and 7 columns, standing.
        lambda p: cvat(
            p, "eye_1.jpg", F.shape,
            '<box label="MA" xtl="6" ytl="1" xbr="9" ybr="8" rotation="90.0"/>',
        ),
        BLOCK, "box", id="CVAT turned box",
    ),
    pytest.param(
        lambda p: cvat(p, "eye_1.jpg", F.shape, '<points label="MA" points="4.2,3.9"/>'),
        DOT, "point", id="CVAT point",
    ),
    pytest.param(box_of(top=3, left=4, bottom=6, right=11), BLOCK, "box", id="ImageJ box"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "mask", "shape"), SHAPES)
def test_a_box_or_a_point_says_that_it_is_one(tmp_path, write, mask, shape):
    write(tmp_path / "marks")

    (region,) = read_regions(tmp_path / "marks", image=photograph())

    np.testing.assert_array_equal(region.mask, mask)
    assert (region.name, region.facts["shape"]) == ("microaneurysms", shape)


def ellipse(row, column, down, across, degrees):
    """By the definition: both half axes, each pixel's centre turned back."""
    rows, columns = np.mgrid[:12, :17] + 0.5
    turned = ((columns - column) + 1j * (rows - row)) * np.exp(-1j * np.deg2rad(degrees))
    return (turned.real / across) ** 2 + (turned.imag / down) ** 2 < 1


ELLIPSES = [
    pytest.param(
        lambda p: via(p, {"name": "circle", "cx": 8.2, "cy": 5.3, "r": 3.4}),
        ellipse(5.3, 8.2, 3.4, 3.4, 0), id="VIA circle",
    ),
    pytest.param(
        lambda p: via(
            p, {"name": "ellipse", "cx": 8.2, "cy": 5.3, "rx": 6.1, "ry": 2.2,
                "theta": np.deg2rad(20)},
        ),
        ellipse(5.3, 8.2, 2.2, 6.1, 20), id="VIA ellipse",
    ),
    pytest.param(
        lambda p: via_3(p, [4, 8.2, 5.3, 6.1, 2.2]), ellipse(5.3, 8.2, 2.2, 6.1, 0),
        id="VIA 3 ellipse",
    ),
    pytest.param(
        lambda p: via_3(p, [3, 8.2, 5.3, 3.4]), ellipse(5.3, 8.2, 3.4, 3.4, 0), id="VIA 3 circle"
    ),
    pytest.param(
        lambda p: cvat(
            p, "eye_1.jpg", F.shape,
            '<ellipse label="MA" cx="8.2" cy="5.3" rx="6.1" ry="2.2" rotation="20"/>',
        ),
        ellipse(5.3, 8.2, 2.2, 6.1, 20), id="CVAT ellipse",
    ),
    pytest.param(
        lambda p: roi(p, roitype=roifile.ROI_TYPE.OVAL, name="MA", top=2, left=3, bottom=9,
                      right=15),
        ellipse(5.5, 9, 3.5, 6, 0), id="ImageJ oval",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("write", "mask"), ELLIPSES)
def test_ellipses_hold_the_pixels_whose_centres_they_hold(tmp_path, write, mask):
    write(tmp_path / "marks")

    (region,) = read_regions(tmp_path / "marks", image=photograph())

    np.testing.assert_array_equal(region.mask, mask)
    assert 20 < region.mask.sum() < 100


def test_the_compressed_runs_of_coco_are_read_as_worked_out_by_hand(tmp_path):
    # Runs 40, 3, 9, 3, 149 of a picture of 12 x 17: 40 = 8 + 1 * 32 is "X1" (8 + 32 + 48, 1 + 48);
    # 3 and 9 are "3" and "9"; the fourth is 3 - 3 = 0, "0"; 149 - 9 = 140 = 12 + 4 * 32, "\\4".
    drawn = {"size": [12, 17], "counts": "X1390\\4"}
    coco(tmp_path / "marks.json", "eye_1.jpg", F.shape, [{"segmentation": drawn}])

    (region,) = read_regions(tmp_path / "marks.json", image=photograph())

    mask = np.zeros(12 * 17, bool)
    mask[40:43] = mask[52:55] = True
    np.testing.assert_array_equal(region.mask, mask.reshape(17, 12).T)


def test_the_annotations_are_found_by_the_name_of_the_photograph(tmp_path):
    regions = {
        name: {"filename": name, "regions": via_regions([ring])}
        for name, ring in (
            ("right/eye_1.jpg", [(0, 0), (0, 4), (4, 4), (4, 0)]),
            ("left\\eye_1.jpg", RING),
            ("https://far/x/eye_2.png", [(0, 0), (0, 1), (1, 1), (1, 0)]),
        )
    }
    (tmp_path / "via.json").write_text(json.dumps(regions))

    def area(source):
        (region,) = read_regions(tmp_path / "via.json", image=photograph(source))
        return region.mask.sum()

    assert area("data/right/eye_1.jpg") == 16
    assert area("data/left/eye_1.jpg") == F.sum()
    assert area("eye_2.tif") == 1
    with pytest.raises(ImageError, match=r"one has this file's name, but other folders.*annotates"):
        area("eye_1.jpg")
    with pytest.raises(ImageError, match=r"3 others \(it annotates right/"):
        area("eye_3.jpg")
    with pytest.raises(ImageError, match=r"annotations of 3 pictures; pass image="):
        read_regions(tmp_path / "via.json")


def test_marks_of_one_label_are_joined_and_codes_spelled_out(tmp_path):
    told = [
        {"category_id": 1, "bbox": [0, 0, 2, 1]},
        {"category_id": 2, "bbox": [5, 5, 1, 1]},
        {"category_id": 3, "segmentation": [[4, 0, 6, 0, 6, 1, 4, 1], [8, 0, 9, 0, 9, 1, 8, 1]]},
    ]
    coco(tmp_path / "c.json", "eye_1.jpg", F.shape, told, ("MA", "laser", "microaneurysms"))

    one, other = read_regions(tmp_path / "c.json", image=photograph(), names={"laser": "scars"})

    assert [one.name, other.name] == ["microaneurysms", "scars"]
    assert np.argwhere(one.mask)[:, 1].tolist() == [0, 1, 4, 5, 8]
    assert one.facts == {"format": "COCO", "shape": "box, outline", "marks": 3}


def test_each_grader_of_a_labelbox_export_is_kept(tmp_path):
    def drawn(column):
        return [{"name": "MA", "bounding_box": {"top": 0, "left": column, "height": 2, "width": 2}}]

    row = labelbox_row("eye_1.jpg", F.shape, drawn(0), "anna")
    for grader, column in (("ben", 0), ("carla", 1)):
        row["projects"]["p1"]["labels"] += labelbox_row(
            "eye_1.jpg", F.shape, drawn(column), grader
        )["projects"]["p1"]["labels"]
    path = tmp_path / "export.ndjson"
    path.write_text(json.dumps(row))

    assert [r.grader for r in read_regions(path, image=photograph())] == ["anna", "ben", "carla"]
    (carla,) = read_regions(path, image=photograph(), grader="carla")
    assert np.argwhere(carla.mask)[:, 1].tolist() == [1, 2, 1, 2]
    (agreed,) = read_regions(path, image=photograph(), consensus="majority")
    assert np.argwhere(agreed.mask)[:, 1].tolist() == [0, 1, 0, 1]
    with pytest.raises(ImageError, match="nothing of the grader 'dora'; it has anna, ben, carla"):
        read_regions(path, image=photograph(), grader="dora")


def test_graders_may_have_a_folder_each(tmp_path):
    for grader, ring in (("anna", RING), ("ben", [(0, 0), (0, 1), (1, 1), (1, 0)])):
        (tmp_path / grader).mkdir()
        asap(tmp_path / grader / "eye_1.xml", "", [ring], F)

    regions = read_regions(tmp_path / "{grader}" / "{stem}.xml", image=photograph())

    assert [(r.grader, r.mask.sum()) for r in regions] == [("anna", F.sum()), ("ben", 1)]


def test_the_names_of_itk_snap_name_the_values_of_a_label_image(tmp_path):
    (tmp_path / "labels.txt").write_text(
        "################################################\n# ITK-SnAP Label Description File\n"
        '    0     0    0    0        0  0  0    "Clear Label"\n'
        '    1   255    0    0        1  1  1    "optic disc"\n'
        '    2     0  255    0      0.5  1  0    "cup, (inner) part"\n'
    )
    labels = read_labels(tmp_path / "labels.txt")
    itk(tmp_path / "eye_1.nii.gz", "", [], F + BLOCK.astype(int))

    disc, cup = read_regions(tmp_path / "eye_1.nii.gz", image=photograph(), labels=labels)

    assert labels == {0: None, 1: "optic disc", 2: "cup, (inner) part"}
    np.testing.assert_array_equal(cup.mask, F & BLOCK)
    np.testing.assert_array_equal(disc.mask, F ^ BLOCK)
    assert (disc.name, disc.kind, cup.name) == ("optic disc", "anatomy", "cup, (inner) part")


def test_the_section_of_a_volume_has_its_own_part_of_a_label_image(tmp_path):
    values = np.stack([F * 0, F, ~F]).astype(np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "srf.nii.gz"))
    second = photograph("volume.vol", section=2, sections=3)

    (region,) = read_regions(tmp_path / "srf.nii.gz", image=second)

    np.testing.assert_array_equal(region.mask, F)
    assert region.name == "subretinal fluid"
    with pytest.raises(ImageError, match="holds 3 sections; pass as image= a section"):
        read_regions(tmp_path / "srf.nii.gz", image=photograph())


def test_a_segmentation_is_found_by_the_object_that_it_refers_to(tmp_path):
    first, second = (dicom_source(F.shape, f"1.2.3.{number}") for number in (1, 2))
    second.SeriesInstanceUID, second.StudyInstanceUID = first.SeriesInstanceUID, "1.2.3.1.1"
    second.FrameOfReferenceUID, second.ImagePositionPatient = first.FrameOfReferenceUID, [0, 0, 1]
    dicom_seg(
        tmp_path / "seg.dcm", [first, second], np.stack([F, ~F]).astype(np.uint8), creator="Eye^A"
    )
    for source in (first, second):
        source.save_as(tmp_path / f"{source.SOPInstanceUID}.dcm", enforce_file_format=True)

    (one,) = read_regions(tmp_path / "seg.dcm", image=photograph(tmp_path / "1.2.3.1.dcm"))
    (other,) = read_regions(tmp_path / "seg.dcm", image=photograph(tmp_path / "1.2.3.2.dcm"))

    np.testing.assert_array_equal(one.mask, F)
    np.testing.assert_array_equal(other.mask, ~F)
    assert (one.grader, one.facts["format"]) == ("Eye^A", "DICOM SEG")
    first.SOPInstanceUID = "1.2.3.7"
    first.save_as(tmp_path / "stranger.dcm", enforce_file_format=True)
    with pytest.raises(
        ImageError, match=r"annotates SOP instance 1.2.3.\d, SOP instance 1.2.3.\d\)$"
    ):
        read_regions(tmp_path / "seg.dcm", image=photograph(tmp_path / "stranger.dcm"))


@pytest.mark.parametrize(
    ("names", "source", "found"),
    [
        pytest.param(["anna/1.jpg", "ben/1.jpg"], "x/ben/1.jpg", 1, id="the folder decides"),
        pytest.param(["anna/1.jpg"], "x/ben/1.jpg", None, id="another patient's"),
        pytest.param(["1.jpg", "anna/1.jpg"], "x/anna/1.jpg", 1, id="the longest path"),
        pytest.param(["1.jpg", "anna/1.jpg"], "x/ben/1.jpg", 0, id="no folder fits any"),
        pytest.param(["a/b/1.jpg", "c/b/1.jpg"], "x/c/b/1.jpg", 1, id="folders above it"),
        pytest.param(["anna/1.jpg"], "x/joanna/1.jpg", None, id="whole folders"),
        pytest.param(["..\\anna\\1.png"], "x/anna/1.jpg", 0, id="converted, on Windows"),
        pytest.param(["anna/1.jpg", "./anna/1.jpg"], "x/anna/1.jpg", "2 times", id="twice"),
    ],
)  # fmt: skip
def test_the_longest_path_that_is_the_photographs_own_decides(tmp_path, names, source, found):
    told = {
        str(number): {"filename": name, "regions": via_regions([RING] * (number + 1))}
        for number, name in enumerate(names)
    }
    (tmp_path / "via.json").write_text(json.dumps(told))
    if isinstance(found, int):
        (region,) = read_regions(tmp_path / "via.json", image=photograph(source))
        assert region.facts["marks"] == found + 1
        return
    with pytest.raises(ImageError, match=found or "does not mention") as error:
        read_regions(tmp_path / "via.json", image=photograph(source))
    assert "anna" in str(error.value)  # who reads them may know
    assert "anna" not in str(error.value.__cause__)  # what goes into a run


def test_marks_on_a_photograph_that_was_turned_are_told(tmp_path):
    (tmp_path / "via.json").write_text(
        json.dumps({"a": {"filename": "eye_1.jpg", "regions": via_regions([RING])}})
    )
    with pytest.warns(
        FovealWarning, match="EXIF orientation; marks are taken as drawn on it upright"
    ):
        (region,) = read_regions(tmp_path / "via.json", image=photograph(orientation=3))
    np.testing.assert_array_equal(region.mask, F)


def test_sections_of_a_segmentation_are_not_laid_over_each_other(tmp_path):
    first, second = (dicom_source(F.shape, f"1.2.3.{number}") for number in (1, 2))
    second.SeriesInstanceUID, second.StudyInstanceUID = first.SeriesInstanceUID, "1.2.3.1.1"
    second.FrameOfReferenceUID, second.ImagePositionPatient = first.FrameOfReferenceUID, [0, 0, 1]
    dicom_seg(tmp_path / "s.dcm", [first, second], np.stack([F, ~F]).astype(np.uint8))
    made = pydicom.dcmread(tmp_path / "s.dcm")
    for groups in made.PerFrameFunctionalGroupsSequence:  # both of one object, of no frame of it
        groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    made.save_as(tmp_path / "s.dcm")
    with pytest.raises(ImageError, match="several frames of segment 1"):
        read_regions(tmp_path / "s.dcm", image=photograph())


@pytest.mark.parametrize(("threshold", "least"), [(None, 128), (0.25, 64)])
def test_a_fractional_segmentation_is_cut_where_asked(tmp_path, threshold, least):
    shares = (np.arange(F.size).reshape(F.shape) / F.size).astype(np.float32)
    dicom_seg(tmp_path / "s.dcm", [dicom_source(F.shape)], shares[np.newaxis], "FRACTIONAL")

    (region,) = read_regions(tmp_path / "s.dcm", image=photograph(), threshold=threshold)

    np.testing.assert_array_equal(region.mask, np.around(shares * 255) >= least)
    assert region.facts["threshold"] == (threshold or 0.5)


def test_a_label_map_segmentation_has_a_mask_for_each_segment(tmp_path):
    values = (F + 2 * (BLOCK & ~F)).astype(np.uint8)
    source = [dicom_source(F.shape)]
    dicom_seg(tmp_path / "s.dcm", source, values[np.newaxis], "LABELMAP", ("MA", "EX"))

    one, other = read_regions(tmp_path / "s.dcm", image=photograph())

    np.testing.assert_array_equal(one.mask, F)
    np.testing.assert_array_equal(other.mask, BLOCK & ~F)


def test_marks_beyond_the_picture_are_cut_off_and_told(tmp_path):
    coco(tmp_path / "c.json", "eye_1.jpg", F.shape, [{"bbox": [-5, 9, 9, 40]}])

    with pytest.warns(FovealWarning, match="1 of 1 marks of 'microaneurysms' found beyond the pic"):
        (region,) = read_regions(tmp_path / "c.json", image=photograph())

    expected = np.zeros_like(F)
    expected[9:, :4] = True
    np.testing.assert_array_equal(region.mask, expected)


def test_an_outline_that_runs_over_itself_is_even_and_odd_and_told(tmp_path):
    """A path that winds twice around rows and columns 2 to 3, once around 0 to 5."""
    twice = [(0, 0), (0, 6), (6, 6), (6, 0), (0, 0), (2, 2), (2, 4), (4, 4), (4, 2), (2, 2)]
    asap(tmp_path / "a.xml", "", [twice], F)

    with pytest.warns(FovealWarning, match="running over themselves"):
        (region,) = read_regions(tmp_path / "a.xml", image=photograph())

    expected = np.zeros_like(F)
    expected[:6, :6] = True
    expected[2:4, 2:4] = False
    np.testing.assert_array_equal(region.mask, expected)


def test_a_mark_between_the_centres_of_pixels_is_told(tmp_path):
    asap(tmp_path / "a.xml", "", [[(2.6, 2.6), (2.6, 3.4), (3.4, 3.4), (3.4, 2.6)]], F)

    with pytest.warns(FovealWarning, match="without a pixel"):
        (region,) = read_regions(tmp_path / "a.xml", image=photograph())

    assert not region.mask.any()
