"""What a run will cost, said before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from foveal.core import ModelError
from foveal.explainers import AbstractExplainer, Frame, Seen, Watched
from foveal.measures import RandomSettings
from foveal.measures.noise import REPEATS
from foveal.measures.nuisances import NuisanceModality, nuisances
from foveal.measures.reinitialise import running_order, stages_of
from foveal.measures.sanity import FEWEST_PATIENTS
from foveal.models import Model
from foveal.models.borrow import borrowed
from foveal.models.layers import choose, recorded
from foveal.run.again import GRADIENTS, STABILITY
from foveal.run.casework import targets_of
from foveal.run.diagnosing import GATE
from foveal.run.gating import WITNESSES
from foveal.run.local import Job
from foveal.run.plan import ModelTable, Plan
from foveal.store import Run

_NAMES_A_CLASS = ("multiclass", "binary", "ordinal")
_BACKWARD = 2
"""A backward pass counts as two forward ones."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Passes that a run has before it, and the time they take here."""

    images: int
    """Those that are not done yet."""
    forward: int
    backward: int
    minutes: float

    def __str__(self) -> str:
        time = f"{self.minutes:.0f} min" if self.minutes >= 2 else f"{60 * self.minutes:.0f} s"
        return (
            f"{self.images} images: {self.forward:,} forward and {self.backward:,} backward "
            f"passes, which take about {time} on this machine"
        )


def estimate(job: Job) -> Estimate:
    """Count the passes of a run, and time one to say how long they will take."""
    kept = Run(job.folder, {})
    left = sum(len(job.shard(number)) for number in job.shards if not kept.done(number))
    forward = backward = 0
    seconds = 0.0
    for model, table in zip(job.models, job.plan.models, strict=True):
        targets = len(targets_of(model, table))
        layers = max(1, len(table.layers or ()))
        ahead, back = _passes_of_image(job.plan, model, table, targets, layers)
        gate_ahead, gate_back = _passes_of_gate(job, model, layers) if left else (0, 0)
        ahead, back = ahead * left + gate_ahead, back * left + gate_back
        forward += ahead
        backward += back
        seconds += (ahead + _BACKWARD * back) * _seconds_of_pass(model)
    return Estimate(images=left, forward=forward, backward=backward, minutes=seconds / 60)


def estimate_alone(
    model: Model, table: ModelTable, explainers: Sequence[AbstractExplainer], images: int
) -> Estimate:
    """Count the passes of methods that are asked one by one, each with a shared pass of its own."""
    shape = (model.card.input.channels, *model.card.input.size)
    maps = images * len(targets_of(model, table))
    channels = _channels(model, table)
    forward, backward = images, 0
    for explainer in explainers:
        places = max(1, len(table.layers or ())) if explainer.watches_layer else 1
        ahead, back = planned_passes(explainer, shape, channels)
        forward += maps * (1 + places * ahead)
        backward += maps * (places * back + explainer.wants.backward)
    seconds = (forward + _BACKWARD * backward) * _seconds_of_pass(model)
    return Estimate(images=images, forward=forward, backward=backward, minutes=seconds / 60)


def planned_passes(
    explainer: AbstractExplainer, shape: Sequence[int], channels: int = 1
) -> tuple[int, int]:
    """Forward and backward passes of a method beside the shared one, for one image.

    `channels` are those of the watched layer: some methods send a probe for each.
    """
    blank = torch.zeros(1, *shape)
    watched = Watched(activation=torch.zeros(1, channels, *[2] * len(shape[1:])))
    clean = Seen(images=blank, scores=torch.zeros(1), layers={"": watched})
    sets = explainer.probes(clean, Frame(display=True))
    needs_gradient = [p for p in sets if p.wants.input_gradient or p.wants.gradient]
    return sum(p.count for p in sets), sum(p.count for p in needs_gradient)


def _passes_of_image(
    plan: Plan, model: Model, table: ModelTable, targets: int, layers: int
) -> tuple[int, int]:
    shape = (model.card.input.channels, *model.card.input.size)
    explainers = plan.explainers().values()
    scores_of_channels = any({"activations", "scores"} <= set(e.needs) for e in explainers)
    channels = _channels(model, table) if scores_of_channels else 1
    places = [layers if explainer.watches_layer else 1 for explainer in explainers]
    own = [planned_passes(explainer, shape, channels) for explainer in explainers]
    needs_gradient = any(e.wants.gradient or e.wants.input_gradient for e in explainers)
    per_target = 1 + sum(n * forward for n, (forward, _) in zip(places, own, strict=True))
    per_target += plan.trials.passes(
        model.card.input.size,
        maps=sum(places) + len(plan.maps),
        log_odds=model.card.task not in ("segmentation", "regression"),
        lesions=any(table.regions or "drusen" in table.layers for table in plan.images),
    )
    backward = needs_gradient + sum(n * back for n, (_, back) in zip(places, own, strict=True))
    ahead, back = _passes_again(plan, model, list(zip(explainers, places, own, strict=True)))
    return 1 + targets * (per_target + ahead), targets * (backward + back)


