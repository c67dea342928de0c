"""The diagnosis of a whole run, for the page and for the audit file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foveal.core import Finding
from foveal.report.diagnosis.findings import FindingCounts, FindingTable, finding_table
from foveal.report.diagnosis.focus import FocusPart, FocusShares
from foveal.report.diagnosis.needs import NeedPart, ProofFound
from foveal.store import Case


@dataclass(frozen=True, kw_only=True)
class DiagnosisSheet:
    """What the page shows."""

    findings: FindingTable
    focus: tuple[FocusPart, ...]
    proof: tuple[NeedPart, ...]


class Diagnoses:
    """Collects what the diagnosis needs of a run's cases, one case at a time."""

    def __init__(self) -> None:
        self.findings = FindingCounts()
        self.focus = FocusShares()
        self.proof = ProofFound()

    def add(self, case: Case) -> None:
        """Take in one case."""
        self.findings.add(case)
        self.focus.add(case)
        self.proof.add(case)

    def sheet(self, header: Mapping[str, Any]) -> DiagnosisSheet:
        """The page's section; `header` is the run's `run.json`."""
        return DiagnosisSheet(
            findings=finding_table(self.findings, header),
            focus=tuple(self.focus.parts(header)),
            proof=tuple(self.proof.parts(header)),
        )


def diagnosis_facts(diagnoses: Diagnoses, header: Mapping[str, Any]) -> dict[str, object]:
    """The same for machines; the gates stand in the run's header."""
    return {
        "findings": [
            {**asked._asdict(), "counts": counts}
            for asked, counts in diagnoses.findings.counts.items()
        ],
        "unchecked": dict(diagnoses.findings.unchecked),
        "expected_focus": [
            {
                "model": part.model,
                "target": part.target,
                "key": part.key,
                "known": part.known,
                "regions": [{**asdict(row), "enrichment": row.enrichment} for row in part.rows],
            }
            for part in diagnoses.focus.parts(header)
        ],
        "proof": [
            {
                "model": part.model,
                "modality": part.modality,
                "title": part.title,
                "demand": part.demand,
                "questions": [{"asks": row.asks, "there": dict(row.there)} for row in part.rows],
            }
            for part in diagnoses.proof.parts(header)
        ],
    }


def finding_facts(finding: Finding | None) -> dict[str, object] | None:
    """One finding for machines."""
    return None if finding is None else {**asdict(finding), "text": finding.text}
