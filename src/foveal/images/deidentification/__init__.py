"""Images without the identity of their patients, and a report of what a person must look at."""

from foveal.images.deidentification.burned_in import LEAST_GLYPHS, burned_in_text
from foveal.images.deidentification.folder import deidentify
from foveal.images.deidentification.key import SecretKey, open_key
from foveal.images.deidentification.profile import Profile
from foveal.images.deidentification.record import Deidentified, FileRecord

__all__ = [
    "LEAST_GLYPHS",
    "Deidentified",
    "FileRecord",
    "Profile",
    "SecretKey",
    "burned_in_text",
    "deidentify",
    "open_key",
]
