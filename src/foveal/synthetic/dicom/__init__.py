"""DICOM objects of eyes that never were, to try a pipeline before a patient's data go through it.

Written attribute by attribute with pydicom, all that the standard asks for included. Every UID
follows from what goes in, so the same call writes the same object.
"""

from foveal.synthetic.dicom.photographs import (
    ophthalmic_photograph,
    photographic_image,
    secondary_capture,
    wide_field_photograph,
)
from foveal.synthetic.dicom.tomography import (
    en_face_image,
    ophthalmic_tomography,
    volume_analysis,
)

__all__ = [
    "en_face_image",
    "ophthalmic_photograph",
    "ophthalmic_tomography",
    "photographic_image",
    "secondary_capture",
    "volume_analysis",
    "wide_field_photograph",
]
