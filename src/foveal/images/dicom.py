"""DICOM pictures: the pixels as a viewer shows them, and what the header knows about the eye."""

from pathlib import Path

from pydicom.dataset import Dataset

from foveal.core import Image, ImageError, Modality
from foveal.images import header
from foveal.images.dicom_objects import (
    EN_FACE,
    EYE_PHOTOGRAPHS,
    VOLUMES,
    class_name,
    class_uid,
    open_dicom,
)
from foveal.images.dicom_pixels import frame_count, frame_pixels, grid
from foveal.images.raster import check_size, frame_index


def read_dicom(
    path: Path,
    *,
    modality: Modality | None,
    frame: int | None,
    assume_dicom: bool,
    max_pixels: int,
    sha256: str,
) -> Image:
    """A photograph, an en face image or one section, with its spacing, side, patient and visit.

    The visit is the study (StudyInstanceUID): it is hardly ever missing, and unlike a date it says
    nothing about the patient.

    Args:
        path: The file.
        modality: What it shows, where the user knows better than the SOP class.
        frame: Which frame of several, counted from 1 as in DICOM.
        assume_dicom: Accept a file without the preamble of PS3.10.
        max_pixels: Larger pictures are refused by their header.
        sha256: Hash of the file's bytes.

    Raises:
        ImageError: Not a picture, too large, damaged, or compressed in a way that is not read;
            several frames and no `frame`.
    """
    dataset = open_dicom(path, assume_dicom=assume_dicom)
    sop_class = class_name(dataset)
    index = _frame_index(dataset, frame)
    check_size(*grid(dataset), max_pixels)
    searched = header.places(dataset, index)
    pixels, facts = frame_pixels(dataset, index)
    side, side_from = header.laterality(searched)
    patient = header.patient(dataset)
    return Image(
        pixels=pixels,
        spacing_mm=header.spacing_mm(searched),
        modality=modality or _modality(dataset),
        laterality=side,
        patient=patient,
        eye=header.eye(patient, side),
        visit=header.visit(dataset),
        source=str(path),
        sha256=sha256,
        facts={
            "format": "DICOM",
            "sop_class": sop_class,
            "transfer_syntax": dataset.file_meta.TransferSyntaxUID.name,
            "laterality_from": side_from,
            **({} if frame is None else {"frame": frame}),
            **facts,
        },
    )


def _modality(dataset: Dataset) -> Modality:
    uid = class_uid(dataset)
    if uid in VOLUMES or uid in EN_FACE or dataset.get("Modality") == "OPT":
        return "oct"
    if uid in EYE_PHOTOGRAPHS or "AcquisitionDeviceTypeCodeSequence" in dataset:
        return header.photograph_modality(dataset)
    return "unknown"


def _frame_index(dataset: Dataset, frame: int | None) -> int:
    """Counted from 0."""
    count = frame_count(dataset)
    if frame is None and count > 1 and class_uid(dataset) in VOLUMES:
        raise ImageError(
            f"holds a volume of {count} sections; read it with foveal.read_volume, or choose one "
            f"section with frame=1 to frame={count}"
        )
    return frame_index(frame, count, word="frame")
