"""Maps made elsewhere, from a plan's tables: which there are for an image, and whom they are of."""

import warnings
from collections.abc import Sequence

from foveal.core import FovealWarning, ImageError, PlanError
from foveal.images import read_map
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.cohort import Entry
from foveal.run.elsewhere import Elsewhere, answers_elsewhere
from foveal.run.one_image import Answer, Look
from foveal.run.plan import MapsTable


def maps_of(entry: Entry, tables: Sequence[MapsTable]) -> list[Elsewhere]:
    """The maps of an image that were made elsewhere; a warning for each that cannot be had."""
    found = []
    for table in tables:
        path = entry.maps.get(table.name)
        if path is None:
            message = f"there is no map {table.name!r} of this image"
            warnings.warn(message, FovealWarning, stacklevel=2)
            continue
        try:
            given = read_map(path, name=table.name, signed=table.signed)
        except ImageError as problem:
            _go_on_without(problem)
            continue
        told = table.model_dump(include={"grid", "source", "model", "target"})
        found.append(Elsewhere(key=table.name, given=given, **told))
    return found


def answers_given(seen: Look, target: TargetLike, maps: Sequence[Elsewhere]) -> list[Answer]:
    """Those maps as the answers of methods; a warning for each that is on another grid."""
    found = []
    for one in maps:
        try:
            found += answers_elsewhere(seen, target, [one])
        except ImageError as problem:
            _go_on_without(problem)
    return found


def check_asked(
    tables: Sequence[MapsTable], asked: Sequence[tuple[Model, Sequence[TargetLike]]]
) -> None:
    """Refuse maps that would be measured with none of the models, or for none of their targets.

    Raises:
        PlanError: Maps of a model or a target that the plan does not ask.
        ValueError: Maps of a target that a model does not have.
    """
    for table in tables:
        named = [(m, targets) for m, targets in asked if table.model in (None, m.card.name)]
        if not named:
            names = ", ".join(model.card.name for model, _ in asked)
            raise PlanError(
                f"the maps {table.name!r} are of the model {table.model!r}, but the plan asks "
                f"{names}"
            )
        if not any(_asks(model, targets, table.target) for model, targets in named):
            raise PlanError(
                f"the maps {table.name!r} are of the target {table.target!r}, which the plan does "
                "not ask for; add it to the targets of the model"
            )


def _asks(model: Model, targets: Sequence[TargetLike], name: str | None) -> bool:
    labels = [getattr(target, "label", None) for target in targets]
    return name is None or model.target(name).label in labels


def _go_on_without(problem: ImageError) -> None:
    """One bad file takes nothing from the image's other maps; the cause names no file."""
    text = f"{problem.__cause__ or problem}; the image goes on without it"
    warnings.warn(text, FovealWarning, stacklevel=3)
