"""Measures the maps of a finished run again: other measures, or masks that came later."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foveal.core import (
    Attribution,
    FovealWarning,
    Image,
    ImageError,
    ModelError,
    PlanError,
    Region,
    StoreError,
)
from foveal.explainers.request import MAX_BATCH
from foveal.images import (
    Method,
    carry_region,
    has_regions,
    read_regions,
    revive,
    spacing_after,
)
from foveal.measures.baselines import PROTOCOL
from foveal.models import Model
from foveal.run.again import PERTURBATIONS
from foveal.run.casework import shrinking
from foveal.run.diagnosing import conclude
from foveal.run.header import measure_facts
from foveal.run.identity import key_beside, known_names
from foveal.run.measuring import Asking, Measuring, Yardstick, watched_by
from foveal.run.one_image import Look, losses_of
from foveal.run.placing import place_of, strangers, told_of
from foveal.run.plan import RANDOM, Level, is_costly
from foveal.store import Case, Explained, Run, View, at_work


def remeasure(
    run: Run,
    yardstick: Yardstick,
    *,
    regions: str | None = None,
    key: Path | None = None,
    models: Sequence[Model] = (),
) -> None:
    """Replace the scores of the yardstick's measures, all findings, and regions that are given.

    The maps, the prepared images and the steps come from the run; the originals are not needed.

    Of several graders, what they have in common is taken as the run's plan says, by majority where
    it says several ways. Anatomy that the run has and the masks do not stays.

    Args:
        run: A finished run.
        yardstick: Which measures, and against how much chance; see `yardstick_of`.
        regions: A pattern of mask files such as `masks/{stem}_{region}.png`. An image for which it
            finds none keeps the regions it has.
        key: The run's key file, which knows the names of the images that {stem} stands for.
        models: For the measures that ask the model again.

    Raises:
        ImageError: Masks that cannot be read or are of another size, said before anything changes.
        ModelError: Another model than the run's.
        PlanError: A measure that needs the model, where none is given, or a pattern of masks that
            matches no image.
        StoreError: A run that is damaged or cannot be written, or where another process is at
            work, or a key file that is missing or does not know an image.
    """
    with at_work(run.folder):
        run.sweep()
        masks = None if regions is None else _masks_of(run, regions, key)
        for number in run.numbers():
            cases = [_measured(case, yardstick, masks, models) for case in run.cases_of(number)]
            run.write(number, cases, again=True)
        known = {str(fact["name"]): fact for fact in run.header.get("measures", [])}  # type: ignore[attr-defined]
        known |= {str(fact["name"]): fact for fact in measure_facts(yardstick.names)}
        run.write_header({**run.header, "measures": list(known.values())})
        run.log("measured", measures=list(yardstick.names))
        conclude(run, yardstick, models)


def yardstick_of(run: Run, names: Sequence[str], level: Level) -> Yardstick:
    """Measures as the run's plan has them: against as much chance, with its baseline and seed.

    The level says how much chance, where the plan does not.
    """
    plan: Mapping[str, Any] = run.header.get("plan") or {}  # type: ignore[assignment]
    told: Mapping[str, Any] = plan.get("measures", {})
    orders, drawn = RANDOM[level]
    return Yardstick(
        names=tuple(names),
        random_orders=told.get("random_orders", orders),
        random_regions=told.get("random_regions", drawn),
        baseline=told.get("baseline", "blur"),
        baselines=tuple(told.get("baselines", PROTOCOL)),
        seed=int(str(run.header.get("seed") or 0)),
        max_batch=plan.get("max_batch", MAX_BATCH),
        perturbations=told.get("perturbations", PERTURBATIONS),
        costly=is_costly(names, level),
    )


@dataclass(frozen=True)
class _Masks:
    """Masks that came later, found by the names of the images."""

    pattern: str
    names: Mapping[str, str] | None
    """Behind the pseudonyms; `None` where identity is kept."""
    consensus: Method

    def of(self, case: Case) -> list[Region] | None:
        """The regions of an image on its original grid; `None` where the pattern finds none."""
        name = self._name(case)
        # A section's name has no suffix, and may have dots.
        named = f"{name}.png" if "volume" in case.facts else name
        try:
            image = _image(case.views[0], named)
            if not has_regions(self.pattern, image, self._namesakes(Path(named))):
                return None
            return read_regions(self.pattern, image=image, consensus=self.consensus)
        except ImageError as problem:
            nameless = problem.__cause__ if isinstance(problem.__cause__, ImageError) else problem
            raise ImageError(f"{case.id}: {nameless}") from problem

    def _namesakes(self, file: Path) -> list[Path]:
        """Other images of the run that masks of this one may be taken for."""
        names = () if self.names is None else self.names.items()
        files = [Path(name) for alias, name in names if alias.startswith("I-")]
        return [other for other in files if other.stem == file.stem]

    def _name(self, case: Case) -> str:
        if self.names is None:
            return case.id
        if case.id not in self.names:
            raise StoreError(
                f"the key file does not know {case.id}, whose masks are found by its name; give "
                "the key file of this run (--key)"
            )
        return self.names[case.id]


def _masks_of(run: Run, pattern: str, key: Path | None) -> _Masks:
    """The masks, all of them read once, so that nothing changes where one cannot be used."""
    masks = _Masks(pattern, _names_of(run, key), _consensus_of(run))
    found = 0
    names: set[str] = set()
    for case in run.cases():
        regions = None if case.failure is not None else masks.of(case)
        found += regions is not None
        names |= strangers(regions or ())
    if not found:
        raise PlanError(
            f"no mask of any image matches {pattern}; {{stem}} stands for an image's file name "
            "without its suffix"
        )
    if names:
        warnings.warn(told_of(names), FovealWarning, stacklevel=3)
    return masks


def _measured(
    case: Case, yardstick: Yardstick, masks: _Masks | None, models: Sequence[Model]
) -> Case:
    if case.failure is not None:
        return case
    given = None if masks is None else masks.of(case)
    views = tuple(_view(case, view, yardstick, given, models) for view in case.views)
    if given is None or case.grid is None:
        return replace(case, views=views)
    shrink = shrinking(case.grid)
    shown = tuple(replace(r, mask=shrink.mask_forward(r.mask), source=None) for r in given)
    beside = _anatomy_beside(shown, case.regions)
    return replace(case, views=views, regions=(*shown, *beside), facts=_facts(case, shown))


def _facts(case: Case, shown: Sequence[Region]) -> dict[str, object]:
    """The case's, which say of anatomy that masks show now that it is from them."""
    parts = {"disc" if region.name == "optic disc" else region.name for region in shown}
    known = [part for part in parts if f"anatomy.{part}.source" in case.facts]
    sources = {f"anatomy.{part}.source": "mask" for part in known}
    return {**case.facts, **sources, **{f"anatomy.{part}.confidence": 1.0 for part in known}}


