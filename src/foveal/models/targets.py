"""From the raw output of a model to one number per probe.

A target is fixed once, on the unperturbed images: the predicted class or the predicted pixels of
each sample stay what they were when its probes come back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from foveal.core import ScoreMode, Target
from foveal.models.heads import Head
from foveal.models.kinds import FixedTarget, fix_samples
from foveal.models.outputs import samples

TargetLike = None | int | Target | Callable[[object], Tensor]


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
            `None` for a segmentation or for several regression values, an output that is no
            tensor (nor detections) with a target that needs one.
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
    wanted = _as_target(target)
    fixed = fix_samples(wanted, samples(output, wanted.output, count), head)

    def score(raw: object, sample: Tensor) -> Tensor:
        return fixed.score(samples(raw, wanted.output, len(sample)), sample)

    return replace(fixed, score=score)


def _fix_each(targets: Sequence[TargetLike], output: object, count: int, head: Head) -> FixedTarget:
    """Each sample by itself; a callable is asked once about the whole output."""
    wanted = [target if callable(target) else _as_target(target) for target in targets]
    fixed = [
        fix_samples(one, samples(output, one.output, count)[row : row + 1], head)
        if isinstance(one, Target)
        else _fix_callable(one, 1)
        for row, one in enumerate(wanted)
    ]

    def score(raw: object, sample: Tensor) -> Tensor:
        probes, alone = len(sample), sample.new_zeros(1)
        answers: dict[int, Tensor] = {}
        numbers = []
        for row, owner in enumerate(sample.tolist()):
            one = wanted[owner]
            if isinstance(one, Target):
                own = samples(raw, one.output, probes)[row : row + 1]
                numbers.append(fixed[owner].score(own, alone))
                continue
            if id(one) not in answers:
                answers[id(one)] = _answer(one, raw, probes)
            numbers.append(answers[id(one)][row : row + 1])
        return torch.cat(numbers)

    return FixedTarget(
        score=score,
        labels=tuple(f.labels[0] for f in fixed),
        indices=tuple(f.indices[0] for f in fixed),
        modes=tuple(f.modes[0] for f in fixed),
        reasons=tuple(f.reasons[0] for f in fixed),
    )


def _fix_callable(target: Callable[[object], Tensor], count: int) -> FixedTarget:
    def score(raw: object, sample: Tensor) -> Tensor:
        return _answer(target, raw, len(sample))

    return FixedTarget(
        score=score,
        labels=(getattr(target, "__name__", type(target).__name__),) * count,
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


def with_score(target: TargetLike, mode: ScoreMode) -> TargetLike:
    """The same target read as logit, probability or log-odds; a callable stays as it is."""
    return target if callable(target) else replace(_as_target(target), score=mode)


def everywhere(target: TargetLike) -> TargetLike:
    """The same target of a segmentation averaged over all pixels; a callable stays as it is."""
    return target if callable(target) else replace(_as_target(target), pixels="all")


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
