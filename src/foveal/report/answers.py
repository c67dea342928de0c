"""What a run tells of its making, each in one sentence; `None` where it does not know."""

from collections.abc import Mapping
from typing import Any

from foveal.report.limits import LIMITS
from foveal.report.record import Record
from foveal.report.words import (
    ELSEWHERE,
    counted,
    listed,
    method_name,
    settings_in_words,
    target_in_words,
)


def models(record: Record) -> str | None:
    named = [f"{m['name']} ({m['fingerprint'][:16]}…)" for m in record.header["models"]]
    return f"Card and weights by SHA-256: {listed(named)}." if named else None


def data(record: Record) -> str:
    plan = f"Plan, images and models by one fingerprint: {record.header['fingerprint'][:16]}…"
    return f"{plan}; each image file by its own SHA-256."


def software(record: Record) -> str | None:
    found = record.header["versions"]
    return ", ".join(f"{name} {text}" for name, text in found.items()) + "." if found else None


def explainers(record: Record) -> str | None:
    told = [
        _named(m) + (f" ({settings_in_words(m['settings'])})" if m["settings"] else "")
        for m in record.header["methods"]
    ]
    return "; ".join(told) + "." if told else None


def _named(method: Mapping[str, Any]) -> str:
    """Maps made elsewhere by their name in the run, with what is said of their maker."""
    if method["name"] != ELSEWHERE:
        return method_name(method["name"])
    return f"{method['key']}, {ELSEWHERE}: {str(method['reference']).rstrip('.')}"


def layers(record: Record) -> str:
    told = [f"{key}: {listed(list(layers))}" for key, layers in record.traits.layers.items()]
    return f"Layers that were watched: {'; '.join(told)}." if told else "No layer was watched."


def targets(record: Record) -> str | None:
    if not record.traits.targets:
        return None
    targets = listed([target_in_words(target) for target in record.traits.targets])
    modes = listed(list(record.traits.modes)) or "not stated"
    return f"Explained: {targets}; the number explained is the {modes}."


def baselines(record: Record) -> str | None:
    measures = record.header.get("plan", {}).get("measures", {})
    told = [
        f"{name.replace('_', ' ')}: {_joined(measures[name])}"
        for name in ("baseline", "baselines", "random_orders", "random_regions", "perturbations")
        if name in measures
    ]
    return f"Removal and chance: {'; '.join(told)}." if told else None


def _joined(value: object) -> str:
    return listed([str(part) for part in value]) if isinstance(value, list) else str(value)


def seeds(record: Record) -> str | None:
    seed, threads = record.header.get("seed"), record.header.get("threads")
    if seed is None:
        return None
    return f"Seed {seed}" + (f", {counted(threads, 'thread')}." if threads else ".")


def dates(record: Record) -> str | None:
    if not record.changes:
        return None
    first, last = record.changes[0].time, record.changes[-1].time
    return f"{first} UTC." if first == last else f"{first} to {last} UTC."


def command(record: Record) -> str | None:
    command = record.header.get("command")
    return f"To make it again: {command}." if command else None


def counts(record: Record) -> str:
    cohort = record.cohort
    images = f"{cohort.explained} of {counted(cohort.images, 'image')} explained"
    eyes = counted(len(cohort.eyes), "eye") if cohort.eyes else "eyes not stated"
    patients = (
        counted(len(cohort.patients), "patient") if cohort.patients else "patients not stated"
    )
    return f"{images}; {eyes}, {patients}."


def failures(record: Record) -> str:
    failed = len(record.cohort.failures)
    if not failed:
        return "No image failed."
    return f"{counted(failed, 'image')} could not be explained, each named with its reason."


def groups(record: Record) -> str | None:
    """How the images part by what is known of them; no test of any difference."""
    named = {"modality": record.traits.modalities, "side": record.traits.sides}
    groups = {**named, **record.traits.labels}
    told = [
        f"{name.replace('_', ' ')}: "
        + ", ".join(f"{value} ({times})" for value, times in own.items())
        for name, own in groups.items()
        if own
    ]
    return f"Images by {'; '.join(told)}." if told else None


def outlines(record: Record) -> str | None:
    if not record.traits.regions:
        return None
    told = [f"{region} on {times}" for region, times in record.traits.regions.most_common()]
    return f"Outlined: {', '.join(told)} of {counted(record.cohort.explained, 'image')}."


def preparation(record: Record) -> str | None:
    told = []
    for model in record.header["models"]:
        steps = [str(step["step"]) for step in model["input"].get("prepare", ())]
        size = " × ".join(map(str, model["input"]["size"]))
        told.append(f"{model['name']}: {listed(steps) or 'resize'} to {size} pixels")
    return f"{'; '.join(told)}; each step is kept for each image." if told else None


def files(record: Record) -> str | None:
    made = [f"{what} ({times})" for what, times in record.traits.made.most_common()]
    scale = f"pixel spacing known of {record.traits.spaced} of {record.cohort.explained}"
    return f"Files: {', '.join([*made, scale])}." if made else None


def identity(record: Record) -> str:
    if record.header.get("identity") == "keep":
        return "Names of files and patients are kept as they are, as the plan asked."
    return (
        "Names of files, patients, eyes and visits are replaced by keyed pseudonyms; the key is "
        "kept outside the run."
    )


def answers(record: Record) -> str | None:
    told = []
    for model in record.header["models"]:
        what = f", in {model['unit']}" if model["unit"] else ""
        classes = f": {listed(list(model['classes']))}" if model["classes"] else ""
        told.append(f"{model['name']} gives {model['task']}{what} by {model['head']}{classes}")
    return "; ".join(told) + "." if told else None


def network(record: Record) -> str | None:
    told = [
        f"{model['name']}, {counted(model['parameters'], 'parameter')}"
        for model in record.header["models"]
    ]
    return "; ".join(told) + "." if told else None


def calibration(record: Record) -> str | None:
    told = []
    for model in record.header["models"]:
        facts = model.get("calibrator")
        if facts:
            units = counted(facts["units"], facts["unit"])
            told.append(f"{model['name']}: {facts['method']}, fitted on {units} ({facts['split']})")
    return f"Calibrated by {'; '.join(told)}." if told else None


def deferral(record: Record) -> str | None:
    rules = [
        m["name"] for m in record.header["models"] if (m.get("calibrator") or {}).get("deferral")
    ]
    return f"A rule of deferral is fitted for {listed(rules)}." if rules else None


def limits(record: Record) -> str:
    general = f"{counted(len(LIMITS), 'general limit')}"
    return (
        f"{general}, and of this run: {listed([limit.title.lower() for limit in record.limits])}."
    )


def not_causal(_: Record) -> str:
    limit = next(limit for limit in LIMITS if limit.title == "A map is not a cause")
    return limit.text


def not_a_device(_: Record) -> str:
    return next(limit for limit in LIMITS if limit.title == "Not a medical device").text


def deviations(record: Record) -> str:
    found = len(record.deviations)
    return f"{counted(found, 'deviation')} from the plan." if found else "No deviation was found."


def changes(record: Record) -> str | None:
    if not record.changes:
        return None
    times = f"; work was taken up {record.sittings} times" if record.sittings > 1 else ""
    return f"{counted(len(record.changes), 'entry', 'entries')} in the run's own log{times}."


def results(record: Record) -> str:
    return f"All numbers of {counted(record.cohort.images, 'image')}, one a row, with a dictionary."


def seal(_: Record) -> str:
    return "SHA-256 of every file; “foveal verify” names what was changed, taken away or added."


def matrix(_: Record) -> str:
    return "This table."
