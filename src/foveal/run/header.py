"""What `run.json` says of a run: enough to read it years later without the model."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

import torch

from foveal.explainers import AbstractExplainer
from foveal.measures import MEASURES
from foveal.models import Model
from foveal.run.calibrating import calibrator_of
from foveal.run.cohort import Entry, cohort_mark
from foveal.run.elsewhere import elsewhere_facts
from foveal.run.knowledge import FocusScale, focus_facts, proof_facts, scale_for
from foveal.run.one_image import settings_of
from foveal.run.plan import Plan

_PACKAGES = ("foveal", "torch", "numpy", "scipy", "pillow", "pydicom", "tifffile", "imagecodecs")


def header(
    plan: Plan,
    entries: Sequence[Entry],
    models: Sequence[Model],
    *,
    threads: int,
    command: str,
    scales: Mapping[str, FocusScale] = MappingProxyType({}),
) -> dict[str, object]:
    """The contents of `run.json`, with paths only where the plan keeps identity.

    `scales` are the expected focus of models for which the plan names one.
    """
    size = plan.output.images_per_shard
    return {
        "name": plan.name,
        "fingerprint": fingerprint(plan, entries, models),
        "identity": plan.output.identity,
        "level": plan.level,
        "seed": plan.seed,
        "threads": threads,
        "images": len(entries),
        "images_per_shard": size,
        "shards": math.ceil(len(entries) / size),
        "plan": plan_in_public(plan, models),
        "command": command,
        **facts(plan.explainers(), models, plan.measure_names, scales),
        "methods": _methods_of(plan),
    }


def _methods_of(plan: Plan) -> list[Mapping[str, object]]:
    """What draws maps here, then what was drawn elsewhere."""
    own = [method_facts(key, explainer) for key, explainer in plan.explainers().items()]
    return own + [
        elsewhere_facts(table.name, grid=table.grid, source=table.source, signed=table.signed)
        for table in plan.maps
    ]


def facts(
    explainers: Mapping[str, AbstractExplainer],
    models: Sequence[Model],
    measures: Sequence[str],
    scales: Mapping[str, FocusScale] = MappingProxyType({}),
) -> dict[str, object]:
    """What every header says of models, methods, measures and versions, and what is expected."""
    return {
        "versions": versions(),
        "models": [model_facts(model) for model in models],
        "methods": [method_facts(key, explainer) for key, explainer in explainers.items()],
        "measures": measure_facts(measures),
        "expected_focus": {m.card.name: _focus_facts(m, scales) for m in models},
        "proof": proof_facts(model.card.task for model in models),
    }


def _focus_facts(model: Model, scales: Mapping[str, FocusScale]) -> dict[str, object] | None:
    """What its classes should rest on; `None` where no scale was chosen and none is sure."""
    scale = scales.get(model.card.name) or scale_for(model.card.classes)
    return None if scale is None else focus_facts(scale, model.card.classes)


def fingerprint(plan: Plan, entries: Sequence[Entry], models: Sequence[Model]) -> str:
    """SHA-256 of everything that the results depend on, apart from the software's versions."""
    no_result = {"output": {"folder", "report", "figures", "key"}, "statement": True}
    table = plan.model_dump(mode="json", exclude=no_result)
    marks = [model.fingerprint for model in models]
    calibrators = [facts for model in models if (facts := _calibrator_facts(model)) is not None]
    return mark([table, cohort_mark(entries), marks, *calibrators])


def mark(plain: object) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def plan_in_public(plan: Plan, models: Sequence[Model]) -> dict[str, object]:
    """The plan as the run tells it: without paths unless identity is kept."""
    table = plan.model_dump(mode="json", by_alias=True, exclude_none=True)
    if plan.output.identity == "keep":
        return table
    for images_table in table["images"]:
        for key in ("files", "manifest", "regions", "lines"):
            if key in images_table:
                images_table[key] = f"<{key}>"
    for maps_table in table["maps"]:
        maps_table["files"] = "<files>"
    for model_table, model in zip(table["models"], models, strict=True):
        model_table["card"] = f"<card of {model.card.name}>"
        if model_table.get("expected_focus", "").endswith(".toml"):
            model_table["expected_focus"] = "<expected focus>"
    table["output"] = {**table["output"], "folder": "<folder>"}
    table["output"].pop("key", None)
    return table


def model_facts(model: Model) -> dict[str, object]:
    """A model's card in what matters to a reader."""
    card = model.card
    return {
        "name": card.name,
        "task": card.task,
        "head": card.activation,
        "classes": list(card.classes),
        "unit": card.output.unit,
        "input": card.input.model_dump(mode="json"),
        "layers": list(card.explain.layers),
        "fingerprint": model.fingerprint,
        "gives": sorted(model.gives),
        "check": model.check,
        "notes": list(model.notes),
        "calibrator": _calibrator_facts(model),
        "parameters": sum(p.numel() for p in model.module.parameters()),
    }


def _calibrator_facts(model: Model) -> dict[str, object] | None:
    """What a reader must know of the calibrator, its numbers by their SHA-256."""
    fitted = calibrator_of(model)
    if fitted is None:
        return None
    kept = ("rows", "units", "unit", "split")
    return {
        "method": fitted.calibrator.method,
        "numbers": mark(vars(fitted.calibrator)),
        **{name: getattr(fitted, name) for name in kept},
        "measured": {name: list(pair) for name, pair in fitted.measured.items()},
        "deferral": None if fitted.deferral is None else asdict(fitted.deferral),
    }


def method_facts(key: str, explainer: AbstractExplainer) -> dict[str, object]:
    """A method's card and settings."""
    return {
        "key": key,
        "name": explainer.name,
        "settings": settings_of(explainer),
        "needs": list(explainer.needs),
        **asdict(explainer.card),
    }


def measure_facts(names: Sequence[str]) -> list[dict[str, object]]:
    """The cards of the measures that run; infinite bounds are null."""
    known = {card.name: asdict(card) for card in MEASURES}
    found = [dict(known[name]) for name in names]
    for fact in found:
        fact["range"] = [None if math.isinf(bound) else bound for bound in fact["range"]]
        fact["needs"] = list(fact["needs"])
    return found


def versions() -> Mapping[str, str]:
    """Of Python and of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            continue
    return found


def machine() -> dict[str, object]:
    """What a run's times depend on, without the machine's name."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
