"""From the raw output of a model to one number per probe.

A target is fixed once, on the unperturbed images: the predicted class or the predicted pixels of
each sample stay what they were when its probes come back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from foveal.core import Target
from foveal.models.heads import Head, class_score, predicted_class

TargetLike = None | int | Target | Callable[[object], Tensor]
ScoreFunction = Callable[[object, Int[Tensor, " probe"]], Float[Tensor, " probe"]]


@dataclass(frozen=True, kw_only=True)
class FixedTarget:
    """What is explained of each sample, decided on the unperturbed images."""

    score: ScoreFunction
    """From the output for some probes, and the sample that each probe belongs to."""
    labels: tuple[str, ...]
    indices: tuple[int | None, ...]
    """The class of each sample, where the target is one."""
    modes: tuple[str, ...]
    reasons: tuple[str | None, ...]
    """Why a sample has no such number: `empty_mask` where no pixel is predicted as the class."""


def fix(
    target: TargetLike | Sequence[TargetLike] | Tensor,
    output: object,
    *,
    count: int,
    head: Head = "softmax",
) -> FixedTarget:
    """Decide on the unperturbed output which number of each sample is explained.

    Args:
        target: One target for all samples or one per sample. `None` is each sample's own argmax,
            with a single output that output; an integer is a class (of a segmentation: averaged
            over the pixels predicted as it); a callable maps the whole output, for however many
            images, to one number per image.
        output: What the model returned for the batch.
        count: How many samples the batch holds.
        head: How the outputs become probabilities.

    Raises:
        ValueError: More or fewer targets than samples, a class that the output does not have,
            `None` for a segmentation, an output that is no tensor with a target that needs one.
    """
    each = as_sequence(target)
    if each is None:
        one = target.item() if isinstance(target, Tensor | np.ndarray) else target
        return _fix_one(one, output, count, head)  # pyright: ignore[reportArgumentType]
    if len(each) != count:
        raise ValueError(f"got {len(each)} targets for {count} images; give one, or one each")
    return _fix_each(each, output, count, head)


def _fix_one(target: TargetLike, output: object, count: int, head: Head) -> FixedTarget:
    if callable(target):
        return _fix_callable(target, count)
    values = _rows(output, count)
    wanted = _as_target(target)
    if values.ndim > 2:
        return _fix_pixels(wanted, values, head)
    if wanted.at_least is not None:
        return _fix_grade(wanted, wanted.at_least, values, head)
    return _fix_class(wanted, values, head)


def _fix_class(target: Target, output: Tensor, head: Head) -> FixedTarget:
    count = len(output)
    if target.index is not None:
        _check_class(target.index, _classes(output, head))
        indices = torch.full((count,), target.index, device=output.device)
    elif output.shape[1] == 1:
        indices = torch.zeros(count, dtype=torch.long, device=output.device)
    else:
        indices = predicted_class(output, head)

    def score(raw: object, sample: Tensor) -> Tensor:
        return class_score(_rows(raw, len(sample)), indices[sample], target.score, head)

    classes = indices.tolist()
    return FixedTarget(
        score=score,
        labels=tuple(target.label or f"class {index}" for index in classes),
        indices=tuple(classes),
        modes=(_mode(target, head),) * count,
        reasons=(None,) * count,
    )


def _fix_grade(target: Target, grade: int, output: Tensor, head: Head) -> FixedTarget:
    """P(grade >= k), as log-odds unless the probability is asked for."""
    _check_class(grade, _classes(output, head))

    def score(raw: object, sample: Tensor) -> Tensor:
        values = _rows(raw, len(sample))
        if head in ("cumulative", "coral"):
            odds = values[:, grade - 1]
        else:
            odds = values[:, grade:].logsumexp(dim=1) - values[:, :grade].logsumexp(dim=1)
        return odds.sigmoid() if target.score == "probability" else odds

    count = len(output)
    return FixedTarget(
        score=score,
        labels=(target.label or f"grade >= {grade}",) * count,
        indices=(None,) * count,
        modes=("probability" if target.score == "probability" else "log-odds",) * count,
        reasons=(None,) * count,
    )


def _fix_pixels(target: Target, output: Tensor, head: Head) -> FixedTarget:
    """The class score averaged over a set of pixels that is fixed on the unperturbed image."""
    if target.index is None:
        raise ValueError(
            f"the model gives {tuple(output.shape)}, one score a pixel: say which class is meant, "
            f"for example target=0 (0 to {output.shape[1] - 1})"
        )
    _check_class(target.index, output.shape[1])
    index = target.index
    pixels = _pixel_set(target, index, output, head)
    counts = pixels.flatten(1).sum(dim=1)

    def score(raw: object, sample: Tensor) -> Tensor:
        values = _rows(raw, len(sample))
        chosen = torch.full((len(values),), index, device=values.device)
        numbers = class_score(values, chosen, target.score, head)
        total = (numbers * pixels[sample]).flatten(1).sum(dim=1)
        return total / counts[sample].clamp(min=1)

    count = len(output)
    return FixedTarget(
        score=score,
        labels=(target.label or f"class {index}",) * count,
        indices=(index,) * count,
        modes=(_mode(target, head),) * count,
        reasons=tuple(None if n else "empty_mask" for n in counts.tolist()),
    )


def _pixel_set(
    target: Target, index: int, output: Tensor, head: Head
) -> Bool[Tensor, "sample ..."]:
    shape = (len(output), *output.shape[2:])
    if isinstance(target.pixels, str):
        if target.pixels == "all":
            return torch.ones(shape, dtype=torch.bool, device=output.device)
        if head == "sigmoid":  # each class for itself; none may be there
            return output[:, index] > 0
        predicted = predicted_class(output, head)
        return predicted == (1 if output.shape[1] == 1 else index)
    if isinstance(target.pixels, tuple):
        mask = torch.zeros(shape[1:], dtype=torch.bool, device=output.device)
        inside = [0 <= place < side for place, side in zip(target.pixels, shape[1:], strict=False)]
        if len(target.pixels) != len(shape) - 1 or not all(inside):
            raise ValueError(f"pixel {target.pixels} lies outside the output's {shape[1:]} grid")
        mask[target.pixels] = True
        return mask.expand(shape)
    mask = torch.as_tensor(target.pixels, device=output.device)
    if tuple(mask.shape) != shape[1:]:
        raise ValueError(
            f"the target's pixel mask is {tuple(mask.shape)}, but the output's grid is "
            f"{shape[1:]}; where each image has a mask of its own, give one target for each"
        )
    return mask.bool().expand(shape)


def _fix_callable(target: Callable[[object], Tensor], count: int) -> FixedTarget:
    return _fix_callables([target] * count)


def _fix_callables(targets: Sequence[Callable[[object], Tensor]]) -> FixedTarget:
    """Each target is asked about the whole output, and answers for its own samples."""

    def score(raw: object, sample: Tensor) -> Tensor:
        owners = [targets[index] for index in sample.tolist()]
        answers = {id(target): _answer(target, raw, len(sample)) for target in owners}
        return torch.stack([answers[id(owner)][row] for row, owner in enumerate(owners)])

    count = len(targets)
    return FixedTarget(
        score=score,
        labels=tuple(getattr(t, "__name__", type(t).__name__) for t in targets),
        indices=(None,) * count,
        modes=("as given",) * count,
        reasons=(None,) * count,
    )


def _answer(target: Callable[[object], Tensor], raw: object, count: int) -> Tensor:
    numbers = target(raw)
    if not isinstance(numbers, Tensor) or numbers.shape != (count,):
        got = tuple(numbers.shape) if isinstance(numbers, Tensor) else type(numbers).__name__
        raise ValueError(
            f"the target must give one number per sample, so a tensor of ({count},), but gave "
            f"{got}; reduce over everything but the first axis, and hold nothing that belongs to "
            "single images: outputs come for any number of them"
        )
    return numbers


def _fix_each(targets: Sequence[TargetLike], output: object, count: int, head: Head) -> FixedTarget:
    callables = [target for target in targets if callable(target)]
    if len(callables) == count:
        return _fix_callables(callables)
    values = _rows(output, count)
    fixed = [_fix_one(t, values[i : i + 1], 1, head) for i, t in enumerate(targets)]

    def score(raw: object, sample: Tensor) -> Tensor:
        rows = _rows(raw, len(sample))
        zero = torch.zeros(1, dtype=torch.long, device=rows.device)
        numbers = [fixed[s].score(rows[i : i + 1], zero) for i, s in enumerate(sample.tolist())]
        return torch.cat(numbers)

    return FixedTarget(
        score=score,
        labels=tuple(f.labels[0] for f in fixed),
        indices=tuple(f.indices[0] for f in fixed),
        modes=tuple(f.modes[0] for f in fixed),
        reasons=tuple(f.reasons[0] for f in fixed),
    )


def with_score(target: TargetLike, mode: Literal["logit", "probability", "log-odds"]) -> TargetLike:
    """The same target read as logit, probability or log-odds; a callable stays as it is."""
    return target if callable(target) else replace(_as_target(target), score=mode)


def everywhere(target: TargetLike) -> TargetLike:
    """The same target of a segmentation averaged over all pixels; a callable stays as it is."""
    return target if callable(target) else replace(_as_target(target), pixels="all")


def _mode(target: Target, head: Head) -> str:
    if head in ("cumulative", "coral") and target.score == "logit":
        return "log-odds"
    return "value" if head == "identity" else target.score


def _classes(output: Tensor, head: Head) -> int:
    return output.shape[1] + (head in ("cumulative", "coral"))


def _check_class(index: int, classes: int) -> None:
    if not 0 <= index < classes:
        raise ValueError(
            f"class {index} does not exist: the model has {classes} classes, 0 to {classes - 1}"
        )


def _rows(output: object, count: int) -> Tensor:
    """The output as (sample, output, ...), whatever a model squeezed away or left of a grid of one.

    Raises:
        ValueError: No tensor, or one that is not of so many samples.
    """
    if not isinstance(output, Tensor):
        what = sorted(output) if isinstance(output, dict) else type(output).__name__
        raise ValueError(
            f"the model returned no tensor but {what}; pass a callable target that takes what it "
            "needs, for example target=lambda output: output['logits'][:, 3]"
        )
    rows = output
    if count == 1 and (rows.ndim == 0 or len(rows) != 1):
        rows = rows.unsqueeze(0)
    if len(rows) != count:
        raise ValueError(
            f"the model gave an output of shape {tuple(output.shape)} for {count} images; the "
            "first axis must be that of the images"
        )
    if rows.ndim == 1:
        rows = rows.unsqueeze(1)
    return rows.flatten(1) if rows.ndim > 2 and rows.shape[2:].numel() == 1 else rows


def as_sequence(target: object) -> list[TargetLike] | None:
    """The targets of the samples one by one, or `None` where one target is meant for all.

    Raises:
        TypeError: Something that is no target.
    """
    if isinstance(target, Tensor | np.ndarray):
        return target.tolist() if target.ndim else None
    if isinstance(target, Sequence) and not isinstance(target, str):
        return list(target)
    if target is None or isinstance(target, Integral | Target) or callable(target):
        return None
    raise TypeError(
        "target must be None, a class, a foveal.Target or a callable, or one of these per image, "
        f"but is {target!r}"
    )


def _as_target(target: object) -> Target:
    if isinstance(target, Target):
        return target
    if target is None:
        return Target()
    if isinstance(target, bool) or not isinstance(target, Integral) or target < 0:
        raise ValueError(f"a class is a number from 0 on, but is {target!r}")
    return Target(index=int(target))
