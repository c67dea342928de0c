"""Ophthalmic Tomography: whatever the order of frames and files, sections come as they lie."""

import numpy as np
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from foveal.core import FovealWarning, ImageError
from foveal.images import read, read_volume
from foveal.synthetic.dicom import (
    ophthalmic_photograph,
    ophthalmic_tomography,
    volume_analysis,
)
from foveal.synthetic.dicom.header import item

RNG = np.random.default_rng(0)
SECTIONS = RNG.integers(0, 256, (5, 12, 16), dtype=np.uint8)
FUNDUS = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
PLACES = np.array([[[8 + 4.0 * n, 5.5], [8 + 4.0 * n, 44.25]] for n in range(5)])
SHUFFLED = [0, 3, 1, 2, 4]

shuffles = pytest.mark.filterwarnings("ignore:the sections lie in another order")


def saved(folder, dataset, name="scan.dcm"):
    path = folder / name
    dataset.save_as(path, enforce_file_format=True)
    return path


def levels(sections, full_scale=255):
    return sections[:, np.newaxis] / full_scale


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLosslessSV1, JPEG2000Lossless])
@pytest.mark.parametrize("write", [ophthalmic_tomography, volume_analysis])
@shuffles
def test_sections_come_in_the_order_in_which_they_lie(tmp_path, write, syntax):
    given = {} if syntax is None else {"transfer_syntax": syntax}
    dataset = write(SECTIONS, stored=SHUFFLED, laterality="L", slice_spacing_mm=0.25, **given)

    volume = read_volume(saved(tmp_path, dataset))

    np.testing.assert_allclose(volume.pixels, levels(SECTIONS), atol=2e-6)
    assert volume.spacing_mm == (0.0039, 0.0117)
    assert volume.slice_spacing_mm == pytest.approx(0.25)
    assert (volume.laterality, volume.eye) == ("left", "P001/left")
    assert volume.modality == "oct"
    assert volume.facts["order"] == "by the places in the file"


def test_frames_that_stand_in_another_order_are_warned_about(tmp_path):
    dataset = ophthalmic_tomography(SECTIONS, stored=SHUFFLED)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.FrameContentSequence

    with pytest.warns(FovealWarning, match="another order"):
        volume = read_volume(saved(tmp_path, dataset))
    np.testing.assert_allclose(volume.pixels, levels(SECTIONS), atol=2e-6)


def test_16_bit_sections_span_their_range(tmp_path):
    sections = RNG.integers(0, 65536, (3, 8, 10), dtype=np.uint16)

    volume = read_volume(saved(tmp_path, ophthalmic_tomography(sections)))

    np.testing.assert_allclose(volume.pixels, levels(sections, 65535), rtol=2e-7)
    assert volume.facts["bit_depth"] == 16
    assert volume.facts["window"] == "full range 0 to 65535"


@pytest.mark.parametrize("stack", [True, False])
def test_without_positions_the_localizer_orders_the_sections(tmp_path, stack):
    fundus = ophthalmic_photograph(FUNDUS)
    dataset = ophthalmic_tomography(SECTIONS, stored=SHUFFLED, localizer=fundus, places=PLACES)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        if not stack:
            del frame.FrameContentSequence
        del frame.PlanePositionSequence
    saved(tmp_path, fundus, "fundus.dcm")

    with pytest.warns(FovealWarning, match="another order"):
        volume = read_volume(saved(tmp_path, dataset))

    np.testing.assert_allclose(volume.pixels, levels(SECTIONS), atol=2e-6)
    np.testing.assert_allclose(volume.places, PLACES)
    assert volume.slice_spacing_mm is None  # places in pixels measure nothing


@shuffles
def test_the_localizer_comes_along_where_it_lies_in_the_same_folder(tmp_path):
    fundus = ophthalmic_photograph(FUNDUS, spacing_mm=(0.01, 0.01))
    dataset = ophthalmic_tomography(SECTIONS, stored=SHUFFLED, localizer=fundus, places=PLACES)
    path = saved(tmp_path, dataset)

    alone = read_volume(path)
    saved(tmp_path, ophthalmic_photograph(FUNDUS[::-1].copy()), "another.dcm")
    saved(tmp_path, fundus, "fundus.dcm")
    together = read_volume(path)
    part = read_volume(path, sections=(2, 3))

    assert alone.localizer is None
    assert alone.places is None
    np.testing.assert_allclose(
        together.localizer.pixels, np.moveaxis(FUNDUS, -1, 0) / 255, rtol=2e-7
    )
    np.testing.assert_allclose(together.places, PLACES)
    np.testing.assert_allclose(part.places, PLACES[1:3])
    np.testing.assert_allclose(part.pixels, levels(SECTIONS)[1:3], atol=2e-6)
    assert part.slice_spacing_mm == pytest.approx(0.12)


@shuffles
def test_a_tilted_scan_is_measured_along_its_own_normal(tmp_path):
    dataset = ophthalmic_tomography(SECTIONS, stored=SHUFFLED, slice_spacing_mm=0.2)
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        place.ImagePositionPatient = list(turn @ np.array(place.ImagePositionPatient, float))
    shared = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    axes = np.array(shared.ImageOrientationPatient, float).reshape(2, 3)
    shared.ImageOrientationPatient = list((axes @ turn.T).ravel())

    volume = read_volume(saved(tmp_path, dataset))

    np.testing.assert_allclose(volume.pixels, levels(SECTIONS), atol=2e-6)
    assert volume.slice_spacing_mm == pytest.approx(0.2)


