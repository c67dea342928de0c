"""What every synthetic object says: its patient, study, series, device and itself."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

Side = Literal["R", "L", "B"]

_DATE, _TIME = "20010203", "101500"

SIDES: Mapping[str, Code] = {
    "R": Code("24028007", "SCT", "Right"),
    "L": Code("7771000", "SCT", "Left"),
    "B": Code("51440002", "SCT", "Right and left"),
}


def uid(*parts: object) -> UID:
    """The same for the same parts, in every process: PS3.5 B.2 with a hash for the UUID."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def new_object(
    sop_class: UID, *, modality: str, patient: str, study: str, content: bytes
) -> FileDataset:
    """Patient, General Study, Series, Equipment, Image and SOP Common of PS3.3.

    All objects of one study of one patient share a study and a frame of reference, all of one
    class a series.

    Args:
        sop_class: Of the object.
        modality: Of the series, such as OP.
        patient: Identifier.
        study: Identifier within the patient.
        content: What makes this object another one than its neighbours.
    """
    content_hash = hashlib.sha256(content).hexdigest()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid(patient, study, sop_class, content_hash)
    written = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _set(
        written,
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=sop_class,
        SOPInstanceUID=meta.MediaStorageSOPInstanceUID,
        PatientName=f"Synthetic^{patient}",
        PatientID=patient,
        PatientBirthDate="19500101",
        PatientSex="O",
        StudyInstanceUID=uid(patient, study),
        StudyID=study[:16],
        StudyDate=_DATE,
        StudyTime=_TIME,
        AccessionNumber="",
        ReferringPhysicianName="",
        Modality=modality,
        SeriesInstanceUID=uid(patient, study, sop_class),
        SeriesNumber=1,
        Manufacturer="foveal",
        ManufacturerModelName="foveal.synthetic",
        DeviceSerialNumber="0",
        SoftwareVersions="1",
        InstanceNumber=1,
        ContentDate=_DATE,
        ContentTime=_TIME,
        AcquisitionDateTime=_DATE + _TIME,
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
    )
    return written


def item(**attributes: object) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    _set(made, **attributes)
    return made


def code(concept: Code, **attributes: object) -> Dataset:
    """An item that holds a coded concept (PS3.3 8.8), and more where it is asked for."""
    return item(
        CodeValue=concept.value,
        CodingSchemeDesignator=concept.scheme_designator,
        CodeMeaning=concept.meaning,
        **attributes,
    )


def anatomy(laterality: Side) -> Dataset:
    """The eye, and which."""
    eye = Code("81745001", "SCT", "Eye")
    return code(eye, AnatomicRegionModifierSequence=[code(SIDES[laterality])])


def software(purpose: Code) -> Dataset:
    """What computed something: PS3.3 10.16, Algorithm Identification Macro."""
    return item(
        AlgorithmFamilyCodeSequence=[code(purpose)],
        AlgorithmName="foveal.synthetic",
        AlgorithmVersion="1",
    )


def change(written: Dataset, attributes: Mapping[str, object]) -> None:
    """Set attributes by their keywords; `None` takes one away.

    Raises:
        ValueError: A keyword that DICOM does not know.
    """
    for keyword, value in attributes.items():
        if value is None:
            written.pop(keyword, None)
        else:
            _set(written, **{keyword: value})
    meta = getattr(written, "file_meta", None)
    if meta is not None:  # else a changed identifier would contradict the file's own header
        meta.MediaStorageSOPClassUID = written.get("SOPClassUID", meta.MediaStorageSOPClassUID)
        meta.MediaStorageSOPInstanceUID = written.get(
            "SOPInstanceUID", meta.MediaStorageSOPInstanceUID
        )


def _set(written: Dataset, **attributes: object) -> None:
    for keyword, value in attributes.items():
        if not keyword[:1].isupper():
            raise TypeError(f"there is no argument {keyword!r}, nor such a DICOM keyword")
        setattr(written, keyword, value)
