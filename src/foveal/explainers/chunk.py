"""Some images of a batch on their way through the model: the shared pass, probes, folds."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from foveal.core import FovealWarning, ModelError, ScoreMode
from foveal.explainers.base import Cover, Draw, Frame, Probes, Seen, Wants, Watched
from foveal.explainers.covering import partial_scores, split_for, worth_splitting
from foveal.explainers.passes import Passes, Sight
from foveal.explainers.rehearsal import Rehearsal
from foveal.explainers.request import Outcome, Progress, Request, Task, checked, undefined_as_nan
from foveal.explainers.reuse import Windowed
from foveal.explainers.scorer import Scorer
from foveal.explainers.watching import Watch
from foveal.models.folding import folded
from foveal.models.layouts import Layout, layout_of
from foveal.models.targets import FixedTarget, TargetLike, as_sequence, fix, with_score

_MANY_PROBES, _MANY_PIXELS = 32, 128**2
"""With fewer of either, finding out how to make the model lighter takes as long as it saves."""


class Chunk:
    """At most `bound` images of a batch on their way through the model."""

    def __init__(
        self,
        passes: Passes,
        images: Tensor,
        tasks: Mapping[str, Task],
        request: Request,
        bound: int,
        where: slice,
        examples: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        total, images = len(images), images[where]
        self.examples = examples
        self.passes = passes
        self.images = images
        self.tasks = tasks
        self.request = request
        self.bound = bound
        targets = as_sequence(request.target)
        self.target = request.target if targets is None else targets[where]
        field = request.frame.field
        self.frame = replace(
            request.frame,
            field=None if field is None else field[where],
            first=where.start,
            total=total,
            draw=Draw(request.seed),
            beside=tuple(one[where] for one in request.beside),
        )
        self.layouts: dict[str, Layout] = {}
        """How each watched layer keeps its places."""
        self.fixed: dict[ScoreMode, FixedTarget] = {}
        self.scores: dict[ScoreMode, Tensor] = {}
        """Of the images themselves."""

    def explain(self) -> dict[str, Outcome]:
        started, forwards, backwards = perf_counter(), self.passes.forwards, self.passes.backwards
        sight = self._clean_pass()
        modules = self.passes.network.parts()
        for watch, activation in sight.activations.items():
            layer = watch.layer
            self.layouts[layer] = grid_layout(layer, modules[layer], activation, self.images)
        shared = {
            "shared_seconds": perf_counter() - started,
            "shared_forward": self.passes.forwards - forwards,
            "shared_backward": self.passes.backwards - backwards,
        }
        self._warn_of_reuse(sight)
        plans = {key: self._planned(key, task, sight) for key, task in self.tasks.items()}
        # The dear ones last: a method that the model cannot serve is to say so before them.
        order = sorted(plans, key=lambda key: plans[key].count)
        found = {key: self._done(key, plans[key], sight, shared) for key in order}
        return {key: found[key] for key in self.tasks}

    def _clean_pass(self) -> Sight:
        """The pass over the images themselves, for the union of all wants."""
        wants = [task.explainer.wants for task in self.tasks.values()]
        sample = torch.arange(len(self.images), device=self.images.device)

        modes: list[ScoreMode] = ["logit", *(t.explainer.weighs_by for t in self.tasks.values())]

        def score(output: object) -> Tensor:
            for mode in dict.fromkeys(modes):
                target = self.target if mode == "logit" else _read_as(self.target, mode)
                fixed = fix(target, output, count=len(self.images), head=self.request.head)
                self.fixed[mode], self.scores[mode] = fixed, fixed.score(output, sample)
            return self.scores["logit"]

        return self.passes.send(
            self.images,
            score,
            watches=[w for task in self.tasks.values() for w in task.watches()],
            layer_gradients=any(w.gradient for w in wants),
            input_gradient=any(w.input_gradient for w in wants),
            instruments=[w.instrument for w in wants if w.instrument is not None],
            instrument_gradients=any(w.instrument_gradient for w in wants),
            beside=self.frame.beside,
        )

    def _done(self, key: str, plan: "_Plan", sight: Sight, shared: Mapping[str, float]) -> Outcome:
        """What one method makes of the images; among several, a refusal says whose it is."""
        try:
            return self._explain_task(key, plan, sight, shared)
        except ModelError as refusal:
            if len(self.tasks) == 1:
                raise
            raise ModelError(f"{key}: {refusal}; without it the others can be had") from refusal

    def _planned(self, key: str, task: Task, sight: Sight) -> "_Plan":
        """What one method saw of the images, and the probes that it sends because of it."""
        started = perf_counter()
        fixed, scores = self._asked(task)
        scorer = partial(Scorer, self.passes, fixed, beside=self.frame.beside)
        frame = replace(self.frame, examples=self.examples[key], scorer=scorer)
        everything = slice(0, len(self.images))
        clean = self._seen(self.images, sight, task, task.explainer.wants, everything)
        clean = replace(clean, scores=scores)
        probes = task.explainer.probes(clean, frame)
        seconds = perf_counter() - started
        return _Plan(clean=clean, frame=frame, probes=probes, seconds=seconds)

    def _explain_task(
        self, key: str, plan: "_Plan", sight: Sight, shared: Mapping[str, float]
    ) -> Outcome:
        started, forwards, backwards = perf_counter(), self.passes.forwards, self.passes.backwards
        task, clean = self.tasks[key], plan.clean
        fixed, scores = self._asked(task)
        sending = _Sending(_Counter(self.request.progress, plan.count))
        with self._lightened(task, plan.probes) as light:
            if light:  # rounded as the answers will be, so that equal images have equal scores
                clean = replace(clean, scores=self._scores_again(fixed))
            answers = [self._answers(task, probes, sending) for probes in plan.probes]
            fold = task.explainer.fold(clean, answers, plan.frame)
        maps, reasons = None, fixed.reasons
        if fold.map is not None:
            maps, reasons = checked(fold.map.detach().float(), fixed.reasons)
        return Outcome(
            maps=maps,
            scores=undefined_as_nan(scores.float(), fixed.reasons),
            labels=fixed.labels,
            indices=fixed.indices,
            modes=fixed.modes,
            reasons=reasons,
            parts={**fold.parts, **_where_watched(task, sight), **sending.found()},
            notes=fold.notes,
            cost={
                "seconds": plan.seconds + perf_counter() - started,
                "forward": self.passes.forwards - forwards,
                "backward": self.passes.backwards - backwards,
                **shared,
            },
        )

    def _lightened(
        self, task: Task, plan: Sequence[Probes]
    ) -> AbstractContextManager[Sequence[str]]:
        """The model with less to compute, where many probes make it worth finding out how."""
        module = self.passes.network.module
        many = sum(probes.count for probes in plan) >= _MANY_PROBES
        large = self.images.shape[2:].numel() >= _MANY_PIXELS
        instruments = any(probes.wants.instrument is not None for probes in plan)
        if module is None or instruments or not (many and large):
            return nullcontext(())
        beside = [one[:1] for one in self.frame.beside]
        return folded(
            module, self.images[:1], lambda one: self.passes.output(one, *beside), keep=task.layers
        )

    def _scores_again(self, fixed: FixedTarget) -> Tensor:
        sample = torch.arange(len(self.images), device=self.images.device)
        return self.passes.send(
            self.images, lambda output: fixed.score(output, sample), beside=self.frame.beside
        ).scores

    def _answers(self, task: Task, probes: Probes, sending: "_Sending") -> Iterator[Seen]:
        """One `Seen` a probe, in order."""
        cover = probes.cover
        if cover is not None and not self.frame.beside and worth_splitting(self.passes, cover):
            windowed = split_for(self.passes, self.images, cover, self.bound)
            if isinstance(windowed, Windowed):
                sending.parts["computed_share"] = windowed.share
                return self._partial_answers(task, windowed, cover, sending)
            sending.parts["whole_passes_because"] = windowed.reason
        return self._whole_answers(task, probes, sending)

    def _partial_answers(
        self, task: Task, windowed: Windowed, cover: Cover, sending: "_Sending"
    ) -> Iterator[Seen]:
        """As whole passes would give them, computed only as far as each window reaches."""
        (fixed, _), samples = self._asked(task), len(self.images)
        found: list[list[Tensor]] = [[] for _ in range(samples)]
        for number, scores in partial_scores(
            windowed, self.passes, self.images, cover, fixed.score
        ):
            found[number].append(scores)
            sending.counter.advance(len(scores) / samples)
        for scores in torch.stack([torch.cat(own) for own in found], dim=1):
            yield Seen(images=self.images, scores=scores)

    def _whole_answers(self, task: Task, probes: Probes, sending: "_Sending") -> Iterator[Seen]:
        """Several probes travel in one pass where they fit."""
        (fixed, _), samples = self._asked(task), len(self.images)
        together = max(1, self.bound // samples)
        for first in range(0, probes.count, together):
            group = range(first, min(first + together, probes.count))
            batch = torch.cat([probes.build(number) for number in group])
            sample = torch.arange(samples, device=batch.device).repeat(len(group))
            wants = probes.wants
            send = partial(
                self.passes.send,
                batch,
                lambda output, sample=sample: fixed.score(output, sample),
                watches=task.watches() if wants.layer else (),
                layer_gradients=wants.gradient,
                input_gradient=wants.input_gradient,
                instruments=[] if wants.instrument is None else [wants.instrument],
                instrument_gradients=wants.instrument_gradient,
                edits=self._edits(task, probes, group),
                beside=self._beside(probes, group),
            )
            sight = send()
            rehearsal = sending.rehearsal
            if self.request.precision == "bf16" and not wants.backward and rehearsal.open:
                full = send(precision="float32").scores
                rehearsal.saw(sight.scores.reshape(-1, samples), full.reshape(-1, samples))
            for start in range(0, len(batch), samples):
                sending.counter.advance(1)
                yield self._seen(batch, sight, task, wants, slice(start, start + samples))

    def _edits(
        self, task: Task, probes: Probes, group: Sequence[int]
    ) -> dict[str, Callable[[Tensor], Tensor]]:
        """What a pass of several probes does to the watched layer."""
        edit = probes.edit
        if edit is None:
            return {}
        samples = len(self.images)

        def edited(layout: Layout, output: Tensor) -> Tensor:
            parts = zip(group, layout.to_grid(output).split(samples), strict=True)
            return layout.from_grid(torch.cat([edit(n, part) for n, part in parts]), output)

        return {layer: partial(edited, self.layouts[layer]) for layer in task.layers}

    def _beside(self, probes: Probes, group: Sequence[int]) -> tuple[Tensor, ...]:
        if not self.frame.beside:
            return ()
        each = [probes.beside(n) if probes.beside else self.frame.beside for n in group]
        return tuple(torch.cat(parts) for parts in zip(*each, strict=True))

    def _seen(self, images: Tensor, sight: Sight, task: Task, wants: Wants, rows: slice) -> Seen:
        """What one task may see of some images of a pass that may have been shared."""
        layers = {
            watch.layer: Watched(
                activation=self._on_grid(watch, sight.activations, rows),
                gradient=self._on_grid(watch, sight.gradients, rows) if wants.gradient else None,
            )
            for watch in task.watches()
            if watch in sight.activations and wants.layer
        }
        gradient = sight.input_gradient if wants.input_gradient else None
        reading = None if wants.instrument is None else sight.readings[wants.instrument]
        return Seen(
            images=images[rows],
            scores=sight.scores[rows],
            input_gradient=None if gradient is None else gradient[rows],
            layers=layers,
            reading=None if reading is None else reading.rows(rows),
        )

    def _on_grid(self, watch: Watch, seen: Mapping[Watch, Tensor], rows: slice) -> Tensor:
        return self.layouts[watch.layer].to_grid(seen[watch][rows])

    def _asked(self, task: Task) -> tuple[FixedTarget, Tensor]:
        """What a task explains, and its scores: fixed by the pass over the images themselves."""
        mode = task.explainer.weighs_by
        return self.fixed[mode], self.scores[mode].detach()

    def _warn_of_reuse(self, sight: Sight) -> None:
        for layer, calls in sight.calls.items():
            if calls > 1:
                warnings.warn(
                    f"layer {layer!r} ran {calls} times in one pass; its last run is explained",
                    FovealWarning,
                    stacklevel=2,
                )


def grid_layout(layer: str, part: nn.Module, output: Tensor, images: Tensor) -> Layout:
    """How a watched layer keeps its places.

    Raises:
        ModelError: It keeps none.
    """
    layout = layout_of(part, output, images)
    if layout is None:
        raise ModelError(
            f"layer {layer!r} gives {tuple(output.shape)}, which has no rows and columns to make a "
            f"map of for images of {tuple(images.shape)}; choose a layer before pooling or "
            "flattening, with a grid or a row of tokens"
        )
    return layout


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What one method is about to do with the images of a chunk."""

    clean: Seen
    frame: Frame
    probes: Sequence[Probes]
    seconds: float
    """What planning took."""

    @property
    def count(self) -> int:
        """How many probes it sends."""
        return sum(probes.count for probes in self.probes)