def _view(
    case: Case,
    view: View,
    yardstick: Yardstick,
    given: Sequence[Region] | None,
    models: Sequence[Model],
) -> View:
    image = _image(view)
    if given is not None:
        carried = [carry_region(region, image) for region in given]
        regions = tuple(replace(c.region, source=None) for c in carried)
        kept = _anatomy_beside(regions, view.regions)
        names = {region.name for region in kept}
        losses = [loss for loss in view.losses if loss.region in names]
        view = replace(view, regions=(*regions, *kept), losses=(*losses_of(carried), *losses))
    model = next((m for m in models if m.card.name == view.model), None)
    seen = replace(image, spacing_mm=_spacing_mm(case, view), modality=case.modality)
    by_target = {
        target: _measuring(own, view, seen, yardstick, model)
        for target, own in _by_target(view).items()
    }
    explained = tuple(_scored(e, by_target[e.attribution.target]) for e in view.explained)
    return replace(view, explained=explained)


def _anatomy_beside(given: Sequence[Region], had: Sequence[Region]) -> tuple[Region, ...]:
    """The anatomy that an image has and the given masks do not show."""
    names = {region.name for region in given}
    return tuple(r for r in had if r.kind == "anatomy" and r.name not in names)


def _by_target(view: View) -> dict[str, list[Attribution]]:
    """The maps of a view that share all that depends on no map."""
    found: dict[str, list[Attribution]] = {}
    for explained in view.explained:
        found.setdefault(explained.attribution.target, []).append(explained.attribution)
    return found


def _measuring(
    maps: Sequence[Attribution],
    view: View,
    image: Image,
    yardstick: Yardstick,
    model: Model | None,
) -> Measuring:
    """The measures of one target's maps."""
    place = place_of(image, view.field, view.regions)
    if model is None:
        return Measuring(place, yardstick)
    if any(made.fingerprint != model.fingerprint for made in maps):
        raise ModelError(
            f"{model.card.name} is not the model of this run: its card or its weights differ"
        )
    target = model.target(maps[0].target.removeprefix("predicted: "))
    asking = Asking(_look(view, image, model), target, yardstick, watched_by(maps))
    return Measuring(place, yardstick, asking, maps)


def _scored(explained: Explained, by: Measuring) -> Explained:
    fresh = by.measure(explained.attribution)
    kept = tuple(m for m in explained.scores if m.score.name not in by.yardstick.names)
    return replace(explained, scores=kept + fresh)


def _look(view: View, image: Image, model: Model) -> Look:
    """What the model saw, from what the run kept."""
    pixels = model.tensor(image)
    return Look(
        model=model,
        image=image,
        field=Region(name="field of view", mask=view.field, kind="field"),
        regions=view.regions,
        losses=view.losses,
        pixels=pixels,
        output=model.output(pixels),
        prediction=view.prediction,
    )


def _spacing_mm(case: Case, view: View) -> tuple[float, float] | None:
    """Of the prepared pixels."""
    if case.spacing_mm is None:
        return None
    return spacing_after(case.spacing_mm, _image(view).steps)


def _consensus_of(run: Run) -> Method:
    """How the run's plan joins several graders; the majority where it says several ways."""
    plan: Mapping[str, Any] = run.header.get("plan") or {}  # type: ignore[assignment]
    ways = {table.get("consensus", "majority") for table in plan.get("images", ())}
    return ways.pop() if len(ways) == 1 else "majority"


def _image(view: View, name: str | None = None) -> Image:
    steps = tuple(revive(numbers) for numbers in view.steps)
    return Image(pixels=view.pixels, steps=steps, source=name)


def _names_of(run: Run, key: Path | None) -> Mapping[str, str] | None:
    if run.header.get("identity") == "keep":
        return None
    path = key or key_beside(run.folder)
    if not path.exists():
        raise StoreError(
            f"masks are found by the names of the images, which only the key file knows; there is "
            f"none at {path}"
        )
    return known_names(path)
