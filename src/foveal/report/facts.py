"""What a run can answer by itself, and where the proof lies: a table, asked by name.

A fact is told only where the run knows it. Lists of requirements name facts and never make up an
answer, so what no fact tells stays open.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

from foveal.report import answers, measured
from foveal.report.families import PLACE
from foveal.report.measured import MATTERS, RUINED, STABLE
from foveal.report.record import Record

SECTIONS: Mapping[str, str] = {
    "summary": "In one minute",
    "limits": "Limits",
    "together": "All images together",
    "sanity": "Sanity gate",
    "compared": "Methods compared",
    "performance": "How good the model is",
    "confidence": "How far its confidence can be believed",
    "groups": "Is anything worse for some eyes?",
    "gallery": "Failure gallery",
    "diagnosis": "What is wrong with the maps",
    "cases": "Image by image",
    "failures": "What failed",
    "methods": "Methods",
    "models": "Models",
    "provenance": "Provenance",
    "requirements": "What an audit asks",
    "statement": "Stated by people",
    "deviations": "Planned and done",
}
"""What the page calls the sections that hold proof, by their anchors."""


@dataclass(frozen=True)
class Fact:
    """One thing that a run may know of itself."""

    tells: Callable[[Record], str | None]
    """In words; `None` where this run does not know."""
    _: KW_ONLY
    section: str
    """The anchor on the page."""
    files: tuple[str, ...] = ("report.json",)
    """Where the proof lies, from the run's folder."""
    supply: str = ""
    """What is to be given where the run does not know; empty for what every run knows."""


_PLAN = "a run made from a plan"
_MASKS = "masks: “regions” in the plan, or foveal measure RUN --regions PATTERN"
_PROOF = "measures of place, faithfulness, stability or sanity: level “standard” or “full”"
_FINDINGS = "a diagnosis of the maps: level “standard”, and masks"
_TABLES, _RUN = ("results.parquet",), ("run.json",)

FACTS: Mapping[str, Fact] = {
    "models": Fact(answers.models, section="models", files=_RUN, supply=_PLAN),
    "data": Fact(answers.data, section="provenance", files=("run.json", "results.parquet")),
    "software": Fact(answers.software, section="provenance", files=_RUN, supply=_PLAN),
    "explainers": Fact(answers.explainers, section="methods", files=_RUN, supply=_PLAN),
    "layers": Fact(answers.layers, section="methods"),
    "targets": Fact(answers.targets, section="methods", supply="an image that can be explained"),
    "baselines": Fact(answers.baselines, section="provenance", files=_RUN, supply=_PLAN),
    "seeds": Fact(answers.seeds, section="provenance", files=_RUN, supply=_PLAN),
    "dates": Fact(
        answers.dates, section="deviations", files=("log.jsonl",), supply="the run's log"
    ),
    "command": Fact(answers.command, section="provenance", files=_RUN, supply=_PLAN),
    "counts": Fact(answers.counts, section="summary"),
    "failures": Fact(answers.failures, section="failures"),
    "groups": Fact(answers.groups, section="cases", files=_TABLES, supply="an explained image"),
    "outlines": Fact(answers.outlines, section="cases", supply=_MASKS),
    "preparation": Fact(answers.preparation, section="models", files=_RUN, supply=_PLAN),
    "files": Fact(answers.files, section="cases", supply="images read from files"),
    "identity": Fact(answers.identity, section="provenance", files=_RUN),
    "answers": Fact(answers.answers, section="models", files=_RUN, supply=_PLAN),
    "network": Fact(answers.network, section="models", files=_RUN, supply=_PLAN),
    "calibration": Fact(
        answers.calibration,
        section="summary",
        files=_RUN,
        supply="a “calibrator” on the model card",
    ),
    "deferral": Fact(
        answers.deferral,
        section="summary",
        files=_RUN,
        supply="a calibrator with a rule of deferral on the model card",
    ),
    "place": Fact(measured.family(PLACE), section="together", files=_TABLES, supply=_MASKS),
    "faithfulness": Fact(
        measured.family(MATTERS),
        section="together",
        files=_TABLES,
        supply="measures of faithfulness: level “standard” in the plan",
    ),
    "stability": Fact(
        measured.family(STABLE),
        section="together",
        files=_TABLES,
        supply="measures of stability: level “standard” in the plan",
    ),
    "sanity": Fact(
        measured.family(RUINED),
        section="sanity",
        files=_TABLES,
        supply="measures with random weights and of another class: level “full” in the plan",
    ),
    "gate": Fact(
        measured.gate,
        section="diagnosis",
        files=_RUN,
        supply="a verdict over several patients: level “full” in the plan",
    ),
    "chances": Fact(measured.chances, section="together", files=_TABLES, supply=_PROOF),
    "missing": Fact(measured.missing, section="together", files=_TABLES, supply=_PROOF),
    "regions": Fact(measured.regions, section="together", files=_TABLES, supply=_MASKS),
    "interpretation": Fact(
        measured.interpretation, section="together", files=_TABLES, supply=_PROOF
    ),
    "performance": Fact(
        measured.concluded("performance"),
        section="performance",
        supply="the truth of each image, by a column of the manifest such as “grade”",
    ),
    "confidence": Fact(
        measured.confidence,
        section="confidence",
        supply="the truth of each image, by a column of the manifest such as “grade”",
    ),
    "comparisons": Fact(
        measured.concluded("comparisons"), section="compared", supply="two methods and a measure"
    ),
    "subgroups": Fact(
        measured.concluded("subgroups"),
        section="groups",
        supply="columns of the manifest that make groups (“labels” in the plan): camera, sex, age",
    ),
    "gallery": Fact(
        measured.concluded("gallery"), section="gallery", supply="an image that can be explained"
    ),
    "findings": Fact(measured.findings, section="diagnosis", supply=_FINDINGS),
    "shortcuts": Fact(measured.shortcuts, section="diagnosis", supply=_FINDINGS),
    "limits": Fact(answers.limits, section="limits"),
    "not_causal": Fact(answers.not_causal, section="limits"),
    "not_a_device": Fact(answers.not_a_device, section="limits"),
    "deviations": Fact(answers.deviations, section="deviations"),
    "changes": Fact(
        answers.changes, section="deviations", files=("log.jsonl",), supply="the run's log"
    ),
    "results": Fact(
        answers.results, section="provenance", files=("results.parquet", "results-dictionary.csv")
    ),
    "seal": Fact(answers.seal, section="provenance", files=("manifest.json",)),
    "matrix": Fact(answers.matrix, section="requirements"),
}
"""Everything that a list of requirements can ask of a run, by name."""