class _Counter:
    def __init__(self, progress: Progress | None, planned: int) -> None:
        self.progress = progress
        self.planned = planned
        self.done = 0.0

    def advance(self, probes: float) -> None:
        self.done += probes
        if self.progress is not None:
            self.progress(round(self.done), self.planned)


class _Sending:
    """What is learnt while the probes of one task are sent."""

    def __init__(self, counter: _Counter) -> None:
        self.counter = counter
        self.rehearsal = Rehearsal()
        self.parts: dict[str, object] = {}
        """What was saved on the way, or why nothing was."""

    def found(self) -> dict[str, object]:
        """The parts, and how far half precision ranks the probes as full precision does."""
        agreement = self.rehearsal.rank_correlation()
        return self.parts | ({} if agreement is None else {"bf16_rank_correlation": agreement})


def _read_as(target: object, mode: ScoreMode) -> list[TargetLike] | TargetLike:
    """The same target or targets, classes read as logit, probability or log-odds."""
    each = as_sequence(target)
    if each is not None:
        return [with_score(one, mode) for one in each]
    return with_score(target.item() if isinstance(target, Tensor) else target, mode)  # type: ignore[arg-type]


def _where_watched(task: Task, sight: Sight) -> dict[str, object]:
    """Which layers were watched after their activation function, where any was."""
    after = [w.layer for w in task.watches() if w in sight.after_activation]
    return {"after_activation": tuple(after)} if after else {}
