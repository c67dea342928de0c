"""Maps made elsewhere, as methods of a run: measured like any other, and never asked again.

A map of another library was made for one model and one target; a drawing or a gaze map belongs to
none. Under perturbation either is an order in which the picture is taken apart, and says how far
this model rests on what the map points at; the gate of the measures stays the model's own order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import torch

from foveal.core import Attribution, ImageError, Score
from foveal.explainers.base import MethodCard
from foveal.explainers.request import checked
from foveal.images import CarriedMap, GivenMap, MapGrid, carry_map
from foveal.measures import MEASURES
from foveal.models import Model
from foveal.models.targets import TargetLike, fix
from foveal.run.one_image import Answer, Look, target_in_words

ELSEWHERE = "made elsewhere"
"""The method of these maps, wherever a method is named."""
OF_THE_METHOD = frozenset(card.name for card in MEASURES if "explainer" in card.needs) | {"hfpr"}
"""Measures that ask the method again, or need the grid that it draws on."""
_ENOUGH = 0.995
"""Share of a map inside the prepared picture below which the rest is noted as lost."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Elsewhere:
    """One map of one image that was made elsewhere."""

    key: str
    """Its name in the run."""
    given: GivenMap
    grid: MapGrid = "original"
    source: str = ""
    """What made it, in the user's words."""
    model: str | None = None
    """The name of the only model that it is measured with."""
    target: str | None = None
    """The only target that it is measured for."""

    @property
    def settings(self) -> dict[str, object]:
        """What is known of how it was made, and which file it is."""
        told = {"source": self.source} if self.source else {}
        return {**told, "grid": self.grid, "sha256": self.given.sha256, **self.given.facts}

    def is_of(self, model: Model, target: TargetLike) -> bool:
        """Whether it is measured with this model and for this target."""
        if self.model not in (None, model.card.name):
            return False
        label = getattr(target, "label", None)
        return self.target is None or model.target(self.target).label == label


def answers_elsewhere(seen: Look, target: TargetLike, maps: Sequence[Elsewhere]) -> list[Answer]:
    """The maps of an image as the answers of methods, on the grid of the prepared image.

    Raises:
        ImageError: A map of another grid than it is said to be on.
    """
    return [_answer(seen, target, one) for one in maps if one.is_of(seen.model, target)]


def elsewhere_facts(
    key: str, *, grid: object, source: object = "", signed: bool | None = None
) -> Mapping[str, object]:
    """What a run's header says of such maps, where it has the cards of methods."""
    card = MethodCard(
        question="Where does a map point that was not made here?",
        sign={
            None: "As its files have it: positive speaks for the target, negative against it.",
            True: "Positive speaks for the target, negative against it.",
            False: "None: every value is evidence.",
        }[signed],
        grid=f"The {grid} picture's.",
        cost="None: it is read.",
        reference=str(source) or "Not stated.",
    )
    told = {"grid": grid, **({} if signed is None else {"signed": signed})}
    return {"key": key, "name": ELSEWHERE, "settings": told, "needs": [], **asdict(card)}


def unasked(measure: str) -> Score:
    """Why a measure of the method has no number for a map that was made elsewhere."""
    (card,) = (card for card in MEASURES if card.name == measure)
    if measure == "hfpr":
        return card.none("made_elsewhere", text="the grid that the map was drawn on is not known")
    return card.none("made_elsewhere")


def _answer(seen: Look, target: TargetLike, one: Elsewhere) -> Answer:
    started = perf_counter()
    try:
        carried = carry_map(one.given, seen.image, grid=one.grid)
    except ImageError as problem:
        raise ImageError(f"the map {one.key!r} {problem}") from None
    fixed = fix(target, seen.output, count=1, head=seen.model.head)
    (index,), (mode,), (missing,) = fixed.indices, fixed.modes, fixed.reasons
    maps, (reason,) = checked(torch.from_numpy(carried.values.copy())[None], fixed.reasons)
    alone = torch.zeros(1, dtype=torch.long, device=seen.pixels.device)
    return Answer(
        key=one.key,
        attribution=Attribution(
            map=maps[0].numpy(),
            method=ELSEWHERE,
            settings=one.settings,
            target=target_in_words(seen.model, target, index),
            target_index=index,
            score=None if missing else float(fixed.score(seen.output, alone)),
            score_mode=mode,
            model=seen.model.card.name,
            fingerprint=seen.model.fingerprint,
            reason=reason,
            notes=_notes(carried),
            parts={"mass_kept": carried.mass_kept},
        ),
        explainer=None,
        seconds=perf_counter() - started,
    )


def _notes(carried: CarriedMap) -> tuple[str, ...]:
    if carried.mass_kept is None or carried.mass_kept >= _ENOUGH:
        return ()
    lost = 100 * (1 - carried.mass_kept)
    return (f"{lost:.1f} % of the map lies outside what the model is given of the picture",)
