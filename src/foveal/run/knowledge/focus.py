"""Which lesions and structures each class should rest on: a table that anybody can edit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from foveal.core import Modality, PlanError
from foveal.models.toml import read_toml

SHIPPED = Path(__file__).with_name("expected_focus.toml")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FocusClass(_Table):
    """One class; without lesions and structures nothing should stand out."""

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    """What models call it; capitals, hyphens and underscores do not matter."""
    lesions: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    note: str | None = None

    @model_validator(mode="after")
    def _once(self) -> "FocusClass":
        twice = set(self.lesions) & set(self.structures)
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} is both a lesion and a structure")
        return self


class FocusScale(_Table):
    """The classes of one disease."""

    id: Annotated[str, Field(min_length=1)]
    title: str
    modalities: tuple[Modality, ...] = ()
    reference: Annotated[str, Field(min_length=1)]
    """Who says so."""
    whole: bool = False
    """Only for models that have all its classes, since it is made of classes of other scales."""
    classes: tuple[FocusClass, ...]

    @field_validator("classes")
    @classmethod
    def _told_apart(cls, classes: tuple[FocusClass, ...]) -> tuple[FocusClass, ...]:
        names = [_plain(name) for one in classes for name in one.names]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the class {name!r} is named twice")
        return classes

    def of(self, name: str) -> FocusClass | None:
        """What is expected of a model's class, where the scale knows it."""
        wanted = _plain(name)
        return next((c for c in self.classes if wanted in map(_plain, c.names)), None)


class FocusTable(_Table):
    """Scales by disease."""

    scales: tuple[FocusScale, ...]

    @field_validator("scales")
    @classmethod
    def _told_apart(cls, scales: tuple[FocusScale, ...]) -> tuple[FocusScale, ...]:
        ids = [scale.id for scale in scales]
        for one in ids:
            if ids.count(one) > 1:
                raise ValueError(f"two scales are called {one!r}")
        return scales


def read_focus(path: Path = SHIPPED) -> FocusTable:
    """The expectations in a file; those that come with the package by default.

    Raises:
        PlanError: A file that is missing or no TOML, or keys that are wrong, each with its line.
    """
    return read_toml(path, FocusTable, PlanError)


def scale_for(classes: Sequence[str]) -> FocusScale | None:
    """The only shipped scale that knows every class by name; `None` where none or several do."""
    fitting = _knowing(classes, read_focus())
    return fitting[0] if len(fitting) == 1 else None


def scale_chosen(chosen: str, classes: Sequence[str], folder: Path) -> FocusScale:
    """The scale that a plan names: by its id, or the one in a file such as `mine.toml`.

    Raises:
        PlanError: An unknown scale, a file that is wrong, or one without a scale for these classes.
    """
    if chosen.endswith(".toml"):
        fitting = _knowing(classes, read_focus(folder / chosen))
        if len(fitting) != 1:
            raise PlanError(
                f"{chosen} must hold one scale that knows the classes {', '.join(classes)}, but "
                f"{len(fitting)} of its scales do"
            )
        return fitting[0]
    shipped = read_focus().scales
    for scale in shipped:
        if scale.id == chosen:
            return scale
    known = ", ".join(scale.id for scale in shipped)
    raise PlanError(f"no expected focus is called {chosen!r}; use one of {known}, or a .toml file")


def focus_facts(scale: FocusScale, classes: Sequence[str]) -> dict[str, object]:
    """What a run keeps of it; `None` for a class that the scale does not know."""
    known = {name: scale.of(name) for name in classes}
    return {
        "scale": scale.id,
        "title": scale.title,
        "reference": scale.reference,
        "classes": {
            name: None if one is None else one.model_dump(mode="json", exclude={"names"})
            for name, one in known.items()
        },
    }


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _knowing(classes: Sequence[str], table: FocusTable) -> list[FocusScale]:
    knowing = [scale for scale in table.scales if classes and all(map(scale.of, classes))]
    return [scale for scale in knowing if not scale.whole or _has_all(classes, scale)]


def _has_all(classes: Sequence[str], scale: FocusScale) -> bool:
    return all(one in map(scale.of, classes) for one in scale.classes)
