"""What a run cannot know of itself: people say it, in the plan or beside the run."""

import shutil
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from foveal.core import PlanError, StoreError
from foveal.store.run import Run

FILE = "statement.toml"

TOPICS: Mapping[str, str] = {
    "intended_use": "what the explanation is for, and where it enters the work",
    "user": "who reads the explanation, and what they must know for it",
    "may_support": "which decisions the explanation may support",
    "may_not_support": "which decisions it must not support",
    "background": "the clinical question, what is done about it today, and earlier models",
    "objectives": "what the study wants to find out, and its hypotheses",
    "design": "the kind of study, and whether it was planned before the data were gathered",
    "population": "for whom the model is meant, and known inequalities between groups",
    "data_source": "where the images come from, and whether they were gathered for this study",
    "dates": "when the images were taken, and how long patients were followed",
    "setting": "where: kind, number and location of the centres",
    "inclusion": "which patients and images were taken in and which left out, in which order",
    "sampling": "how patients were found, and whether one after another, by chance or as came",
    "acquisition": "cameras and protocols the images were taken with",
    "treatments": "what patients were treated with, and what happened between image and reference",
    "reference_standard": "how labels and outlines were obtained, and why in this way",
    "annotators": "who labelled and outlined, with which training and tools",
    "agreement": "how far annotators agree with each other and with themselves",
    "blinding": "who knew what: readers of the model's answers, and those who set the reference",
    "sample_size": "how many were planned, and why so many",
    "characteristics": "age, sex, disease and its severity of the patients of each partition",
    "representativeness": "how far the images resemble those of the intended use",
    "architecture": "the model's architecture, and where its first weights came from",
    "training": "how the model was trained, tuned and chosen, with its settings",
    "partitions": "how data were parted for training, tuning and testing, and at which level",
    "external_data": "whether these images come from elsewhere than the training, and how they "
    "differ",
    "cut_offs": "which cut-offs turn outputs into answers, and how they were found",
    "fairness": "what was done to find and to lessen unfairness between groups",
    "updating": "whether the model was changed after it was evaluated, and how it does now",
    "input_quality": "what is to be done in use with poor or missing images, and by whom",
    "human_factors": "what readers do with and without the explanation, with a sham explanation, "
    "and when the model is wrong",
    "public_involvement": "how patients and the public took part",
    "implications": "what the results mean for practice, and what is to be studied next",
    "limitations": "limits of the study beyond those that this report names",
    "adverse_events": "harm that came of the test or of the reference",
    "ethics": "which committee approved the study, or why none was needed; and the consent",
    "protocol": "where the protocol can be read",
    "registration": "the register and the number there",
    "funding": "who paid, and what part they had",
    "interests": "interests of those who made the study",
    "availability": "where data, code and model can be had, and under which terms",
    "multiplicity": "which comparisons were planned, and how several are corrected for",
    "change_control": "versions of the model so far, and what sets off a change under a "
    "predetermined plan",
    "monitoring": "how answers and maps are watched for drift after release",
}
"""What can be stated, and what to write there; a report leaves the others open."""


def checked_statement(table: Mapping[str, object]) -> dict[str, str]:
    """A statement whose topics are known and whose texts are not empty.

    Raises:
        ValueError: An unknown topic, with the nearest, or a text that is none.
    """
    for topic, text in table.items():
        if topic not in TOPICS:
            near = get_close_matches(topic, TOPICS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use some of {', '.join(TOPICS)}"
            raise ValueError(f"there is no topic {topic!r} in a statement; {hint}")
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"the statement's {topic} must be a text, but is {text!r}")
    return {topic: str(text).strip() for topic, text in table.items()}


def read_statement(path: Path) -> dict[str, str]:
    """The statement in a TOML file: one text for each topic.

    Raises:
        PlanError: A file that cannot be read, is no TOML, or says what is not asked.
    """
    try:
        return checked_statement(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise PlanError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    except ValueError as problem:
        raise PlanError(f"{path}: {problem}") from problem


def statement_of(run: Run) -> dict[str, str]:
    """What people said of a run: its plan's statement, and the file beside it, which wins.

    Raises:
        PlanError: A file in the run's folder that is damaged.
    """
    plan = run.header.get("plan")
    told = plan.get("statement", {}) if isinstance(plan, Mapping) else {}
    path = run.folder / FILE
    return {**told, **(read_statement(path) if path.exists() else {})}


def keep_statement(run: Run, path: Path) -> None:
    """Put a statement beside a run, for all its later reports.

    Raises:
        PlanError: A file that is wrong.
        StoreError: The folder cannot be written.
    """
    read_statement(path)
    try:
        shutil.copyfile(path, run.folder / FILE)
    except shutil.SameFileError:
        return
    except OSError as problem:
        raise StoreError(
            f"cannot write the statement into {run.folder}: {problem.strerror or problem}"
        ) from problem
