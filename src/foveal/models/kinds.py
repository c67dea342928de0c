"""What a target can mean: a class, a contrast, a grade, pixels, cells or a box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from foveal.core import Target
from foveal.models.detections import Detection, box_score, follow
from foveal.models.heads import Head, class_score, contrast, predicted_class
from foveal.models.pixels import pixels_of

ScoreFunction = Callable[[Any, Int[Tensor, " probe"]], Float[Tensor, " probe"]]


@dataclass(frozen=True, kw_only=True)
class FixedTarget:
    """What is explained of each sample, decided on the unperturbed images."""

    score: ScoreFunction
    """From the output for some probes, and the sample that each probe belongs to."""
    labels: tuple[str, ...]
    indices: tuple[int | None, ...]
    """The class of each sample, where the target is one."""
    modes: tuple[str, ...]
    """What the numbers are: `logit`, `probability`, `log-odds`, `value` of a regression, `box
    score` of a detector, or `as given` by a callable."""
    reasons: tuple[str | None, ...]
    """Why a sample has no such number: `empty_mask` where no pixel (or box) is predicted as the
    class, `full_mask` where all are and the boundary is asked for."""


def fix_samples(target: Target, output: Tensor | Sequence[Detection], head: Head) -> FixedTarget:
    """A target on the rows or detections of the samples; the same is what its score takes.

    Raises:
        ValueError: A target that such an output does not have.
    """
    if not isinstance(output, Tensor):
        return _fix_box(target, output)
    if target.box is not None:
        raise ValueError(
            f"box={target.box} is for detectors, but the model gives {tuple(output.shape)}; for a "
            "rectangle of a segmentation, give pixels= a mask"
        )
    if output.ndim > 2:
        return _fix_pixels(target, output, head)
    if target.index is None and target.at_least is None and not _is(target, "predicted"):
        return _fix_cells(target, output)
    _refuse_pixels(target, f"one row of {output.shape[1]} numbers")
    if target.at_least is not None:
        return _fix_grade(target, target.at_least, output, head)
    if target.index is None and head == "identity" and output.shape[1] > 1:
        raise ValueError(
            f"the model gives {output.shape[1]} values: say which is meant, target=0 to "
            f"{output.shape[1] - 1}, or foveal.Target(pixels='all') for their mean"
        )
    return _fix_class(target, output, head)


def _fix_class(target: Target, output: Tensor, head: Head) -> FixedTarget:
    """A class, the predicted one, or the contrast of two."""
    count, index, against = len(output), target.index, target.against
    if index is not None:
        _check_class(target, output, head)
        indices = torch.full((count,), index, device=output.device)
    elif output.shape[1] == 1:
        indices = torch.zeros(count, dtype=torch.long, device=output.device)
    else:
        indices = predicted_class(output, head)

    def score(rows: Tensor, sample: Tensor) -> Tensor:
        if index is not None and against is not None:
            return contrast(rows, index, against, target.score, head)
        return class_score(rows, indices[sample], target.score, head)

    classes = indices.tolist()
    return FixedTarget(
        score=score,
        labels=tuple(_label(target, _class_words(target, c, head)) for c in classes),
        indices=tuple(classes) if against is None else (None,) * count,
        modes=(_mode(target, head),) * count,
        reasons=(None,) * count,
    )


def _fix_grade(target: Target, grade: int, output: Tensor, head: Head) -> FixedTarget:
    """P(grade >= k), as log-odds unless the probability is asked for."""
    if head == "identity" or (head == "sigmoid" and output.shape[1] > 1):
        raise ValueError(
            f"at_least={grade} needs grades, but this model gives "
            f"{'values' if head == 'identity' else 'classes that stand alone'}; use index="
        )
    _check_class(target, output, head)

    def score(rows: Tensor, sample: Tensor) -> Tensor:
        if head in ("cumulative", "coral"):
            odds = rows[:, grade - 1]
        else:
            odds = rows[:, grade:].logsumexp(dim=1) - rows[:, :grade].logsumexp(dim=1)
        return odds.sigmoid() if target.score == "probability" else odds

    count = len(output)
    return FixedTarget(
        score=score,
        labels=(_label(target, f"grade >= {grade}"),) * count,
        indices=(None,) * count,
        modes=("probability" if target.score == "probability" else "log-odds",) * count,
        reasons=(None,) * count,
    )


def _fix_pixels(target: Target, output: Tensor, head: Head) -> FixedTarget:
    """The class score averaged over a set of pixels that is fixed on the unperturbed image."""
    index = target.index
    if index is None and output.shape[1] == 1 and target.at_least is None:
        index = 0 if head == "identity" or not _is(target, "predicted") else None
    if index is None:
        raise ValueError(
            f"the model gives {tuple(output.shape)}, one score a pixel: say which class is meant, "
            f"for example target=0 (0 to {output.shape[1] - 1})"
        )
    _check_class(target, output, head)
    pixels, reasons = pixels_of(target, index, output, head)
    counts = pixels.flatten(1).sum(dim=1).clamp(min=1)

    def score(rows: Tensor, sample: Tensor) -> Tensor:
        if target.against is not None:
            numbers = contrast(rows, index, target.against, target.score, head)
        else:
            chosen = torch.full((len(rows),), index, device=rows.device)
            numbers = class_score(rows, chosen, target.score, head)
        return (numbers * pixels[sample]).flatten(1).sum(dim=1) / counts[sample]

    count = len(output)
    return FixedTarget(
        score=score,
        labels=(_label(target, _class_words(target, index, head) + _place_words(target)),) * count,
        indices=(index if target.against is None else None,) * count,
        modes=(_mode(target, head),) * count,
        reasons=reasons,
    )


def _fix_cells(target: Target, output: Tensor) -> FixedTarget:
    """The mean of several values: a vector is a dense output of one value a cell."""
    fixed = _fix_pixels(target, output.unsqueeze(1), "identity")

    def score(rows: Tensor, sample: Tensor) -> Tensor:
        return fixed.score(rows.unsqueeze(1), sample)

    return replace(
        fixed,
        score=score,
        labels=(_label(target, "mean" + _place_words(target)),) * len(output),
        indices=(None,) * len(output),
    )


def _fix_box(target: Target, output: Sequence[Detection]) -> FixedTarget:
    """The score of a box, which is found again in the probes."""
    _refuse_pixels(target, "boxes")
    if target.at_least is not None or target.against is not None:
        raise ValueError(
            "the model gives boxes, which have no grades or contrasts: choose one by its class "
            "(index=), its place (box=) or both"
        )
    boxes = [follow(found, target.index, target.box) for found in output]

    def score(found: Sequence[Detection], sample: Tensor) -> Tensor:
        pairs = zip(found, sample.tolist(), strict=True)
        return torch.stack([box_score(one, boxes[owner]) for one, owner in pairs])

    indices = tuple(target.index if box is None else box.label for box in boxes)
    return FixedTarget(
        score=score,
        labels=tuple(_label(target, "box" if i is None else f"box of class {i}") for i in indices),
        indices=indices,
        modes=("box score",) * len(boxes),
        reasons=tuple("empty_mask" if box is None else None for box in boxes),
    )


def _is(target: Target, pixels: str) -> bool:
    return isinstance(target.pixels, str) and target.pixels == pixels


def _refuse_pixels(target: Target, what: str) -> None:
    if not _is(target, "predicted") and not _is(target, "all"):
        raise ValueError(f"the model gives {what} an image and no pixels, so leave pixels= out")


def _mode(target: Target, head: Head) -> str:
    if head == "identity":
        return "value"
    odds = target.against is not None or head in ("cumulative", "coral")
    return "log-odds" if odds and target.score == "logit" else target.score


def _check_class(target: Target, output: Tensor, head: Head) -> None:
    classes = output.shape[1] + (head in ("cumulative", "coral"))
    one, many = ("value", "values") if head == "identity" else ("class", "classes")
    for index in (target.index, target.against, target.at_least):
        if index is not None and index >= classes:
            have = f"{classes} {many}, 0 to {classes - 1}" if classes > 1 else "a single output"
            raise ValueError(f"{one} {index} does not exist: the model has {have}")


def _label(target: Target, words: str) -> str:
    head = "" if target.output is None else f"{target.output}: "
    return target.label or head + words


def _class_words(target: Target, index: int, head: Head) -> str:
    kind = "value" if head == "identity" else "class"
    return f"{kind} {index}" + ("" if target.against is None else f" vs {target.against}")


def _place_words(target: Target) -> str:
    if isinstance(target.pixels, tuple):
        return f" at {target.pixels}"
    if not isinstance(target.pixels, str):
        return " in a region"
    return {"predicted": "", "all": " everywhere", "boundary": " boundary"}[target.pixels]
