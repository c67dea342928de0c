"""The synthetic objects are DICOM: a validator finds nothing, and everything can be set."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.uid import MPEG2MPML, JPEGBaseline8Bit

from foveal.synthetic.dicom import (
    en_face_image,
    ophthalmic_photograph,
    ophthalmic_tomography,
    photographic_image,
    secondary_capture,
    volume_analysis,
    wide_field_photograph,
)

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (16, 20), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (16, 20), dtype=np.uint16)
RGB8 = RNG.integers(0, 256, (16, 20, 3), dtype=np.uint8)
VOLUME = RNG.integers(0, 256, (3, 8, 10), dtype=np.uint8)
PLACES = np.array([[[4 + n, 1.5], [4 + n, 18.5]] for n in range(3)])

CONCATENATION = (
    "ConcatenationFrameOffsetNumber(0020,9228)> - Attribute present when condition unsatisfied",
    "InConcatenationNumber(0020,9162)> - Attribute present when condition unsatisfied",
    "InConcatenationTotalNumber(0020,9163)> - Cannot be less than or equal to one",
)
"""Of every B-scan volume. Their own module requires these three with 1, 1 and 0 (PS3.3 C.8.17.7,
type 1), the Multi-frame module forbids them outside a concatenation: no object has neither fault.
"""


def tomography():
    photograph = ophthalmic_photograph(RGB8)
    return ophthalmic_tomography(VOLUME, localizer=photograph, places=PLACES, stored=[2, 0, 1])


def en_face():
    return en_face_image(GREY8, source=tomography(), localizer=ophthalmic_photograph(RGB8))


VALID = [
    pytest.param(lambda: ophthalmic_photograph(RGB8, spacing_mm=(0.01, 0.01)), (), id="OP 8 RGB"),
    pytest.param(lambda: ophthalmic_photograph(GREY8, laterality="L"), (), id="OP 8 grey"),
    pytest.param(lambda: ophthalmic_photograph(GREY16, laterality="B"), (), id="OP 16"),
    pytest.param(lambda: ophthalmic_photograph(RGB8, device="slit lamp"), (), id="slit lamp"),
    pytest.param(
        lambda: ophthalmic_photograph(RGB8, transfer_syntax=JPEGBaseline8Bit), (), id="OP JPEG"
    ),
    pytest.param(lambda: secondary_capture(RGB8), (), id="secondary capture"),
    pytest.param(lambda: photographic_image(RGB8), (), id="VL photographic"),
    pytest.param(tomography, CONCATENATION, id="OPT with a localizer"),
    pytest.param(lambda: ophthalmic_tomography(VOLUME), CONCATENATION, id="OPT alone"),
    pytest.param(lambda: volume_analysis(VOLUME), CONCATENATION, id="B-scan volume analysis"),
    pytest.param(
        en_face,
        ("ReferencedSurfaceMeshIdentificationSequence(0022,1620)> - Missing",),
        id="en face",
    ),
]
"""Surface meshes are no longer required of an en face image; the validator is older."""


@pytest.mark.parametrize(("make", "expected"), VALID)
def test_a_validator_finds_nothing_that_the_standard_does_not_ask_for(tmp_path, make, expected):
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    path = tmp_path / "object.dcm"
    make().save_as(path, enforce_file_format=True)

    told = subprocess.run([validator, "-new", path], capture_output=True, text=True, check=False)

    errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
    left = [line for line in errors if not any(known in line for known in expected)]
    assert left == []
    assert len(errors) == len(expected)


@pytest.mark.parametrize("projection", ["stereographic", "3d"])
def test_wide_field_photographs_say_where_their_pixels_lie_on_the_sphere(tmp_path, projection):
    path = tmp_path / "wide.dcm"
    made = wide_field_photograph(RGB8, projection=projection, laterality="L")
    made.save_as(path, enforce_file_format=True)

    read = pydicom.dcmread(path)

    # Type 1 in PS3.3 C.8.17.11 and C.8.17.12; no validator at hand knows these classes.
    own = (
        ["XCoordinatesCenterPixelViewAngle", "YCoordinatesCenterPixelViewAngle"]
        if projection == "stereographic"
        else ["TransformationMethodCodeSequence", "TwoDimensionalToThreeDimensionalMapSequence"]
    )
    for keyword in ("FrameOfReferenceUID", "OphthalmicAxialLength", "ImageLaterality", *own):
        assert read.get(keyword) is not None
    if projection == "3d":
        (mapped,) = read.TwoDimensionalToThreeDimensionalMapSequence
        points = np.frombuffer(mapped.TwoDimensionalToThreeDimensionalMapData, "<f4")
        distances = np.linalg.norm(points.reshape(-1, 5)[:, 2:], axis=1)
        np.testing.assert_allclose(distances, 12, rtol=1e-6)


def test_the_same_call_writes_the_same_object():
    one, other = ophthalmic_photograph(RGB8), ophthalmic_photograph(RGB8)

    assert one == other
    assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID


def test_objects_of_one_visit_share_what_they_should_and_nothing_else():
    right, left = (ophthalmic_photograph(RGB8, laterality=side) for side in "RL")
    later = ophthalmic_photograph(RGB8, study="2")
    other = ophthalmic_photograph(RGB8, patient="P002")
    scan = ophthalmic_tomography(VOLUME)

    assert right.StudyInstanceUID == left.StudyInstanceUID == scan.StudyInstanceUID
    assert right.SeriesInstanceUID == left.SeriesInstanceUID != scan.SeriesInstanceUID
    studies = {one.StudyInstanceUID for one in (right, later, other)}
    instances = {one.SOPInstanceUID for one in (right, left, later, other, scan)}
    assert (len(studies), len(instances)) == (3, 5)
    assert all(len(uid) <= 64 for uid in (*studies, *instances))


def test_every_attribute_can_be_set_and_taken_away():
    made = ophthalmic_photograph(
        RGB8, PatientName="Muster^Anna", SOPInstanceUID="2.25.7", PatientSex=None
    )

    assert str(made.PatientName) == "Muster^Anna"
    assert made.file_meta.MediaStorageSOPInstanceUID == "2.25.7"
    assert "PatientSex" not in made


REFUSED = [
    pytest.param(
        lambda: ophthalmic_photograph(GREY8.astype(np.uint32)), "uint8 or uint16", id="32 bit"
    ),
    pytest.param(lambda: ophthalmic_photograph(RGB8[..., :2]), "row, column", id="two colours"),
    pytest.param(
        lambda: ophthalmic_photograph(GREY8, transfer_syntax=MPEG2MPML), "not written", id="video"
    ),
    pytest.param(
        lambda: ophthalmic_photograph(GREY16, transfer_syntax=JPEGBaseline8Bit),
        "from 8 bit",
        id="16 bit in baseline JPEG",
    ),
    pytest.param(
        lambda: ophthalmic_tomography(VOLUME, stored=[0, 0, 1]), "each of 3 sections", id="order"
    ),
    pytest.param(
        lambda: ophthalmic_tomography(VOLUME, places=PLACES), "need one", id="no localizer"
    ),
    pytest.param(
        lambda: ophthalmic_tomography(
            VOLUME, localizer=ophthalmic_photograph(RGB8), places=PLACES[:2]
        ),
        "of each of 3 sections",
        id="too few places",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_cannot_be_written_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_misspelt_argument_is_no_attribute():
    with pytest.raises(TypeError, match="no argument 'spacing'"):
        ophthalmic_photograph(RGB8, spacing=1)
