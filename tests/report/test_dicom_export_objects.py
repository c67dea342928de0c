"""What is written is valid, refers to its source, and reads back to the same values."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import dicom_sources
import highdicom
import numpy as np
import pydicom
import pytest
from dicom_sources import COLUMNS, MAKER, ROWS, STORED, explanation, values
from highdicom._standard_utils import (
    get_iod_module_map,
    get_module_attribute_map,
    get_sop_class_iod_map,
)
from pydicom.dataset import Dataset
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import RLELossless

from foveal.report.dicom import Explanation, source_of
from foveal.report.dicom.building import KINDS, objects_of
from foveal.report.dicom.geometry import derived_frame
from foveal.synthetic.dicom import ophthalmic_photograph

SOURCES = tuple(dicom_sources.sources())
ONE_FRAME = [name for name in SOURCES if "volume" not in name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All objects of all sources, written by the product and read by the tests."""
    folder = tmp_path_factory.mktemp("dicom")
    for name, (dataset, frames) in dicom_sources.sources().items():
        (folder / name).mkdir()
        for made in objects_of(source_of(dataset), [explanation(frames)], MAKER):
            made.dataset.save_as(folder / name / made.name, enforce_file_format=True)
    return folder


def read(folder: Path, name: str, kind: str) -> Dataset:
    return pydicom.dcmread(folder / name / f"{kind}-001.dcm")


@pytest.mark.parametrize("name", SOURCES)
def test_dciodvfy_finds_no_error(folder, name):
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy of dicom3tools is not installed: the objects were not validated")
    for path in sorted((folder / name).iterdir()):
        ran = subprocess.run([program, "-new", path], capture_output=True, text=True, check=False)
        said = (ran.stdout + ran.stderr).splitlines()
        assert [line for line in said if line.startswith("Error")] == [], path.name
        assert said, "it says at least what the object is"


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_attribute_of_type_1_has_a_value_and_of_type_2_is_there(folder, name, kind):
    made = read(folder, name, kind)
    assert list(lacking(made)) == []


def lacking(made: Dataset):
    """By the module map of the standard that comes with highdicom, at the root of the object."""
    modules = get_module_attribute_map()
    checked = 0
    for module in get_iod_module_map()[get_sop_class_iod_map()[made.SOPClassUID]]:
        # What the last one asks for belongs to single items of the content, by their type.
        if module["usage"] != "M" or module["key"] == "sr-document-content":
            continue
        for attribute in modules[module["key"]]:
            keyword, kind = attribute["keyword"], attribute["type"]
            if attribute["path"] or kind not in ("1", "2"):
                continue
            checked += 1
            if keyword not in made or (kind == "1" and made[keyword].is_empty):
                yield module["key"], keyword, kind
    assert checked > 20


def test_that_check_notices_what_is_missing(folder):
    made = read(folder, "photograph", "2-segments")
    del made.ContentLabel
    made.SegmentSequence = []
    del made.PatientID
    assert {keyword for _, keyword, _ in lacking(made)} >= {"ContentLabel", "PatientID"}


@pytest.mark.parametrize("name", SOURCES)
def test_objects_join_the_study_of_their_source_and_refer_to_it(folder, name):
    dataset, _ = dicom_sources.sources()[name]
    series = []
    for kind in KINDS:
        made = read(folder, name, kind)
        assert made.StudyInstanceUID == dataset.StudyInstanceUID
        assert made.PatientID == dataset.PatientID
        assert "NOT FOR DIAGNOSIS" in made.SeriesDescription
        places = made.get("ReferencedSeriesSequence") or (
            made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        )
        assert [place.SeriesInstanceUID for place in places] == [dataset.SeriesInstanceUID]
        series.append(made.SeriesInstanceUID)
    assert len({*series, dataset.SeriesInstanceUID}) == len(KINDS) + 1
    assert [read(folder, name, kind).SeriesNumber for kind in KINDS] == list(range(9001, 9006))


