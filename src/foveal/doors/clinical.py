"""The clinical door: from files to maps, scores and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from foveal.analysis.records import pooled_target
from foveal.core import Finding, Image, Region, Score, Target
from foveal.doors.result import Reading, Result
from foveal.explainers.plan import Layers, MethodLike, named_explainers
from foveal.explainers.request import MAX_BATCH, Progress
from foveal.images import CarriedRegion, carry_region, read
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.calibrating import calibrator_of
from foveal.run.diagnosing import GATE, findings_of, variance_limits
from foveal.run.gating import WITNESSES, Witness, gates_of
from foveal.run.measuring import Yardstick, measuring
from foveal.run.one_image import Question, look, losses_of
from foveal.run.one_image import explain as explain_look
from foveal.run.plan import LEVELS, RANDOM, Level, is_costly, measures_named
from foveal.run.shuffling import LIKENESS, shuffled_of, stable_places
from foveal.run.together import apart, explain_together
from foveal.store import Measured

ImageLike = Image | str | PathLike[str]


def explain(
    model: Model,
    image: ImageLike | Sequence[ImageLike],
    methods: MethodLike | Sequence[MethodLike] | Mapping[str, MethodLike] = "gradcam",
    *,
    target: str | TargetLike = None,
    layers: Layers = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] = "float32",
    max_batch: int = MAX_BATCH,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Explain what a model says about one or more images.

    Args:
        model: From `foveal.load_model`.
        image: From `foveal.read`, or the path of a file; or several.
        methods: Names or explainers, one, several, or a mapping from names of your own. Numbers
            for baselines and fills are in display units: 0 is black, 1 is white. TCAV asks about
            all images together: its scores are in the result, and there is no map.
        target: A name on the model's card, such as "Severe" or "grade>=2"; what the model
            predicts by default. A class, a `foveal.Target` or a callable work as well.
        layers: For methods that watch a layer; the card's by default, else one is chosen.
        seed: Where a method draws by chance.
        precision: `bf16` runs the model under bfloat16 autocast.
        max_batch: Images in one pass at most.
        out: Save a run with its report there; measuring later adds to it.
        progress: Called with the probes done and planned of each method that sends probes.

    Raises:
        ImageError: A file that cannot be read, or an image without a field of view.
        ModelError: The model cannot give what a method needs.
        StoreError: A run cannot be written into `out`; said before anything is explained.
        ValueError: A target, layer, method or setting that does not exist.
        TypeError: Something else than a model or an image.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model must come from foveal.load_model, but is {type(model).__name__}; for a bare "
            "torch module and tensors use foveal.attribute"
        )
    named = "predicted" if target is None else target
    wanted = model.target(named) if isinstance(named, str) else named
    drawing, joint = apart(named_explainers(methods))
    question = Question(
        explainers=drawing,
        layers=layers,
        seed=seed,
        precision=precision,
        max_batch=max_batch,
        progress=progress,
    )
    if out is not None:
        from foveal.doors.saving import check_folder

        check_folder(Path(out))
    calibrator = calibrator_of(model)
    # What is wrong is said early.
    looks = [(one, look(model, one, calibrator=calibrator)) for one in _images(image)]
    readings = [
        Reading(image=one, seen=seen, target=wanted, answers=explain_look(seen, wanted, question))
        for one, seen in looks
    ]
    together = explain_together([seen for _, seen in looks], wanted, question, joint)
    result = Result(model, question, readings, together)
    if out is not None:
        result.save(out)
    return result


def measure(
    result: Result,
    *,
    regions: Sequence[Region] | Sequence[Sequence[Region]] | None = None,
    measures: Sequence[str] | None = None,
    level: Level = "standard",
    random_orders: int | None = None,
    random_regions: int | None = None,
    baseline: Literal["blur", "linear", "annulus", "black", "field-mean"] = "blur",
    seed: int = 0,
    max_batch: int = MAX_BATCH,
) -> list[Score]:
    """Measure the maps of a result, which keeps the scores and renews its findings.

    Args:
        result: From `foveal.explain`.
        regions: From `foveal.read_regions`, on the grid of the original image; of several images
            one list each. Without them only measures that need no region are made.
        measures: Names of `foveal measures`; the level's by default.
        level: `quick` sends no passes, `standard` and `full` ask the model again.
        random_orders: Random orders of patches behind the chance of the curves.
        random_regions: Random regions behind the chance of the drops.
        baseline: What takes the place of removed pixels, for all measures but `srg`.
        seed: For everything drawn by chance.
        max_batch: Images in one pass at most.

    Raises:
        ImageError: Regions of another size than their image.
        ValueError: An unknown measure or level, or lists of regions that do not fit the images.
    """
    if level not in get_args(Level):
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}, but is {level!r}")
    names = LEVELS[level] if measures is None else measures_named(measures)
    orders, drawn = RANDOM[level]
    yardstick = Yardstick(
        names=names,
        random_orders=orders if random_orders is None else random_orders,
        random_regions=drawn if random_regions is None else random_regions,
        baseline=baseline,
        seed=seed,
        max_batch=max_batch,
        costly=is_costly(names, level),
    )
    pairs = list(zip(result.readings, _per_image(regions, result), strict=True))
    taken = [(reading, own, _carried(reading, own)) for reading, own in pairs if own is not None]
    for reading, own, carried in taken:  # all of them fit, so nothing is measured in vain
        _take_regions(reading, own, carried)
    made = [score for reading in result.readings for score in _measure_reading(reading, yardstick)]
    if GATE in names:
        answers = [answer for reading in result.readings for answer in reading.answers]
        explainers = {a.key: a.explainer for a in answers if a.explainer is not None}
        result.gates |= gates_of(
            result.model,
            _witnesses(result),
            seed=seed,
            max_batch=max_batch,
            explainers=explainers,
        )
    if not LIKENESS.keys().isdisjoint(names):
        measured = [one for reading in result.readings for one in reading.scored()]
        places = stable_places(measured)
        result.shuffled |= shuffled_of(result.model.card.name, _witnesses(result), places)
    diagnose(result)
    if result.folder is not None:
        result.save(result.folder, identity=result.identity)
    return [measured.score for measured in made]


def diagnose(result: Result) -> list[Finding]:
    """Say of each map of a result what is wrong with it, and what to do next.

    Nothing is measured: a finding rests on the scores that `foveal.measure` made, and says which
    checks stayed open because a score is missing. Over the images of at least five patients
    `foveal.measure(..., measures=["mprt"])` also asks whether a method notices a ruined model.

    Args:
        result: From `foveal.explain`.

    Returns:
        A finding for each map, in the order of `result.attributions`; the result keeps them.
    """
    limits = variance_limits(one for reading in result.readings for one in reading.scored())
    for reading in result.readings:
        elsewhere = [answer.key for answer in reading.answers if answer.explainer is None]
        found = findings_of(reading.scored(), result.gates, limits, elsewhere)
        reading.findings = {name.key: finding for name, finding in found.items()}
    return result.findings


def _witnesses(result: Result) -> list[Witness]:
    """The first image of each patient; each image somebody else's where no patient is known."""
    found: dict[str, Witness] = {}
    for number, reading in enumerate(result.readings):
        if not reading.answers:
            continue
        patient = reading.image.patient or reading.image.eye or f"image {number}"
        witness = Witness(
            patient=patient,
            pixels=reading.seen.image.pixels,
            field=reading.seen.field.mask,
            target=_fixed(reading),
            drawn={
                (pooled_target(answer.attribution.target), answer.key): answer.attribution
                for answer in reading.answers
            },
        )
        found.setdefault(patient, witness)
    return list(found.values())[:WITNESSES]


