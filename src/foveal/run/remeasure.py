"""Measures the maps of a finished run again: other measures, or masks that came later."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from foveal.core import Image, ModelError, Region, StoreError
from foveal.images import carry_region, find_regions, read_regions, revive
from foveal.models import Model
from foveal.run.casework import shrinking
from foveal.run.header import measure_facts
from foveal.run.identity import key_beside, known_names
from foveal.run.measuring import Asking, Measuring, Yardstick
from foveal.run.one_image import Look, losses_of
from foveal.store import Case, Explained, Run, View


def remeasure(
    run: Run,
    yardstick: Yardstick,
    *,
    regions: str | None = None,
    key: Path | None = None,
    models: Sequence[Model] = (),
) -> None:
    """Replace the scores of the yardstick's measures, and the regions where others are given.

    The maps, the prepared images and the steps come from the run; the originals are not needed.

    Args:
        run: A finished run.
        yardstick: Which measures, and against how much chance.
        regions: A pattern of mask files such as `masks/{stem}_{region}.png`.
        key: The run's key file, which knows the names of the images that {stem} stands for.
        models: For the measures that ask the model again.

    Raises:
        ImageError: Masks that cannot be read or are of another size.
        ModelError: Another model than the run's.
        PlanError: A measure that needs the model, where none is given.
        StoreError: A run that is damaged or cannot be written, or a key file that is missing.
    """
    names = _names_of(run, key) if regions is not None else {}
    for number in run.numbers():
        cases = [
            _measured(case, yardstick, regions, names.get(case.id, case.id), models)
            for case in run.cases_of(number)
        ]
        run.write(number, cases, again=True)
    known = {str(fact["name"]): fact for fact in run.header.get("measures", [])}  # type: ignore[attr-defined]
    known |= {str(fact["name"]): fact for fact in measure_facts(yardstick.names)}
    run.write_header({**run.header, "measures": list(known.values())})
    run.log("measured", measures=list(yardstick.names))


def _measured(
    case: Case, yardstick: Yardstick, pattern: str | None, name: str, models: Sequence[Model]
) -> Case:
    if case.failure is not None:
        return case
    given = None if pattern is None else _read(case, pattern, name)
    views = tuple(_view(view, yardstick, given, name, models) for view in case.views)
    if given is None or case.grid is None:
        return replace(case, views=views)
    shrink = shrinking(case.grid)
    shown = tuple(replace(r, mask=shrink.mask_forward(r.mask), source=None) for r in given)
    return replace(case, views=views, regions=shown)


def _view(
    view: View,
    yardstick: Yardstick,
    given: Sequence[Region] | None,
    name: str,
    models: Sequence[Model],
) -> View:
    image = _image(view, name)
    if given is not None:
        carried = [carry_region(region, image) for region in given]
        regions = tuple(replace(c.region, source=None) for c in carried)
        view = replace(view, regions=regions, losses=losses_of(carried))
    model = next((m for m in models if m.card.name == view.model), None)
    explained = tuple(_scored(e, view, image, yardstick, model) for e in view.explained)
    return replace(view, explained=explained)


def _scored(
    explained: Explained, view: View, image: Image, yardstick: Yardstick, model: Model | None
) -> Explained:
    made = explained.attribution
    asking = None
    if model is not None:
        if model.fingerprint != made.fingerprint:
            raise ModelError(
                f"{model.card.name} is not the model of this run: its card or its weights differ"
            )
        target = model.target(made.target.removeprefix("predicted: "))
        asking = Asking(_look(view, image, model), target, yardstick)
    fresh = Measuring(view.field, view.regions, yardstick, asking).measure(made)
    kept = tuple(m for m in explained.scores if m.score.name not in yardstick.names)
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


def _image(view: View, name: str) -> Image:
    steps = tuple(revive(numbers) for numbers in view.steps)
    return Image(pixels=view.pixels, steps=steps, source=name)


def _read(case: Case, pattern: str, name: str) -> list[Region]:
    """The masks of an image; none where the pattern finds none for it."""
    if not find_regions(pattern, Path(name).stem):
        return []
    return read_regions(pattern, image=_image(case.views[0], name))


def _names_of(run: Run, key: Path | None) -> Mapping[str, str]:
    if run.header.get("identity") == "keep":
        return {}
    path = key or key_beside(run.folder)
    if not path.exists():
        raise StoreError(
            f"masks are found by the names of the images, which only the key file knows; there is "
            f"none at {path}"
        )
    return known_names(path)