@pytest.mark.parametrize("name", SOURCES)
def test_the_map_is_the_raw_values_bit_for_bit(folder, name):
    _, frames = dicom_sources.sources()[name]
    made = read(folder, name, "4-map")
    stored = made.pixel_array.reshape(-1, ROWS, COLUMNS)
    order = [source_frame(made, at) or 1 for at in range(len(stored))]
    assert sorted(order) == frames
    wanted = np.stack([values(frame) for frame in order])
    assert stored.dtype == np.float32
    assert stored.tobytes() == wanted.tobytes()
    again = highdicom.imread(folder / name / "4-map-001.dcm").get_frames(dtype=np.float32)
    assert again.tobytes() == wanted.tobytes()


def source_frame(made: Dataset, at: int) -> int | None:
    group = made.PerFrameFunctionalGroupsSequence[at]
    image = group.DerivationImageSequence[0].SourceImageSequence[0]
    assert image.SpatialLocationsPreserved == "YES"
    return image.get("ReferencedFrameNumber")


@pytest.mark.parametrize("name", SOURCES)
def test_segments_hold_the_strongest_pixels_of_what_was_seen(folder, name):
    dataset, frames = dicom_sources.sources()[name]
    stored = segments(folder, name, "2-segments", dataset, frames)
    seen = np.stack([values(frame)[:, :-2] for frame in frames])
    descending = np.sort(seen.ravel())[::-1]
    for segment, share in enumerate((0.05, 0.20)):
        got = stored[..., :-2, segment].astype(bool)
        count = int(got.sum())
        assert abs(count - share * seen.size) <= 1
        assert sorted(seen[got], reverse=True) == descending[:count].tolist()
        assert not stored[..., -2:, segment].any(), "the model saw nothing there"


@pytest.mark.parametrize("name", SOURCES)
def test_strength_is_the_place_on_the_scale_within_half_a_level(folder, name):
    dataset, frames = dicom_sources.sources()[name]
    stored = segments(folder, name, "3-strength", dataset, frames)[..., 0]
    raw = np.stack([values(frame) for frame in frames])
    wanted = np.clip(raw, 0, None) / raw.max()
    wanted[..., -2:] = 0
    assert np.abs(stored - wanted).max() <= 0.5 / 255 + 1e-6


def segments(folder, name, kind, dataset, frames) -> np.ndarray:
    """As highdicom finds them by the source's own frames."""
    read_back = highdicom.seg.segread(folder / name / f"{kind}-001.dcm")
    by = {"combine_segments": False, "rescale_fractional": True}
    if name == "capture":
        return read_back.get_pixels_by_source_instance([dataset.SOPInstanceUID], **by)
    return read_back.get_pixels_by_source_frame(dataset.SOPInstanceUID, frames, **by)


def test_segments_of_a_volume_lie_where_its_sections_lie(folder):
    volume = highdicom.seg.segread(folder / "volume" / "2-segments-001.dcm").get_volume(
        segment_numbers=[1]
    )
    assert volume.spatial_shape == (4, ROWS, COLUMNS)
    assert volume.spacing == pytest.approx((0.125, 0.0039, 0.0117))
    dataset, _ = dicom_sources.sources()["volume"]
    assert volume.frame_of_reference_uid == dataset.FrameOfReferenceUID
    # Frame n of the file is section STORED[n], which lies at 0.125 mm times its number.
    for number, section in enumerate(STORED, start=1):
        (index,) = volume.map_reference_to_indices(np.array([[0.0, section * 0.125, 0.0]]))
        mask = volume.array[round(index[0]), :, :, 0]
        raw = values(number)[:, :-2]
        every = np.stack([values(frame)[:, :-2] for frame in range(1, 5)])
        border = np.sort(every.ravel())[-round(0.05 * every.size)]
        assert (mask[:, :-2].astype(bool) == (raw >= border)).mean() > 0.999