def test_positions_that_are_all_the_same_mean_nothing(tmp_path):
    dataset = ophthalmic_tomography(SECTIONS)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]

    volume = read_volume(saved(tmp_path, dataset))

    assert volume.slice_spacing_mm is None
    assert "does not say" in volume.facts["order"]


def test_spacing_between_slices_serves_where_there_are_no_positions(tmp_path):
    dataset = ophthalmic_tomography(SECTIONS)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = 0.31

    assert read_volume(saved(tmp_path, dataset)).slice_spacing_mm == pytest.approx(0.31)


@shuffles
def test_a_folder_of_single_sections_is_one_scan(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for name, index in zip("abcde", SHUFFLED, strict=True):
        single = ophthalmic_tomography(SECTIONS[index : index + 1])
        frame = single.PerFrameFunctionalGroupsSequence[0]
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0.12 * index, 0]
        saved(folder, single, name)

    volume = read_volume(folder)

    np.testing.assert_allclose(volume.pixels, levels(SECTIONS), atol=2e-6)
    assert volume.slice_spacing_mm == pytest.approx(0.12)


@shuffles
def test_one_section_is_an_image(tmp_path):
    path = saved(tmp_path, ophthalmic_tomography(SECTIONS, stored=SHUFFLED))

    image = read(path, frame=2)

    np.testing.assert_allclose(image.pixels[0], SECTIONS[SHUFFLED[1]] / 255, atol=2e-6)
    assert (image.modality, image.laterality) == ("oct", "right")
    assert image.spacing_mm == (0.0039, 0.0117)
    with pytest.raises(ImageError, match=r"volume of 5 sections; read it with foveal\.read_volume"):
        read(path)


def of_both_eyes(dataset):
    shared = dataset.SharedFunctionalGroupsSequence[0]
    del dataset.ImageLaterality, shared.FrameAnatomySequence
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.FrameAnatomySequence = [item(FrameLaterality="RL"[number > 2])]


def of_one_place(dataset):
    frames = dataset.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence


def of_too_many(dataset):
    dataset.NumberOfFrames = 10**9


REFUSED = [
    pytest.param(of_both_eyes, r"more than one eye \(left, right\)", id="two eyes"),
    pytest.param(of_one_place, "at the same place", id="one place twice"),
    pytest.param(of_too_many, "1000000000 sections, more than 20000", id="absurdly many"),
]


@pytest.mark.filterwarnings("ignore:the header contradicts itself")
@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_no_scan_of_one_eye_is_refused(tmp_path, change, message):
    dataset = ophthalmic_tomography(SECTIONS)
    change(dataset)

    with pytest.raises(ImageError, match=message):
        read_volume(saved(tmp_path, dataset), sections=(1, 1))


def test_a_large_volume_is_refused_by_its_header(tmp_path):
    path = saved(tmp_path, ophthalmic_tomography(SECTIONS))

    with pytest.raises(ImageError, match=r"5 x 12 x 16 .*more than the 900 pixels"):
        read_volume(path, max_pixels=900)


def test_a_picture_is_no_volume(tmp_path):
    path = saved(tmp_path, ophthalmic_photograph(FUNDUS))

    with pytest.raises(ImageError, match=r"is a picture; read it with foveal\.read"):
        read_volume(path)


def test_a_folder_of_two_scans_is_refused(tmp_path):
    for name, side in (("a", "R"), ("b", "L")):
        saved(tmp_path, ophthalmic_tomography(SECTIONS, laterality=side), name)

    with pytest.raises(ImageError, match="holds 2 DICOM volumes"):
        read_volume(tmp_path)


def test_sections_whose_spacing_differs_have_none(tmp_path):
    dataset = ophthalmic_tomography(SECTIONS)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    del shared.PixelMeasuresSequence
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.PixelMeasuresSequence = [
            item(PixelSpacing=[0.004 + 0.001 * number, 0.01], SliceThickness=0.1)
        ]

    with pytest.warns(FovealWarning, match="differ in their spacing"):
        volume = read_volume(saved(tmp_path, dataset))
    assert volume.spacing_mm is None


@pytest.mark.filterwarnings("ignore")  # pydicom tells what it finds odd
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless])
def test_whatever_is_wrong_in_a_volume_the_answer_is_a_volume_or_an_image_error(tmp_path, syntax):
    fundus = ophthalmic_photograph(FUNDUS)
    path = saved(
        tmp_path,
        ophthalmic_tomography(SECTIONS, localizer=fundus, places=PLACES, transfer_syntax=syntax),
    )
    whole, outcomes, random = path.read_bytes(), set(), np.random.default_rng(1)
    for place in random.integers(132, len(whole) - 4, 12):
        damaged = bytearray(whole)
        damaged[place : place + 4] = random.bytes(4)
        path.write_bytes(damaged)
        try:
            read_volume(path, max_pixels=10_000)
            outcomes.add("read")
        except ImageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_type_of_value_in_the_file_header_is_damage(tmp_path):
    path = saved(tmp_path, ophthalmic_tomography(SECTIONS))
    path.write_bytes(path.read_bytes().replace(b"\x02\x00\x02\x00UI", b"\x02\x00\x02\x00U.", 1))

    with pytest.raises(ImageError, match="not a readable DICOM file"):
        read_volume(path)
