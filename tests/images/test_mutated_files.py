"""A sample of the corpus of wrong files, and those that once did harm; `make soak` has the rest."""

import logging
import warnings
import zlib
from pathlib import Path

import mutations
import numpy as np
import pytest
from mutants import corpus, problems
from pydicom.dataset import Dataset
from specimens import NAME, directory

from foveal.core import ImageError
from foveal.images import dicom_files, read, read_map
from foveal.images.dicom_decoding import decoded_frame
from foveal.synthetic.dicom import ophthalmic_photograph

RGB8 = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)


def test_of_every_kind_three_wrong_files_do_no_more_than_be_refused():
    trials = corpus(2, range(3))

    assert problems(trials) == ""
    assert len({trial.kind for trial in trials}) > 100
    empty = {trial.kind for trial in trials if (trial.number, trial.outcome) == (0, "read")}
    listed = {"DICOM an export", "DICOM a directory", "run, log.jsonl"}  # what is there, is told
    assert {kind for kind in empty if "deidentify" not in kind} == listed


def test_mutants_are_the_same_for_the_same_seed():
    data = bytes(range(256)) * 4

    first, again = ([mutations.mutant(data, n, (7,), [b"GIF8"]) for n in range(60)] for _ in "12")

    assert first == again
    assert first[0] == b""
    assert len(set(first)) > 50


def quoted(write, tmp_path: Path, caplog, recwarn) -> str:
    """All that was said aloud while a file was refused."""
    path = tmp_path / f"{NAME}.dcm"
    with warnings.catch_warnings(action="ignore"):
        write(path)
    caplog.clear()
    with caplog.at_level(logging.DEBUG), pytest.raises(ImageError):
        read(path)
    said = [record.getMessage() for record in caplog.records if "foveal" not in record.name]
    return "\n".join([*said, *(str(warning.message) for warning in recwarn.list)])


def test_a_name_that_ran_into_the_class_is_in_no_warning(tmp_path, caplog, recwarn):
    def write(path: Path) -> None:
        dataset = ophthalmic_photograph(RGB8)
        dataset.SOPClassUID = f"1.2.840.{NAME}^ANNE" + "x" * 60
        dataset.save_as(path)

    assert quoted(write, tmp_path, caplog, recwarn) == ""


def test_the_name_of_a_file_cut_off_in_its_pixels_is_logged_nowhere(tmp_path, caplog, recwarn):
    dataset = ophthalmic_photograph(RGB8, transfer_syntax="1.2.840.10008.1.2.4.80")

    def write(path: Path) -> None:
        dataset.save_as(path, enforce_file_format=True)
        path.write_bytes(path.read_bytes()[:-40])

    assert NAME not in quoted(write, tmp_path, caplog, recwarn)


def test_a_tiff_without_pages_is_named_in_the_error_alone(tmp_path, caplog, recwarn):
    said = quoted(lambda path: path.write_bytes(b"II*\0" + bytes(40)), tmp_path, caplog, recwarn)

    assert NAME not in said


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("part", ["PT\0", "..", ".", "/etc/passwd", "../canary", "a/b"], ids=ascii)
def test_a_directory_leads_to_no_file_outside_its_folder(tmp_path, part):
    (tmp_path / "export").mkdir()
    directory(["IM", part, "1"]).save_as(tmp_path / "export" / "DICOMDIR", enforce_file_format=True)

    (record,) = dicom_files(tmp_path / "export")

    assert record.why_not == "names a file outside its folder, which is not followed"


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
        "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201",
        "1.2.840.10008.1.2.5",
    ],
)  # fmt: skip
def test_no_decoder_that_can_end_the_process_is_asked(monkeypatch, syntax):
    dataset = ophthalmic_photograph(RGB8, transfer_syntax=syntax)
    asked = []

    def remember(self: object, source: Dataset, *, index: int, decoding_plugin: str):
        asked.append(decoding_plugin)
        return RGB8, {"photometric_interpretation": "RGB"}

    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.as_array", remember)
    decoded_frame(dataset, 0, count=1, grid=(24, 24))

    assert asked[0] in {"imagecodecs", "pyjpegls", "pylibjpeg", "pydicom"}


def test_an_npy_header_that_does_not_end_is_damage(tmp_path):
    written = tmp_path / "map.npy"
    np.save(written, np.zeros((4, 4), np.float32))
    written.write_bytes(written.read_bytes().replace(b")", b"("))

    with pytest.raises(ImageError, match="is an npy file that cannot be read"):
        read_map(written)


def test_check_sums_of_a_mutant_picture_are_true():
    data = bytearray(b"\x89PNG\r\n\x1a\n" + (3).to_bytes(4, "big") + b"IHDRabc" + bytes(4))

    sealed = mutations.sealed(bytes(data))

    assert sealed[-4:] == zlib.crc32(b"IHDRabc").to_bytes(4, "big")