@pytest.mark.parametrize("name", ONE_FRAME)
def test_a_place_that_the_source_does_not_state_is_nominal_and_said_to_be(folder, name):
    dataset, _ = dicom_sources.sources()[name]
    for kind in ("2-segments", "3-strength", "4-map"):
        made = read(folder, name, kind)
        assert made.FrameOfReferenceUID == derived_frame(dataset)
        assert made.FrameOfReferenceUID.startswith("2.25.")
        assert len(made.FrameOfReferenceUID) <= 64
        assert made.ContentDescription.startswith("Nominal")
        (measures,) = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
        spacing = [0.02, 0.03] if name == "photograph-with-spacing" else [1, 1]
        assert list(measures.PixelSpacing) == spacing
        assert "no pixel spacing" in made.ContentDescription or spacing == [0.02, 0.03]
        assert measures.SliceThickness is not None


@pytest.mark.parametrize("name", SOURCES)
def test_the_picture_is_derived_names_the_eye_and_burns_no_identity_in(folder, name):
    made = read(folder, name, "1-picture")
    dataset, _ = dicom_sources.sources()[name]
    assert made.ImageType[0] == "DERIVED"
    assert made.BurnedInAnnotation == dataset.BurnedInAnnotation == "NO"
    assert made.Laterality == read(folder, name, "4-map").Laterality == "R"
    assert "not for diagnosis" in made.DerivationDescription
    pixels = made.pixel_array
    assert pixels.dtype == np.uint8
    assert max(pixels.shape[:2]) >= 512
    warning = pixels[: round(1.8 * 13)].reshape(-1, 3)
    assert (np.abs(warning - [255, 208, 92]).max(axis=1) < 40).any(), "words above the picture"


@pytest.mark.parametrize("seen_by", ["pydicom", "highdicom"])
def test_the_report_holds_the_numbers_their_chance_the_reasons_and_the_finding(folder, seen_by):
    path = folder / "two-frames-of-a-volume" / "5-numbers-001.dcm"
    if seen_by == "highdicom":
        report = highdicom.sr.srread(path)
        groups = report.content.get_image_measurement_groups()
        assert len(groups) == 6
        numbers = [float(m.value) for g in groups for m in g.get_measurements()]
        assert sorted(set(numbers)) == [0.03125, 0.34375, 0.421875]
        return
    found = dict(items(pydicom.dcmread(path)))
    assert found[("99FOVEAL", "relevance_mass")] == {0.421875, "empty_mask"}
    assert found[("99FOVEAL", "relevance_mass.chance")] == {0.03125}
    assert found[("99FOVEAL", "deletion_auc")] == {0.34375}
    assert found[("99FOVEAL", "FINDING")] == {"PLAUSIBLE_NOT_FAITHFUL"}
    assert found[("99FOVEAL", "REGION")] == {"hard exudates", "soft exudates"}
    assert found[("99FOVEAL", "NEXT_STEP")] == {"measure with level full"}
    comments = found[("DCM", "121106")]
    assert any("model does not depend on where it points" in text for text in comments)
    assert "AI explanation - not for diagnosis" in comments


def items(report: Dataset):
    """Each concept of the content with all its values."""
    found: dict[tuple[str, str], set[object]] = {}

    def walk(item: Dataset) -> None:
        if "ConceptNameCodeSequence" in item:
            found.setdefault(code(item.ConceptNameCodeSequence[0]), set()).add(value(item))
        for child in item.get("ContentSequence", []):
            walk(child)

    walk(report)
    return found.items()


def code(item: Dataset) -> tuple[str, str]:
    long = item.get("LongCodeValue")
    return str(item.CodingSchemeDesignator), str(long or item.CodeValue)


def value(item: Dataset) -> object:
    if "MeasuredValueSequence" in item:
        return float(item.MeasuredValueSequence[0].NumericValue)
    if "ConceptCodeSequence" in item:
        return code(item.ConceptCodeSequence[0])[1]
    return item.get("TextValue")