def _passes_of_gate(job: Job, model: Model, layers: int) -> tuple[int, int]:
    """Of asking once, over several patients, whether the methods notice a ruined model.

    Who the patients are only the files may tell: without a manifest each image is another one's.
    """
    witnesses = min(WITNESSES, len({entry.patient or entry.name for entry in job.entries}))
    if GATE not in job.plan.measure_names or witnesses < FEWEST_PATIENTS:
        return 0, 0
    times = witnesses * _explanations_of_sanity({GATE}, model)
    shape = (model.card.input.channels, *model.card.input.size)
    forward = backward = 0
    for explainer in job.plan.explainers().values():
        maps = layers if explainer.watches_layer else 1
        ahead, back = planned_passes(explainer, shape)
        forward += times * maps * (1 + ahead)
        backward += times * maps * (explainer.wants.backward + back)
    return forward, backward


def _passes_again(
    plan: Plan,
    model: Model,
    methods: Sequence[tuple[AbstractExplainer, int, tuple[int, int]]],
) -> tuple[int, int]:
    """Of the measures that explain an image again or look at its gradients, for one target.

    `methods` come with how many maps they make and with the passes of each beside the shared one.
    """
    names = set(plan.measure_names)
    health = not names.isdisjoint(GRADIENTS) and any(True for _ in model.module.parameters())
    forward = backward = int(health)
    noisy = 0 if names.isdisjoint(STABILITY) else plan.measures.perturbations + 1
    repeats = REPEATS + 1 if "repeat_variance" in names else 0
    moved = 1 + _nuisances(plan, model) if "nuisance_stability" in names else 0
    sane = _explanations_of_sanity(names, model)
    asked = [own for _, _, own in methods if plan.costly or own[0] == 0]
    if asked and model.card.task in _NAMES_A_CLASS:
        forward += noisy + moved  # what the model predicts for them, once for all methods
    for explainer, maps, own in methods:
        times = maps * (sane + (noisy + repeats + moved) * (own in asked))
        forward += times * (1 + own[0])
        backward += times * (explainer.wants.backward + own[1])
    return forward, backward


def _nuisances(plan: Plan, model: Model) -> int:
    """Changes of an image that a clinic may make, the most of any modality that is named."""
    size, channels = model.card.input.size, model.card.input.channels
    named: set[NuisanceModality] = {
        "oct" if t.modality == "oct" or (t.sections and t.modality is None) else "fundus"
        for t in plan.images
    }
    return max(len(list(nuisances(modality, size, channels))) for modality in named)


def _explanations_of_sanity(names: set[str], model: Model) -> int:
    """Of one map: one and one for each stage and seed, and one of another class."""
    several = model.card.task == "multiclass" and model.card.outputs != 1
    count = int("random_logit" in names and several)
    if "mprt" not in names or not any(True for _ in model.module.parameters()):
        return count
    with borrowed(model.module), torch.no_grad(), running_order(model.module) as order:
        model.forward(_grey(model, 1))
    chosen = RandomSettings()
    stages = len(stages_of(model.module, order, chosen.stages))
    return count + 1 + chosen.seeds * stages


def _channels(model: Model, table: ModelTable) -> int:
    """Channels of the layer that is watched; 1 where the run itself will say that none can be."""
    images = _grey(model, 1)
    named = table.layers or model.card.explain.layers
    try:
        if not named:
            target = targets_of(model, table)[0]
            return choose(model.module, images, model.forward, target, model.head).channels
        with borrowed(model.module), torch.no_grad(), recorded(model.module) as runs:
            model.forward(images)
    except ModelError:
        return 1
    return next((run.output.shape[1] for run in runs if run.name == named[0]), 1)


def _grey(model: Model, count: int) -> Tensor:
    size = (count, model.card.input.channels, *model.card.input.size)
    return torch.full(size, 0.5, device=model.device)


def _seconds_of_pass(model: Model) -> float:
    """Of one image in a small batch, the better of two tries."""
    count = model.batch or 4
    images = _grey(model, count)
    tries = []
    for _ in range(2):
        started = perf_counter()
        model.output(images)
        tries.append((perf_counter() - started) / count)
    return min(tries)
