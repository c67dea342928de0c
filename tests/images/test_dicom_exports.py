"""A hospital's export: what is found in its folders, and what is not followed."""

import json

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from foveal.app.cli import main
from foveal.core import FovealWarning, ImageError
from foveal.images import dicom_files
from foveal.run.cohort import images_of
from foveal.run.plan import ImagesTable
from foveal.synthetic.dicom import (
    ophthalmic_photograph,
    ophthalmic_tomography,
    secondary_capture,
)
from foveal.synthetic.dicom.header import item

RNG = np.random.default_rng(0)
PHOTOGRAPH = RNG.integers(0, 256, (24, 24, 3), dtype=np.uint8)
VOLUME = RNG.integers(0, 256, (3, 8, 8), dtype=np.uint8)
THICKNESS = "1.2.840.10008.5.1.4.1.1.81.1"


@pytest.fixture
def export(tmp_path):
    """As hospitals send it: names that say nothing, in folders, with other things among them."""
    folder = tmp_path / "export"
    save(ophthalmic_photograph(PHOTOGRAPH, patient="B"), folder / "DICOM/S1/00000002")
    save(ophthalmic_photograph(PHOTOGRAPH, patient="A", laterality="L"), folder / "DICOM/S2/IM1")
    save(ophthalmic_tomography(VOLUME, patient="A"), folder / "DICOM/S2/IM2")
    save(secondary_capture(PHOTOGRAPH, patient="A", SOPClassUID=THICKNESS), folder / "DICOM/S2/IM3")
    (folder / "DICOM/S2/IM4").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    (folder / "README.TXT").write_text("DICM is not at its place here" * 20)
    (folder / "VIEWER.EXE").write_bytes(bytes(400))
    return folder


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def test_everything_in_an_export_is_found_and_what_is_no_image_says_why(export):
    found = {record.path.name: record for record in dicom_files(export)}

    assert set(found) == {"IM1", "IM2", "IM3", "IM4", "00000002"}
    assert [found[name].why_not is None for name in ("IM1", "IM2", "00000002")] == [True] * 3
    assert (found["IM1"].patient, found["IM1"].laterality) == ("A", "left")
    assert (found["IM2"].is_volume, found["IM2"].frames) == (True, 3)
    assert found["IM2"].sop_class == "Ophthalmic Tomography"
    assert found["IM2"].study == found["IM1"].study != found["00000002"].study
    assert "read as context" in found["IM3"].why_not
    assert "holds no SOP class" in found["IM4"].why_not


def test_an_export_is_listed_by_patient_study_and_series(export):
    keys = [(r.patient or "", r.study or "", r.series or "", r.number) for r in dicom_files(export)]

    assert keys == sorted(keys)
    assert [key[0] for key in keys] == ["", "A", "A", "A", "B"]


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ImageError, match="is no folder"):
        dicom_files(tmp_path / "nowhere")


def test_a_dicomdir_names_what_is_missing(tmp_path):
    files = FileSet()
    photograph = ophthalmic_photograph(PHOTOGRAPH)
    photograph.StudyTime = "101500"
    files.add(photograph)
    files.add(ophthalmic_photograph(PHOTOGRAPH, laterality="L"))
    folder = tmp_path / "disc"
    files.write(folder)
    files._stage["t"].cleanup()  # else pydicom leaves it to the end of the process

    whole = dicom_files(folder)
    gone = whole[0].path
    gone.unlink()
    broken = dicom_files(folder)

    assert [record.why_not for record in whole] == [None, None]
    assert {record.laterality for record in whole} == {"left", "right"}
    (missing,) = [record for record in broken if record.why_not]
    assert missing.path.resolve() == gone.resolve()
    assert "is not there" in missing.why_not


ESCAPES = [
    pytest.param(["..", "secret"], id="above"),
    pytest.param(["../secret"], id="above in one part"),
    pytest.param(["/etc/hostname"], id="absolute"),
    pytest.param(["LINK", "secret"], id="through a link"),
]


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("named", ESCAPES)
def test_a_dicomdir_never_leads_out_of_its_folder(tmp_path, named):
    folder = tmp_path / "disc"
    folder.mkdir()
    save(ophthalmic_photograph(PHOTOGRAPH), tmp_path / "secret")
    (folder / "LINK").symlink_to(tmp_path, target_is_directory=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    directory = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    directory.DirectoryRecordSequence = [
        item(DirectoryRecordType="IMAGE"),
        item(ReferencedFileID=named),
    ]
    save(directory, folder / "DICOMDIR")

    (record,) = dicom_files(folder)

    assert record.path.name == "DICOMDIR"
    assert "outside its folder" in record.why_not


def test_a_link_out_of_an_export_is_not_followed(export, tmp_path):
    save(ophthalmic_photograph(PHOTOGRAPH, patient="Z"), tmp_path / "elsewhere")
    (export / "LINKED").symlink_to(tmp_path / "elsewhere")

    assert "Z" not in {record.patient for record in dicom_files(export)}


def test_a_plan_takes_the_images_of_an_export_and_says_what_it_left_out(export):
    left_out = r"left out: 1 Ophthalmic Thickness Map .*\(no image\), 1 Ophthalmic Tomography"
    with pytest.warns(FovealWarning, match=left_out):
        entries = images_of([ImagesTable(files="export")], export.parent)

    assert [entry.name for entry in entries] == [
        "export/DICOM/S1/00000002",
        "export/DICOM/S2/IM1",
        "export/DICOM/S2/IM4",  # damaged: it fails by its name, and not in silence
    ]


def test_check_walks_the_folders_of_an_export(export, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", str(export), "--json"])

    rows = {row["name"].rsplit("/", 1)[-1]: row for row in json.loads(capsys.readouterr().out)}
    assert ended.value.code == 3
    assert rows["IM1"]["side"] == "left"
    assert " sections of " in rows["IM2"]["grid"]
    assert "read as context" in rows["IM3"]["problem"]
