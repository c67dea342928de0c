"""Does a method notice a ruined model? Asked once for a cohort, over images of several patients."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foveal.analysis.records import pooled_target
from foveal.core import Attribution, PlanError, Score
from foveal.explainers import AbstractExplainer, Frame
from foveal.explainers.engine import explain_batch
from foveal.explainers.request import Request, Task
from foveal.measures import mprt
from foveal.measures.sanity import FEWEST_PATIENTS
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.again import explainer_again
from foveal.run.one_image import network_of
from foveal.store import Case, Run
from foveal.store.tables import dumped

WITNESSES = 12
"""Patients that stand for the cohort, each with one image."""

Gates = dict[tuple[str, str], Score]
"""`mprt` over several patients with its verdict, by the model and the map's name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Witness:
    """One image that stands for its patient."""

    patient: str
    pixels: Float[np.ndarray, "channel row column"]
    """Prepared, in display units."""
    field: Bool[np.ndarray, "row column"]
    target: TargetLike
    """What its maps of the first question explain, its class fixed beforehand."""
    drawn: Mapping[tuple[str, str], Attribution]
    """All its maps, by their question and their names in the run."""

    @property
    def maps(self) -> dict[str, Attribution]:
        """By their names, for the first question."""
        first = next(iter(self.drawn))[0]
        return {key: made for (question, key), made in self.drawn.items() if question == first}


def gates_of(
    model: Model,
    witnesses: Sequence[Witness],
    *,
    seed: int,
    max_batch: int,
    explainers: Mapping[str, AbstractExplainer] = MappingProxyType({}),
) -> Gates:
    """For each method, whether its maps change when the model's weights are random.

    `explainers` made the maps; those that are not at hand are built again from the maps' settings,
    and methods for which that cannot be done have no gate. Fewer patients than a verdict needs give
    nothing, and no pass is sent.
    """
    if len(witnesses) < FEWEST_PATIENTS:
        return {}
    pixels = torch.from_numpy(np.stack([one.pixels for one in witnesses])).to(model.device)
    found: Gates = {}
    for key in witnesses[0].maps:
        made = [one.maps[key] for one in witnesses if key in one.maps]
        if len(made) < len(witnesses):
            continue
        with suppress(PlanError):
            task = _task(made[0], explainers.get(key) or explainer_again(made[0]))
            found[model.card.name, key] = mprt(
                _explaining(model, task, witnesses, seed=seed, max_batch=max_batch),
                pixels,
                model=model.module,
                field=np.logical_and.reduce([one.field for one in witnesses]),
                patients=[one.patient for one in witnesses],
                seed=seed,
            )
    return found


def witnesses_of(cases: Iterable[Case], model: Model) -> list[Witness]:
    """The first image of each patient, of as many patients as are asked.

    Where no patient is known the eye stands for one, else the image.
    """
    found: dict[str, Witness] = {}
    for case in cases:
        patient = case.patient or case.eye or case.id
        for view in case.views:
            if view.model == model.card.name and view.explained and patient not in found:
                name = view.explained[0].attribution.target.removeprefix("predicted: ")
                found[patient] = Witness(
                    patient=patient,
                    pixels=view.pixels,
                    field=view.field,
                    target=model.target(name),
                    drawn={
                        (pooled_target(one.attribution.target), one.key): one.attribution
                        for one in view.explained
                    },
                )
        if len(found) == WITNESSES:
            break
    return list(found.values())


def gate_facts(gates: Gates) -> list[dict[str, object]]:
    """Gates in plain values, as `run.json` keeps them."""
    return [
        {"model": model, "key": key, "score": json.loads(dumped(_facts(score)))}
        for (model, key), score in gates.items()
    ]


def gates_kept(run: Run) -> Gates:
    """The gates of a run; none in a run that did not ask for them."""
    kept: Sequence[Mapping[str, Any]] = run.header.get("gates", [])  # type: ignore[assignment]
    return {(one["model"], one["key"]): _score(one["score"]) for one in kept}


def _task(made: Attribution, explainer: AbstractExplainer) -> Task:
    layers = tuple(made.layer.split(" + ")) if made.layer else ()
    return Task(explainer=explainer, layers=layers or (("",) if explainer.watches_layer else ()))


def _explaining(
    model: Model, task: Task, witnesses: Sequence[Witness], *, seed: int, max_batch: int
) -> Callable[[Tensor], Tensor]:
    """From the witnesses' images to their maps."""
    fields = torch.from_numpy(np.stack([one.field for one in witnesses])).to(model.device)
    request = Request(
        target=[one.target for one in witnesses],
        head=model.head,
        frame=Frame(display=True, field=fields),
        seed=seed,
        max_batch=model.batch or max_batch,
    )

    def explain(batch: Tensor) -> Tensor:
        maps = explain_batch(network_of(model), batch, {"": task}, request)[""].maps
        if maps is None:
            raise PlanError(f"{task.explainer.name} gives no map that could be asked for again")
        return maps

    return explain


def _facts(score: Score) -> dict[str, object]:
    held = {field.name: getattr(score, field.name) for field in fields(Score)}
    return {name: dict(part) if isinstance(part, Mapping) else part for name, part in held.items()}


def _score(facts: Mapping[str, Any]) -> Score:
    null = None if facts["null"] is None else tuple(facts["null"])
    return Score(**{**facts, "range": tuple(facts["range"]), "null": null})