def test_a_source_is_not_changed_by_what_is_made_of_it():
    for name in ("photograph", "two-frames-of-a-volume"):
        dataset, frames = dicom_sources.sources()[name]
        before = dataset.to_json()
        list(objects_of(source_of(dataset), [explanation(frames)], MAKER))
        assert dataset.to_json() == before


def test_a_map_without_values_has_its_numbers_alone():
    shown = explanation([1])
    empty = dicom_sources.without_map(shown)
    dataset, _ = dicom_sources.sources()["photograph"]
    made = list(objects_of(source_of(dataset), [empty], MAKER))
    assert [one.name for one in made] == ["5-numbers-001.dcm"]
    assert dict(items(made[0].dataset))[("99FOVEAL", "NO_MAP")] == {"zero_map"}


@pytest.mark.parametrize(
    ("frames", "says"), [([5], "frames 1 to 4"), ([1, 1], "each once"), ([], "each once")]
)
def test_a_frame_that_the_source_lacks_is_refused(frames, says):
    dataset, _ = dicom_sources.sources()["volume"]
    with pytest.raises(ValueError, match=says):
        list(objects_of(source_of(dataset), [explanation(frames)], MAKER))


def test_another_grid_than_the_source_has_is_refused():
    dataset, _ = dicom_sources.sources()["photograph"]
    dataset.Rows = 2 * ROWS
    with pytest.raises(ValueError, match="carry it onto the source's pixels"):
        list(objects_of(source_of(dataset), [explanation([1])], MAKER))


@pytest.mark.parametrize(
    ("characters", "name"),
    [
        pytest.param(["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", id="Japanese"),
        pytest.param(["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", id="Korean"),
        pytest.param("GB18030", "Wang^XiaoDong=王^小东", id="Chinese"),
        pytest.param("ISO_IR 144", "Иванова^Анна", id="Russian"),
        pytest.param("ISO_IR 100", "Müller^Änne", id="Western European"),
        pytest.param(None, "Miller^Ann", id="not stated"),
    ],
)
@pytest.mark.parametrize("kind", ["1-picture", "2-segments", "4-map", "5-numbers"])
def test_a_patient_has_the_same_name_in_whatever_characters(tmp_path, characters, name, kind):
    written = ophthalmic_photograph(
        dicom_sources.colours(), PatientName=name, SpecificCharacterSet=characters
    )
    written.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    source = source_of(pydicom.dcmread(tmp_path / "a.dcm"))
    made = {m.name: m.dataset for m in objects_of(source, [explanation([1])], MAKER)}
    made[f"{kind}-001.dcm"].save_as(tmp_path / "b.dcm", enforce_file_format=True)
    again = pydicom.dcmread(tmp_path / "b.dcm")
    assert (again.PatientName, again.SpecificCharacterSet) == (name, "ISO_IR 192")


def test_a_map_of_which_the_model_saw_nothing_has_empty_segments():
    (shown,) = explanation([1]).frames
    unseen = Explanation(frames=[replace(shown, seen=np.zeros((ROWS, COLUMNS), bool))])
    assert unseen.scale is not None
    assert not unseen.strongest(unseen.scale, 0.05).any()


def test_no_encoder_is_asked_that_ends_the_process(monkeypatch):
    def ends_the_process(*_: object) -> bytes:
        raise AssertionError("gdcm was asked for frames of an odd number of pixels")

    monkeypatch.setattr(RLELosslessEncoder, "_available", {"gdcm": ends_the_process, **_ENCODERS})
    names = {
        made.dataset.file_meta.TransferSyntaxUID: made.name
        for made in objects_of(
            source_of(ophthalmic_photograph(dicom_sources.colours())), [explanation([1])], MAKER
        )
    }
    assert names[RLELossless] == "3-strength-001.dcm"


_ENCODERS = dict(RLELosslessEncoder._available)
