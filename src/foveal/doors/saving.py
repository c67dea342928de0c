"""A result in memory as a run on disk."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Literal

import torch

from foveal.analysis.shuffled import shuffled_facts
from foveal.core import Score
from foveal.doors.result import Result
from foveal.report import proof_of, write_audit, write_figures, write_page
from foveal.run.diagnosing import renew_findings
from foveal.run.elsewhere import elsewhere_facts
from foveal.run.gating import gate_facts
from foveal.run.header import facts, machine, mark, method_facts
from foveal.run.identity import key_beside, numbered, open_identity, save_identity
from foveal.run.one_image import settings_of
from foveal.run.together import Together
from foveal.store import Run, at_work


def save_result(result: Result, folder: Path, *, identity: Literal["pseudonym", "keep"]) -> Path:
    """Write everything and its report; a run of the same images and methods is replaced.

    Raises:
        StoreError: The folder holds another run or other files, or cannot be written, or another
            process is at work in it.
    """
    question = result.question
    methods = [{"name": key, **settings_of(e)} for key, e in question.explainers.items()]
    targets = sorted({a.target for a in result.attributions})
    plan = {
        "made with": "foveal.explain",
        "targets": targets,
        "methods": methods,
        "seed": question.seed,
        "precision": question.precision,
        "max_batch": question.max_batch,
    }
    names = numbered([one.source or f"image {n}" for n, one in enumerate(result.images)])
    hashes = [image.sha256 for image in result.images]
    header = {
        "name": f"{result.model.card.name} on {len(names)} image{'s' if len(names) > 1 else ''}",
        "fingerprint": mark([plan, hashes, result.model.fingerprint]),
        "identity": identity,
        "level": None,
        "seed": question.seed,
        "threads": torch.get_num_threads(),
        "images": len(names),
        "images_per_shard": len(names),
        "shards": 1,
        "plan": plan,
        "command": "result.save(FOLDER)",
        "together": [_over_all_images(one) for one in result.together],
        "gates": gate_facts(result.gates),
        "shuffled": shuffled_facts(result.shuffled),
        **facts(question.explainers, [result.model], measured_names(result)),
    }
    header["methods"] = [*header["methods"], *_elsewhere(result)]
    with at_work(folder):
        run = Run.create(folder, header)
        run.sweep()
        key = key_beside(folder)
        known = open_identity(key, keep=identity == "keep", new=not run.done(0))
        cases = [r.case(known, name=n) for r, n in zip(result.readings, names, strict=True)]
        save_identity(known, key)
        run.write(0, cases, again=run.done(0))
        run.write_header({**run.header, **header})
        renew_findings(run)
        run.log("finished", machine=machine(), images=len(names), failed=0)
    proof = proof_of(run)
    write_figures(run, proof=proof)
    write_audit(run, proof=proof)
    return write_page(run, proof=proof)


def check_folder(folder: Path) -> None:
    """Find out before long work whether a run could be written there.

    Raises:
        StoreError: It holds other files, or cannot be written.
    """
    with at_work(folder):
        if not (folder / "run.json").exists():
            Run.create(folder, {}).discard()


def measured_names(result: Result) -> list[str]:
    """The measures of maps that were made, each once."""
    measured = [m for reading in result.readings for own in reading.scores.values() for m in own]
    return list(dict.fromkeys(m.score.name for m in measured))


def _elsewhere(result: Result) -> list[Mapping[str, object]]:
    """What is told of the maps that were made elsewhere, of each name once."""
    made = {a.key: a.attribution for r in result.readings for a in r.answers if not a.explainer}
    return [
        elsewhere_facts(key, grid=one.settings["grid"], source=one.settings.get("source", ""))
        for key, one in made.items()
    ]


def _over_all_images(one: Together) -> dict[str, object]:
    """A score over all images in plain values, with its method's card."""
    score = {field.name: getattr(one.score, field.name) for field in fields(Score)}
    plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in score.items()}
    return {"method": method_facts(one.key, one.explainer), "target": one.target, "score": plain}
