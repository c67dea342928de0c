"""The report for machines: everything the page tells, as JSON with a schema, without pixels."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from foveal.analysis.faithfulness import informative_gain
from foveal.analysis.gains import GAIN, Blind, blind_baselines
from foveal.analysis.records import pooled_target
from foveal.analysis.shuffled import against_shuffled, shuffled_kept
from foveal.core import REASONS, StoreError
from foveal.report.carry import way_of
from foveal.report.cohort import Cohort, Pool, beats_chance
from foveal.report.colour import scale_of
from foveal.report.concepts import ConceptScore, concept_scores
from foveal.report.conclusions import conclusions
from foveal.report.describe import description
from foveal.report.diagnosis import Diagnoses, diagnosis_facts, finding_facts
from foveal.report.history import History, history
from foveal.report.limits import LIMITS
from foveal.report.proof import Proof, proof_of
from foveal.report.proof.plain import plain as proven
from foveal.report.record import record_of
from foveal.report.regulator import plain, regulator
from foveal.report.traits import Traits
from foveal.store import Case, Explained, Measured, Run, View

SCHEMA = "foveal-report"
VERSION = 1


def write_audit(run: Run, *, proof: Proof | None = None) -> Path:
    """Write `report.json` into the run's folder, case by case.

    A number that is missing is null with its reason beside it; an infinite bound is null. Maps are
    not repeated: each is named by its shard and its row there. The same run gives the same bytes.
    `proof` is what `proof_of` concluded, where that was done before.

    Raises:
        StoreError: A damaged shard, or a folder that cannot be written.
    """
    path = run.folder / "report.json"
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with hidden.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_pieces(run, proof))
        hidden.replace(path)
    except OSError as problem:
        raise StoreError(f"cannot write the report: {problem.strerror or problem}") from problem
    finally:
        hidden.unlink(missing_ok=True)
    return path


def schema() -> Mapping[str, object]:
    """The JSON schema of `report.json`, draft 2020-12."""
    path = Path(__file__).with_name("schema") / f"report-{VERSION}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _pieces(run: Run, proof: Proof | None) -> Iterator[str]:
    """The file in pieces, so that no more than one case is in memory."""
    cohort, traits = Cohort(), Traits()
    diagnoses, shuffled = Diagnoses(), shuffled_kept(run.header)
    blind = blind_baselines(run)
    head = {
        "schema": SCHEMA,
        "version": VERSION,
        "run": run.header,
        "limits": [{"title": limit.title, "text": limit.text} for limit in LIMITS],
    }
    yield _text(head).removesuffix("}") + ',\n"cases": ['
    comma = "\n"
    for number in run.numbers():
        for case in run.cases_of(number):
            case = against_shuffled(case, shuffled)
            cohort.add(case)
            diagnoses.add(case)
            traits.add(case)
            yield comma + _text(_case(case, number, blind))
            comma = ",\n"
            del case  # the next one is read before this name is set again
    proof = proof or proof_of(run)
    tail = {
        "cohort": _cohort(cohort),
        "diagnosis": diagnosis_facts(diagnoses, run.header),
        "proof": proven(proof),
        "concepts": [_concept(one) for one in concept_scores(run.header)],
        "regulator": plain(regulator(record_of(run, cohort, traits, conclusions(proof)))),
        "log": _log(history(run)),
    }
    yield "\n],\n" + _text(tail).removeprefix("{") + "\n"


def _case(case: Case, shard: int, blind: Blind) -> dict[str, object]:
    return {
        "image": case.id,
        "failure": case.failure,
        "patient": case.patient,
        "eye": case.eye,
        "visit": case.visit,
        "laterality": case.laterality,
        "modality": case.modality,
        "grid": case.grid,
        "spacing_mm": case.spacing_mm,
        "sha256": case.sha256,
        "facts": case.facts,
        "labels": case.labels,
        "regions": [{"name": region.name, "kind": region.kind} for region in case.regions],
        "views": [_view(case, view, shard, blind) for view in case.views],
    }


def _view(case: Case, view: View, shard: int, blind: Blind) -> dict[str, object]:
    said = view.prediction
    way = way_of(case, view, (view.field.shape[0], view.field.shape[1]))
    return {
        "model": view.model,
        "steps": view.steps,
        "prediction": {
            "label": said.label,
            "index": said.index,
            "values": [{"name": name, "value": value} for name, value in said.values.items()],
            "unit": said.unit,
            "calibrated": [{"name": n, "value": v} for n, v in said.calibrated.items()],
        },
        "losses": [loss.__dict__ for loss in view.losses],
        "maps": [
            _map(
                e,
                shard,
                description(case, view, e, scale_of(e.attribution), way),
                left_out=blind.get((view.model, pooled_target(e.attribution.target)), ()),
            )
            for e in view.explained
        ],
    }


def _map(
    explained: Explained, shard: int, words: str, *, left_out: Sequence[str]
) -> dict[str, object]:
    made = explained.attribution
    return {
        "key": explained.key,
        "method": made.method,
        "settings": made.settings,
        "layer": made.layer,
        "target": made.target,
        "target_index": made.target_index,
        "score": made.score,
        "score_mode": made.score_mode,
        "seed": made.seed,
        "model_fingerprint": made.fingerprint,
        "reason": made.reason,
        "reason_text": REASONS.get(made.reason or ""),
        "notes": made.notes,
        "cost": made.cost,
        "parts": made.parts,
        "description": words,
        "values": {"shard": shard, "table": "maps.parquet", "shape": made.map.shape},
        "scores": [_score(measured, left_out) for measured in explained.scores],
        "finding": finding_facts(explained.finding),
    }


def _score(measured: Measured, left_out: Sequence[str] = ()) -> dict[str, object]:
    score = measured.score
    judged = informative_gain(score, left_out) if score.name == GAIN else score
    known = score.value is not None and score.chance is not None and score.direction != "context"
    return {
        "measure": score.name,
        "region": measured.region,
        "value": score.value,
        "reason": score.reason,
        "reason_text": score.reason_text,
        "direction": score.direction,
        "range": score.range,
        "chance": score.chance,
        "ceiling": score.ceiling,
        "judged_value": judged.value,
        "judged_chance": judged.chance,
        "better_than_chance": beats_chance(score) if known else None,
        "null": score.null,
        "params": score.params,
        "parts": score.parts,
    }


def _concept(one: ConceptScore) -> dict[str, object]:
    return {
        "key": one.key,
        "target": one.target,
        "concept": one.concept,
        "layer": one.layer,
        "p": one.p,
        "p_holm": one.p_holm,
        "accuracy": one.accuracy,
        "random_sets": len(one.random),
        "images": one.images,
        "examples": one.examples,
        "score": _score(Measured(score=one.score)),
    }


def _cohort(cohort: Cohort) -> dict[str, object]:
    return {
        "images": cohort.images,
        "explained": cohort.explained,
        "patients": len(cohort.patients) or None,
        "eyes": len(cohort.eyes) or None,
        "maps": cohort.maps,
        "maps_without_values": cohort.without_map,
        "predictions": cohort.predictions,
        "failures": cohort.failures,
        "scores": [_pool(pool) for pool in cohort.pools()],
    }


def _pool(pool: Pool) -> dict[str, object]:
    return {
        **pool.place._asdict(),
        "direction": pool.direction,
        "valid": pool.valid,
        "missing": pool.missing,
        "mean": pool.mean,
        "median": pool.median,
        "mean_chance": pool.chance,
        "better_than_chance": pool.better,
        "compared_with_chance": pool.compared,
    }


def _log(told: History) -> dict[str, object]:
    return {
        "images": told.images,
        "stage_seconds": told.stages,
        "map_seconds": told.seconds,
        "warnings": {text: len(images) for text, images in told.warnings.items()},
        "machines": told.machines,
    }


def _text(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    """Plain JSON values; what is no number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value
