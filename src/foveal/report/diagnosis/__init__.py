"""What is wrong with the maps of a run, where they should lie, and which proof they still need."""

from foveal.report.diagnosis.findings import FindingSheet, finding_sheets
from foveal.report.diagnosis.run import Diagnoses, DiagnosisSheet, diagnosis_facts, finding_facts

__all__ = [
    "Diagnoses",
    "DiagnosisSheet",
    "FindingSheet",
    "diagnosis_facts",
    "finding_facts",
    "finding_sheets",
]
