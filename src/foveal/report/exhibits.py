"""What a gallery shows: methods side by side on one image, each with what it says of itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foveal.core import Attribution
from foveal.report.carry import Way, way_of
from foveal.report.colour import evidence
from foveal.report.pictures import MapSheet, PictureSheet, map_grid, map_sheet, picture_sheet
from foveal.report.sheets import ViewSheet, anchor, view_sheet
from foveal.report.words import (
    counted,
    map_name,
    method_name,
    number,
    settings_in_words,
    title,
    value_in_words,
)
from foveal.store import Case, Explained, View

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Class activation maps": (
        "cam", "gradcam", "gradcam++", "smoothgradcam++", "xgradcam", "hirescam", "layercam",
        "eigencam", "eigengradcam", "scorecam", "ablationcam", "fullgrad",
    ),
    "Gradients": (
        "saliency", "inputxgradient", "smoothgrad", "squaregrad", "vargrad",
        "integratedgradients", "expectedgradients",
    ),
    "Guided gradients": ("guidedbackprop", "deconvolution", "guidedgradcam", "guidedgradcam++"),
    "Relevance": ("lrp",),
    "Perturbation": ("occlusion", "rise", "lime", "kernelshap"),
    "Regions": ("xrai",),
    "Attention": ("attention", "rollout", "chefer"),
    "Concepts": ("tcav",),
}  # fmt: skip
"""Methods that work alike, in the order in which a gallery shows them."""
_OTHERS = "Other methods"


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One method on one image: its map with what it cost, or why there is none."""

    method: str
    question: str
    sign: str
    """What positive and negative values mean."""
    grid: str
    """The grid of the raw map, in words."""
    cost: str
    """Passes as the method's card states them."""
    reference: str
    about: tuple[str, ...] = ()
    """Paragraphs on what it is for on eyes, and what not."""
    explained: Explained | None = None
    seconds: float | None = None
    """Of the method asked alone, with the pass that it could share."""
    refusal: str | None = None
    """Why there is no map: what the model or the caller would have to give."""

    def __post_init__(self) -> None:
        if (self.explained is None) == (self.refusal is None):
            raise ValueError(f"{self.method} needs either a map or the reason why there is none")


@dataclass(frozen=True, kw_only=True, eq=False)
class Wall:
    """All exhibits of one image for one target."""

    case: Case
    """With one view; its own maps are not looked at."""
    target: str
    exhibits: tuple[Exhibit, ...]

    @property
    def view(self) -> View:
        """How the model saw the image."""
        (view,) = self.case.views
        return view


@dataclass(frozen=True, kw_only=True)
class ExhibitSheet:
    """One exhibit as the page shows it."""

    name: str
    question: str
    map: MapSheet | None
    refusal: str | None
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FamilySheet:
    """The exhibits of one family."""

    name: str
    exhibits: tuple[ExhibitSheet, ...]


@dataclass(frozen=True, kw_only=True)
class WallSheet:
    """One wall as the page shows it. It does not hold its case."""

    anchor: str
    name: str
    title: str
    target: str
    shown: int
    """Methods that gave a map."""
    picture: PictureSheet
    view: ViewSheet
    families: tuple[FamilySheet, ...]


def wall_sheet(wall: Wall) -> WallSheet:
    """The sheet of one image and one target.

    Raises:
        ValueError: A case that failed: it has no picture.
    """
    picture = picture_sheet(wall.case)
    way = way_of(wall.case, wall.view, map_grid(picture))
    return WallSheet(
        anchor=anchor(f"{wall.case.id} {wall.target}"),
        name=wall.case.id,
        title=title(wall.case),
        target=wall.target,
        shown=sum(one.explained is not None for one in wall.exhibits),
        picture=picture,
        view=view_sheet(wall.case, wall.view, picture),
        families=tuple(
            FamilySheet(
                name=name,
                exhibits=tuple(_exhibit_sheet(wall, one, way, picture) for one in exhibits),
            )
            for name, exhibits in by_family(wall.exhibits)
        ),
    )


def by_family(exhibits: Sequence[Exhibit]) -> Iterator[tuple[str, list[Exhibit]]]:
    """The exhibits of each family that has any, in the families' order."""
    known = {method: family for family, methods in FAMILIES.items() for method in methods}
    for family in (*FAMILIES, _OTHERS):
        own = [one for one in exhibits if known.get(one.method, _OTHERS) == family]
        if own:
            yield family, own


def grid_in_words(made: Attribution, view: View) -> str:
    """The native grid, and whether the picture shows it enlarged."""
    native, model = evidence(made).shape, view.field.shape
    text = f"{native[0]} × {native[1]}"
    return text if native == model else f"{text}, enlarged"


def cost_in_words(exhibit: Exhibit) -> str:
    """Passes that were sent, and the time that took; what the card says where none were."""
    if exhibit.explained is None:
        return exhibit.cost
    sent = _sent(exhibit.explained.attribution)
    passes = [counted(count, f"{way} pass", f"{way} passes") for way, count in sent if count]
    return ", ".join(passes + _seconds(exhibit))


def cost_in_letters(exhibit: Exhibit) -> str:
    """The same as a card writes it, such as 26 F + 25 B."""
    if exhibit.explained is None:
        return exhibit.cost
    sent = _sent(exhibit.explained.attribution)
    passes = " + ".join(f"{number(count)} {way[0].upper()}" for way, count in sent if count)
    return ", ".join([passes, *_seconds(exhibit)])


def _sent(made: Attribution) -> list[tuple[str, int]]:
    """Images sent each way, with those of the pass that methods can share."""
    ways = ("forward", "backward")
    return [(way, round(made.cost.get(way, 0) + made.cost.get(f"shared_{way}", 0))) for way in ways]


def _seconds(exhibit: Exhibit) -> list[str]:
    return [] if exhibit.seconds is None else [f"{number(exhibit.seconds)} s"]


def _exhibit_sheet(wall: Wall, one: Exhibit, way: Way, picture: PictureSheet) -> ExhibitSheet:
    if one.explained is None:
        return ExhibitSheet(
            name=method_name(one.method),
            question=one.question,
            map=None,
            refusal=one.refusal,
            facts=(("Gives", one.grid), ("Sign", one.sign), ("Cost", one.cost)),
            notes=(),
            about=(*one.about, one.reference),
        )
    made = one.explained.attribution
    return ExhibitSheet(
        name=map_name(one.explained.key, made),
        question=one.question,
        map=map_sheet(wall.case, wall.view, one.explained, way, picture),
        refusal=None,
        facts=tuple(_facts(one, made, wall.view)),
        notes=made.notes,
        about=(*one.about, one.reference),
    )


def _facts(exhibit: Exhibit, made: Attribution, view: View) -> Iterator[tuple[str, str]]:
    yield "Sign", exhibit.sign
    yield "Grid", f"{exhibit.grid}: {grid_in_words(made, view)}"
    if made.score is not None:
        yield "Score", f"{number(made.score)} ({made.score_mode})"
    for name, part in made.parts.items():
        text = value_in_words(part)
        if text is not None:
            yield name.replace("_", " ").capitalize(), text
    if made.settings:
        yield "Settings", settings_in_words(made.settings)
    yield "Cost", cost_in_words(exhibit)
