"""Nobody planted in a DICOM file survives: attribute by attribute, nested, private and hidden."""

import hashlib
import hmac
import re
import shutil
import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGBaseline8Bit, ParametricMapStorage

from foveal.images import read
from foveal.images.deidentification.dataset import deidentify_dataset
from foveal.images.deidentification.folder import deidentify
from foveal.images.deidentification.key import SecretKey, open_key
from foveal.images.deidentification.profile import Profile
from foveal.images.deidentification.rules import rules
from foveal.synthetic.dicom import (
    ophthalmic_photograph,
    ophthalmic_tomography,
    secondary_capture,
)

KEY = SecretKey(secret=bytes(range(32)), kept=True)
ROOT = "1.2.826.0.1.3680043.777"
TABLE_MODULE = "dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c"
PLANTED = re.compile(rb"zq\d{4}", re.IGNORECASE)
DIM = {"US": 4711, "UL": 471147, "IS": 4711, "DS": "47.110815"}
SIDE = 96


def eye() -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = (rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2 < (0.4 * SIDE) ** 2
    texture = np.random.default_rng(0).integers(90, 200, (SIDE, SIDE, 3))
    return (texture * inside[:, :, None]).astype(np.uint8)


def sentinel(kind: str, number: int) -> object:
    """A value that is valid for its kind and occurs nowhere else."""
    word = f"Zq{number:04}"
    day = date(1600, 1, 1) + timedelta(days=800 * (number % 150))
    values: dict[str, object] = {
        "PN": f"{word}a^{word}b^{word}c", "UI": f"{ROOT}.{number}", "CS": word.upper(), "AE": word,
        "DA": f"{day:%Y%m%d}", "DT": f"{day:%Y%m%d}103000.{number:06}",
        "TM": f"11{number % 60:02}59.{number:06}",
        "AS": "047Y", "OB": f"{word}##".encode(), "UN": f"{word}##".encode(),
        "UR": f"https://{word}.example", **DIM,
    }  # fmt: skip
    return values.get(kind, f"{word} at home")


def planted_items(number: int) -> list[Dataset]:
    item = Dataset()
    item.PatientName = sentinel("PN", number)
    item.ReferencedSOPInstanceUID = sentinel("UI", number)
    item.ImageComments = sentinel("LT", number)
    item.add_new(0x00990010, "LO", sentinel("LO", number))
    item.add_new(0x00991001, "LO", sentinel("LO", number))
    return [item]


def plant_everything(dataset: Dataset) -> list[int]:
    """Every attribute of the table, of its own kind; those below group 8 are of no dataset."""
    tags = sorted(tag for tag in rules() if tag >> 16 >= 8)
    assert len(tags) > 640
    for number, tag in enumerate(tags):
        try:
            kind = dictionary_VR(tag).split(" or ")[0]
        except KeyError:
            kind = "LO"  # newer than pydicom
        value = planted_items(number) if kind == "SQ" else sentinel(kind, number)
        dataset[tag] = DataElement(tag, kind, value)
    dataset.add_new(0x00990010, "LO", "Zq7001 maker")
    dataset.add_new(0x00991001, "LO", "Zq7002 said so")
    dataset.add_new(0x00991002, "SQ", planted_items(7003))
    dataset.add_new(0x00991003, "UN", b"Zq7004##")
    dataset.add_new(0x50000010, "US", 1)
    dataset.add_new(0x50002600, "LO", "Zq7005 curve")
    dataset.add_new(0x60004000, "LT", "Zq7006 overlay")
    dataset.add_new(0x60023000, "OW", b"Zq7007##")
    dataset.add_new(0x00091234, "LO", "Zq7008 private without a block")
    dataset.add_new(0x00081FFE, "LO", "Zq7009 not in the standard")
    dataset.add_new(0x0028A001, "LO", "Zq7010 not in the standard either")
    dataset.add_new(0x00200013, "LO", "Zq7011 in the place of a number")
    dataset.add_new(0x00282000, "OB", b"Zq7012 colour profile#")
    dataset.add_new(0xFFFCFFFC, "OB", b"Zq7013 padding##")
    dataset.add_new(0x00420010, "ST", "Zq7014 free text outside the table")
    return tags


def planted_file(path, **options) -> pydicom.FileDataset:
    dataset = ophthalmic_photograph(eye(), **options)
    kept = {
        word: dataset[word].value
        for word in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    }
    inner = Dataset()
    with_pixels = {word: dataset[word] for word in ("PixelData",)}
    plant_everything(dataset)
    plant_everything(inner)
    deep = Dataset()
    deep.AnatomicRegionModifierSequence = [inner]
    plant_everything(deep)
    dataset.AnatomicRegionSequence = [deep]
    for word, value in kept.items():
        setattr(dataset, word, value)
    dataset.PixelData = with_pixels["PixelData"].value + b"Zq7015 behind the last pixel"
    dataset.preamble = b"Zq7016 preamble".ljust(128, b"\0")
    dataset.file_meta.add_new(0x00020016, "AE", "Zq7017")
    dataset.file_meta.PrivateInformationCreatorUID = f"{ROOT}.9"
    dataset.file_meta.PrivateInformation = b"Zq7018##"
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def leaks(folder) -> list[str]:
    """What of the planted is in any byte or name; without zeros, UTF-16 reads as plain text."""
    found = []
    for path in sorted(folder.rglob("*")):
        data = str(path.relative_to(folder)).encode()
        if path.is_file():
            data += b"|" + path.read_bytes()
        for text in (data, data.replace(b"\0", b"")):
            found += [match.decode() for match in PLANTED.findall(text)]
            found += re.findall(re.escape(ROOT), text.decode("latin-1"))
    return found


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The planted file, de-identified once by each treatment of dates."""
    folder = tmp_path_factory.mktemp("planted")
    there = folder / "in" / "Zq8001 Anna" / "Zq8002"
    there.mkdir(parents=True)
    original = planted_file(there / "Zq8003_OD.dcm")
    assert len(leaks(folder / "in")) > 3000
    done = {
        dates: deidentify(folder / "in", folder / dates, key=folder / "key", dates=dates, keep=keep)
        for dates, keep in (("remove", ()), ("shift", ("age",)))
    }
    files = {dates: next((folder / dates).rglob("*.dcm")) for dates in done}
    return original, folder, {dates: pydicom.dcmread(file) for dates, file in files.items()}


@pytest.mark.parametrize("dates", ["remove", "shift"])
def test_nothing_planted_survives_in_any_byte_or_name(outputs, dates):
    _, folder, _ = outputs
    assert leaks(folder / dates) == []


def test_every_attribute_of_the_table_lost_its_value(outputs):
    original, _, clean = outputs
    unchanged = [
        element.keyword
        for element in original
        if int(element.tag) in rules()
        and clean["remove"].get(element.tag) == element
        and element.VR != "SQ"
    ]
    assert unchanged == []


def test_no_date_survives_and_shifted_ones_keep_their_intervals(outputs):
    original, folder, clean = outputs
    planted = {element.value for element in original.iterall() if element.VR == "DA"}
    data = next((folder / "remove").rglob("*.dcm")).read_bytes()
    assert [day for day in planted if day.encode() in data] == []
    kept = [e for e in original if e.VR == "DA" and "Birth" not in e.keyword]
    assert len(kept) > 40
    moved = {parse(e.value) - parse(clean["shift"][e.tag].value) for e in kept}
    assert moved == {timedelta(days=open_key(folder / "key").days(str(whose(original))))}


def whose(original: Dataset) -> str:
    return f"{original.PatientID}^^^{original.IssuerOfPatientID}"


def parse(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientIdentityRemoved", "YES"),
        ("LongitudinalTemporalInformationModified", "MODIFIED"),
        ("PatientBirthDate", ""),
        ("PatientAge", "047Y"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.77.1.5.1"),
        ("ImageLaterality", "R"),
        ("HorizontalFieldOfView", 45.0),
        ("PupilDilated", "NO"),
        ("BurnedInAnnotation", "NO"),
        ("ManufacturerModelName", None),
    ],
)
def test_what_science_needs_stays(outputs, keyword, value):
    original, _, clean = outputs
    assert clean["shift"].get(keyword) == (original[keyword].value if value is None else value)


def test_the_file_header_names_only_the_object(outputs):
    _, _, clean = outputs
    meta = clean["shift"].file_meta
    assert meta.MediaStorageSOPInstanceUID == clean["shift"].SOPInstanceUID
    assert {element.keyword for element in meta} == {
        "FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID",
        "ImplementationVersionName",
    }  # fmt: skip
    assert clean["shift"].preamble == bytes(128)
    assert (clean["shift"].pixel_array == eye()).all()


@pytest.mark.parametrize(
    ("profile", "blanked", "codes"),
    [
        (Profile(), False, ["113100", "113107", "113108"]),
        (Profile(dates="remove", keep=()), False, ["113100"]),
        (Profile(keep=("device",)), True, ["113100", "113101", "113107", "113109"]),
        (Profile(keep=("age", "sex")), False, ["113100", "113107", "113108"]),
    ],
)
def test_method_codes_say_what_was_done(profile, blanked, codes):
    clean, _ = deidentify_dataset(
        ophthalmic_photograph(eye()), key=KEY, profile=profile, blanked=blanked
    )
    assert [item.CodeValue for item in clean.DeidentificationMethodCodeSequence] == codes


def test_a_kept_device_keeps_its_serial_number_and_nothing_else():
    dataset = ophthalmic_photograph(eye(), DeviceSerialNumber="SN-4711", InstitutionName="Eye Town")
    clean, _ = deidentify_dataset(dataset, key=KEY, profile=Profile(keep=("device",)))
    assert (clean.DeviceSerialNumber, clean.InstitutionName) == ("SN-4711", "REMOVED")


def test_uids_are_the_first_128_bits_of_the_hmac():
    digest = hmac.new(bytes(range(32)), b"1.2.3.4", hashlib.sha256).hexdigest()
    assert KEY.uid("1.2.3.4") == f"2.25.{int(digest[:32], 16)}"
    assert KEY.uid("1.2.840.10008.1.2") == "1.2.840.10008.1.2"
    assert KEY.uid("1.2.840.100081.5") != "1.2.840.100081.5"


@pytest.mark.parametrize("uid", ["1.2.840.10008.7.20240110.4711", "1.2.840.10008.Muller"])
def test_the_root_of_the_standard_shields_no_identity(uid):
    assert KEY.uid(uid).startswith("2.25.")


def test_the_person_is_found_in_text_that_no_table_lists():
    dataset = ophthalmic_photograph(
        eye(), PatientName="Müller^Ann", PatientID="77-4711",
        SoftwareVersions=["1.0", "for MÜLLER"], ManufacturerModelName="Cam 4711", Manufacturer="Co",
    )  # fmt: skip
    clean, counts = deidentify_dataset(dataset, key=KEY, profile=Profile())
    assert clean.SoftwareVersions == clean.ManufacturerModelName == "REMOVED"
    assert clean.Manufacturer == "Co"
    assert counts["SoftwareVersions", "replaced"] == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("Müller^Ann", "for Mu\u0308ller", id="accents composed otherwise"),
        pytest.param("Müller^Ann", "Muller box", id="accents left out"),
        pytest.param("Müller^Ann", "room Mueller", id="accents spelled out"),
        pytest.param("Lindqvist^Ann", "forLindqvist1", id="inside a word"),
        pytest.param("Li^Bo", "of Bo Li", id="two short parts"),
        pytest.param("Li^Bo", "of libo", id="two short parts as one"),
        pytest.param("Wang^XiaoDong=王^小东", "王小东左眼", id="Chinese without spaces"),
        pytest.param("Kim^Minsu=金^敏洙=김^민수", "김민수 OD", id="Korean, the third script"),
        pytest.param("X^Y", "774711", id="number without what parts it"),
        pytest.param("X^Y", "a4711b", id="number between letters"),
        pytest.param("X^Y", "born 17.03.1961", id="birth date"),
        pytest.param("X^Y", "by Dr. Hansen", id="physician"),
    ],
)
def test_the_person_is_found_however_the_text_is_spelled(name, text):
    dataset = ophthalmic_photograph(
        eye(), PatientName=name, PatientID="77-4711", PatientBirthDate="19610317",
        ReferringPhysicianName="Hansen^Ole", SoftwareVersions=text, Manufacturer="Maker 47 11 1",
        SpecificCharacterSet="ISO_IR 192",
    )  # fmt: skip
    clean, _ = deidentify_dataset(dataset, key=KEY, profile=Profile())
    assert clean.SoftwareVersions == "REMOVED"


@pytest.mark.parametrize(
    ("name", "number"), [("Prima^Ann", "17"), ("Mary^Ann", "40989"), ("Li^Bo", "0001")]
)
def test_words_and_codes_that_only_resemble_the_person_stay(name, number):
    dataset = ophthalmic_photograph(
        eye(), PatientName=name, PatientID=number, SoftwareVersions="1.0 libra"
    )
    clean, _ = deidentify_dataset(dataset, key=KEY, profile=Profile())
    assert (clean.ImageType, clean.SoftwareVersions) == (dataset.ImageType, "1.0 libra")
    device, before = (d.AcquisitionDeviceTypeCodeSequence[0] for d in (clean, dataset))
    assert device == before


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        pytest.param(0x00100033, "LO", id="birth date in another calendar"),
        pytest.param(0x00100034, "LO", id="date of death in another calendar"),
        pytest.param(0x21000160, "SH", id="owner of a print"),
        pytest.param(0x00181803, "LO", id="address of a time server"),
        pytest.param(0x54001010, "OW", id="recorded voice"),
    ],
)
def test_what_the_table_has_forgotten_goes_too(tag, kind):
    assert tag not in rules()
    dataset = ophthalmic_photograph(eye())
    dataset.add_new(tag, kind, b"Zq0001##" if kind == "OW" else "Zq0001")
    clean, _ = deidentify_dataset(dataset, key=KEY, profile=Profile())
    assert tag not in clean


@pytest.mark.parametrize(
    ("keyword", "kind"),
    [
        ("Modality", "CS"),
        ("BurnedInAnnotation", "CS"),
        ("InstanceNumber", "IS"),
        ("SliceThickness", "DS"),
    ],
)
def test_free_text_in_the_place_of_a_term_or_a_number_goes(tmp_path, keyword, kind):
    dataset = ophthalmic_photograph(eye())
    setattr(dataset, keyword, {"CS": "Q", "IS": "71", "DS": "71"}[kind])
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "a.dcm", enforce_file_format=True)
    data, tag = (tmp_path / "in" / "a.dcm").read_bytes(), dataset[keyword].tag
    start = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + kind.encode()
    place = data.index(start)
    text = start + b"\6\0Zq0001"
    (tmp_path / "in" / "a.dcm").write_bytes(data[:place] + text + data[place + 10 :])
    deidentify(tmp_path / "in", tmp_path / "out", key=tmp_path / "key")
    assert leaks(tmp_path / "out") == []
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


@pytest.mark.parametrize("characters", ["ISO_IR 144", "ISO_IR 192", "Zq0001", None])
def test_what_stays_is_readable_and_no_character_set_hides_anything(tmp_path, characters):
    maker = "Завод" if characters in ("ISO_IR 144", "ISO_IR 192") else "Co"
    dataset = ophthalmic_photograph(eye(), Manufacturer=maker)
    if characters is not None:
        dataset.SpecificCharacterSet = "ISO_IR 144" if characters == "Zq0001" else characters
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "a.dcm", enforce_file_format=True)
    if characters == "Zq0001":
        data = (tmp_path / "in" / "a.dcm").read_bytes()
        (tmp_path / "in" / "a.dcm").write_bytes(data.replace(b"ISO_IR 144", b"Zq0001    "))
    deidentify(tmp_path / "in", tmp_path / "out", key=tmp_path / "key")
    assert leaks(tmp_path / "out") == []
    (clean,) = (tmp_path / "out").rglob("*.dcm")
    assert pydicom.dcmread(clean).Manufacturer == maker


def test_a_picture_inside_a_sequence_goes():
    dataset, inner = ophthalmic_photograph(eye()), Dataset()
    inner.add_new("PixelData", "OB", b"Zq0001##")
    inner.SliceThickness = 1
    dataset.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [inner]
    clean, _ = deidentify_dataset(dataset, key=KEY, profile=Profile())
    (kept,) = clean.AnatomicRegionSequence[0].AnatomicRegionModifierSequence
    assert [element.keyword for element in kept] == ["SliceThickness"]


def test_references_between_files_of_a_study_resolve_and_visits_keep_their_distance(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    photograph = ophthalmic_photograph(eye(), patient="17", StudyDate="20240110")
    places = np.array([[[10.0, 10], [10, 80]]] * 2)
    sections = np.random.default_rng(1).integers(10, 250, (2, 32, 48)).astype(np.uint8)
    volume = ophthalmic_tomography(sections, patient="17", localizer=photograph, places=places)
    later = ophthalmic_photograph(eye(), patient="17", study="2", StudyDate="20240731")
    for name, dataset in (("op", photograph), ("opt", volume), ("later", later)):
        dataset.save_as(given / f"{name}.dcm", enforce_file_format=True)
    deidentify(given, tmp_path / "out", key=tmp_path / "key")
    clean = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    (opt,) = (dataset for dataset in clean if dataset.Modality == "OPT")
    visits = sorted((d for d in clean if d.Modality == "OP"), key=lambda d: d.StudyDate)
    place = opt.PerFrameFunctionalGroupsSequence[1].OphthalmicFrameLocationSequence[0]
    assert place.ReferencedSOPInstanceUID == visits[0].SOPInstanceUID != photograph.SOPInstanceUID
    assert opt.StudyInstanceUID == visits[0].StudyInstanceUID != visits[1].StudyInstanceUID
    assert {dataset.PatientID for dataset in clean} == {str(opt.PatientName)}
    assert parse(visits[1].StudyDate) - parse(visits[0].StudyDate) == timedelta(days=203)
    assert (opt.pixel_array == sections).all()


def test_comments_in_a_compressed_stream_are_gone_and_the_pixels_are_those_shown(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    dataset = ophthalmic_photograph(eye(), transfer_syntax=JPEGBaseline8Bit)
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    comment = b"Zq0001 said"
    frame = frame[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + frame[2:]
    dataset.PixelData = encapsulate([frame])
    dataset.save_as(given / "a.dcm", enforce_file_format=True)
    deidentify(given, tmp_path / "out", key=tmp_path / "key")
    assert leaks(tmp_path / "out") == []
    (clean,) = (tmp_path / "out").rglob("*.dcm")
    assert pydicom.dcmread(clean).PhotometricInterpretation == "RGB"
    assert (read(clean).pixels == read(given / "a.dcm").pixels).all()


def test_bits_that_no_pixel_uses_are_cleared(tmp_path):
    grey = np.linspace(0, 4095, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
    dataset = ophthalmic_photograph(grey | 0xA000, BitsStored=12, HighBit=11)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    deidentify(tmp_path / "a.dcm", tmp_path / "out", key=tmp_path / "key")
    clean = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")))
    assert (np.frombuffer(clean.PixelData, "<u2").reshape(SIDE, SIDE) == grey).all()


def test_levels_in_the_highest_bits_are_refused_and_not_cut(tmp_path):
    grey = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) % 4096
    dataset = ophthalmic_photograph(grey << 4, BitsStored=12, HighBit=15)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    (record,) = deidentify(tmp_path / "a.dcm", tmp_path / "out", key=tmp_path / "key").files
    assert (record.outcome, "not in the lowest" in record.reasons[0]) == ("failed", True)


def test_without_the_table_dicom_fails_and_says_what_to_install(tmp_path, monkeypatch):
    ophthalmic_photograph(eye()).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    monkeypatch.setitem(sys.modules, "dicomanonymizer", None)
    monkeypatch.setitem(sys.modules, TABLE_MODULE.rpartition(".")[0], None)
    monkeypatch.setitem(sys.modules, TABLE_MODULE, None)
    rules.cache_clear()
    (record,) = deidentify(tmp_path / "a.dcm", tmp_path / "out").files
    rules.cache_clear()
    assert record.outcome == "failed"
    assert "pip install 'foveal[dicom]'" in record.reasons[0]


def held(tmp_path, dataset: Dataset, **options) -> tuple[tuple[str, ...], pydicom.FileDataset]:
    """Why a file was quarantined, if it was, and what was written."""
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    (record,) = deidentify(tmp_path / "a.dcm", tmp_path / "out", **options).files
    (path,) = (tmp_path / "out").rglob("*.dcm")
    assert path.parent.name == ("quarantine" if record.reasons else "files")
    return record.reasons, pydicom.dcmread(path)


@pytest.mark.parametrize(
    ("write", "attributes", "reason"),
    [
        (ophthalmic_photograph, {"BurnedInAnnotation": "NO"}, None),
        (ophthalmic_photograph, {"BurnedInAnnotation": "YES"}, "says that text is burned in"),
        (ophthalmic_photograph, {"BurnedInAnnotation": None}, "does not say whether"),
        (ophthalmic_photograph, {"ImageType": ["DERIVED", "PRIMARY"]}, "derived"),
        (secondary_capture, {"BurnedInAnnotation": "NO"}, "secondary capture"),
    ],
)
def test_a_header_that_cannot_rule_text_out_sends_to_quarantine(
    tmp_path, write, attributes, reason
):
    reasons, _ = held(tmp_path, write(eye(), **attributes))
    assert [reason in said for said in reasons] == ([] if reason is None else [True])


@pytest.mark.parametrize("blank", [False, True])
def test_text_beside_the_eye_is_held_or_made_black_and_said(tmp_path, blank):
    lettered = eye()
    for column in range(4, 40, 6):
        lettered[3:9, column : column + 3] = 255
    reasons, clean = held(tmp_path, ophthalmic_photograph(lettered), blank_outside=blank)
    codes = {item.CodeValue for item in clean.DeidentificationMethodCodeSequence}
    assert (bool(reasons), "113101" in codes, bool((clean.pixel_array[:10] == 0).all())) == (
        not blank, blank, blank,
    )  # fmt: skip
    assert (clean.pixel_array[48] == eye()[48]).all()


@pytest.mark.parametrize("burned_in", ["YES", None])
def test_pixels_that_a_person_must_look_at_are_not_called_clean(tmp_path, burned_in):
    dataset = ophthalmic_photograph(eye(), BurnedInAnnotation=burned_in)
    reasons, clean = held(tmp_path, dataset, blank_outside=True)
    codes = {item.CodeValue for item in clean.DeidentificationMethodCodeSequence}
    assert reasons
    assert "113101" not in codes


def test_what_lies_behind_the_last_number_of_a_map_goes(tmp_path):
    dataset = ophthalmic_photograph(eye()[..., 0])
    numbers = np.arange(SIDE * SIDE, dtype="<f4")
    del dataset.PixelData
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ParametricMapStorage
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = numbers.tobytes() + b"Zq0001##"
    _, clean = held(tmp_path, dataset)
    assert clean.FloatPixelData == numbers.tobytes()


@pytest.mark.parametrize("kind", ["photograph", "tomography"])
def test_the_standard_is_broken_no_more_than_before(tmp_path, kind):
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    sections = np.random.default_rng(1).integers(10, 250, (2, 32, 48)).astype(np.uint8)
    made = ophthalmic_photograph(eye()) if kind == "photograph" else ophthalmic_tomography(sections)
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    deidentify(tmp_path / "a.dcm", tmp_path / "out", key=tmp_path / "key")
    clean = next((tmp_path / "out").rglob("*.dcm"))
    before, after = (errors(program, path) for path in (tmp_path / "a.dcm", clean))
    assert after - before == set()


def errors(program: str, path) -> set[str]:
    said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False).stderr
    return {line for line in said.splitlines() if line.startswith("Error")}


@pytest.mark.parametrize(
    ("kind", "own", "outcome"),
    [
        pytest.param("1.2.840.10008.1.3.10", None, "left out", id="DICOMDIR"),
        pytest.param("1.2.840.10008.5.1.4.1.1.88.11", "same", "left out", id="report"),
        pytest.param("1.2.840.10008.5.1.4.1.1.77.1.5.1", "same", "failed", id="cut off photograph"),
    ],
)
def test_what_never_had_pixels_is_left_out_and_no_failure(tmp_path, kind, own, outcome):
    dataset = ophthalmic_photograph(eye())
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = kind
    del dataset.PixelData
    if own is None:
        del dataset.SOPClassUID
    pydicom.dcmwrite(tmp_path / "a", dataset)
    done = deidentify(tmp_path / "a", tmp_path / "out")
    assert (done.counts, len(done.need_eyes)) == ({outcome: 1}, outcome == "failed")
