"""The codes that the standard does not have. docs/dicom.md lists them."""

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

SCHEME = "99FOVEAL"
_MEANING = 64
"""Characters of a code's meaning (PS3.5: LO)."""

NO_UNITS = codes.UCUM.NoUnits  # pyright: ignore[reportAttributeAccessIssue]
COMMENT = CodedConcept("121106", "DCM", "Comment")


def private(value: str, meaning: str) -> CodedConcept:
    """A code of ours."""
    return CodedConcept(value, SCHEME, meaning[:_MEANING])


EXPLANATION = private("EXPLANATION", "Explanation of an AI model's answer")
ATTRIBUTION = private("ATTRIBUTION", "Attribution of a model's answer to pixels, raw and signed")
HIGHLIGHTED = private("HIGHLIGHTED", "Pixels that an AI model's answer is attributed to")
EVIDENCE_SHARE = private("EVIDENCE_SHARE", "Evidence relative to the end of its scale")
METHOD_FAMILY = private("SALIENCY", "Saliency map of a neural network")
ANSWER = private("ANSWER", "What the model said")
TARGET = private("TARGET", "What was explained")
FINDING = private("FINDING", "What is wrong with the map")
NEXT_STEP = private("NEXT_STEP", "What to do next")
REGION = private("REGION", "Region that was measured on")
NO_MAP = private("NO_MAP", "Why the map is empty")


def scheme_item() -> Dataset:
    """Who is behind the scheme (PS3.3 C.12.1, Coding Scheme Identification)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "foveal private codes"
    item.CodingSchemeResponsibleOrganization = "foveal"
    return item