def _fixed(reading: Reading) -> TargetLike:
    """What the maps of an image explain; of `predicted` the class that was."""
    target = reading.target
    if target is None:
        target = Target()
    if isinstance(target, Target) and target.index is None and target.at_least is None:
        return replace(target, index=reading.answers[0].attribution.target_index)
    return target


def _measure_reading(reading: Reading, yardstick: Yardstick) -> list[Measured]:
    by = measuring(
        reading.seen, reading.target, yardstick, [a.attribution for a in reading.answers]
    )
    made: list[Measured] = []
    for answer in reading.answers:
        fresh = by.measure(answer.attribution, answer.explainer)
        before = reading.scores.get(answer.key, [])
        kept = [m for m in before if m.score.name not in yardstick.names]
        reading.scores[answer.key] = [*kept, *fresh]
        made += fresh
    return made


def _carried(reading: Reading, regions: Sequence[Region]) -> list[CarriedRegion]:
    return [carry_region(region, reading.seen.image) for region in regions]


def _take_regions(
    reading: Reading, regions: Sequence[Region], carried: Sequence[CarriedRegion]
) -> None:
    reading.regions = list(regions)
    reading.seen = replace(
        reading.seen, regions=tuple(c.region for c in carried), losses=losses_of(carried)
    )


def _per_image(
    regions: Sequence[Region] | Sequence[Sequence[Region]] | None, result: Result
) -> list[Sequence[Region] | None]:
    """The regions of each image; `None` keeps those it has."""
    count = len(result.readings)
    if regions is None:
        return [None] * count
    if all(isinstance(region, Region) for region in regions):
        lists: list[object] = [regions]
    else:
        lists = list(regions)
    if len(lists) != count:
        raise ValueError(
            f"got regions for {len(lists)} image(s), but the result holds {count}; give a list of "
            "regions for each image"
        )
    return lists  # type: ignore[return-value]


def _images(image: ImageLike | Sequence[ImageLike]) -> list[Image]:
    if not isinstance(image, Sequence) or isinstance(image, str):
        return [image_of(image)]
    if not image:
        raise ValueError("there is no image to explain: the list is empty")
    return [image_of(one) for one in image]


def image_of(image: object) -> Image:
    """An image as it is, or read from a path.

    Raises:
        ImageError: A file that cannot be read.
        TypeError: Neither of the two.
    """
    if isinstance(image, Image):
        return image
    if isinstance(image, str | PathLike):
        return read(image)
    raise TypeError(f"image must come from foveal.read or be a path, but is {type(image).__name__}")
