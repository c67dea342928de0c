"""What a case knows of its image before any model: its quality, and where its anatomy is from."""

from collections.abc import Iterator
from dataclasses import dataclass

from foveal.images.anatomy import is_grid_field
from foveal.images.quality import MEANINGS, usual_of
from foveal.report.words import number
from foveal.store import Case

_VERDICTS = {
    "pass": "keeps the plan’s limits",
    "review": "to be looked at: a limit of the plan is not kept",
}
_SOURCES = {
    "mask": "by an expert’s mask",
    "model": "by a model",
    "heuristic": "found by its looks",
    "given": "given",
    "none": "not found",
}


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """One number of an image's quality."""

    name: str
    value: str
    usual: str
    """From the 2.5th to the 97.5th percentile of such images; empty where none were measured."""
    unusual: bool
    says: str
    """What the number is, with its unit."""


def quality_rows(case: Case) -> Iterator[QualityRow]:
    """All numbers of the image's quality; none where the plan did not ask for them."""
    ranges = usual_of(case.modality)
    for name, meaning in MEANINGS.items():
        value = case.facts.get(f"quality.{name}")
        if not isinstance(value, int | float):
            continue
        usual = ranges.get(name)
        yield QualityRow(
            name=name.replace("_", " "),
            value=number(value),
            usual="" if usual is None else f"{number(usual.low)} to {number(usual.high)}",
            unusual=usual is not None and not usual.low <= value <= usual.high,
            says=f"{meaning.says} ({meaning.unit})",
        )


def quality_in_words(case: Case) -> str | None:
    """What the plan's limits say, and which numbers are unusual; `None` where none were asked."""
    verdict = case.facts.get("quality")
    if verdict is None:
        return None
    rows = [row for row in quality_rows(case) if row.unusual]
    unusual = [f"{row.name} {row.value} (usually {row.usual})" for row in rows]
    told = _VERDICTS.get(str(verdict), str(verdict))
    return "; ".join([told, *([f"unusual: {', '.join(unusual)}"] if unusual else [])])


def anatomy_in_words(case: Case) -> str:
    """Where each part that was asked for is from, and how sure it is; empty where none was."""
    ending = ".source"
    parts = [
        name.removeprefix("anatomy.").removesuffix(ending)
        for name in case.facts
        if name.startswith("anatomy.") and name.endswith(ending)
    ]
    return "; ".join(f"{part}: {', '.join(_origin(case, part))}" for part in parts)


def region_in_legend(case: Case, name: str) -> str:
    """A region's name, with how sure it is where no expert marked it."""
    if is_grid_field(name):
        return f"{name} (grid)"
    part = "disc" if name == "optic disc" else name
    source = case.facts.get(f"anatomy.{part}.source")
    confidence = case.facts.get(f"anatomy.{part}.confidence")
    if source == "model":
        return f"{name} (by a model)"
    return f"{name} (found, {confidence})" if source == "heuristic" else name


def _origin(case: Case, part: str) -> Iterator[str]:
    source = str(case.facts[f"anatomy.{part}.source"])
    yield _SOURCES.get(source, source)
    confidence = case.facts.get(f"anatomy.{part}.confidence")
    if confidence is not None and source not in ("mask", "given", "none"):
        yield f"confidence {confidence}"
