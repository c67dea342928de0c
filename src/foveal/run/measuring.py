"""The measures of a run, each asked for by name; what depends on no map is made once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from foveal.core import Attribution, ImageError, PlanError
from foveal.explainers import AbstractExplainer
from foveal.explainers.grid import at_input_size
from foveal.explainers.passes import Passes
from foveal.measures.baselines import PROTOCOL
from foveal.measures.perturbation import Scale
from foveal.models.borrow import borrowed
from foveal.models.targets import TargetLike, fix, with_score
from foveal.run.again import (
    AGAIN,
    OF_THE_MODEL,
    PERTURBATIONS,
    Again,
    AgainMap,
    native_grain,
)
from foveal.run.elsewhere import ELSEWHERE, OF_THE_METHOD, unasked
from foveal.run.one_image import Look
from foveal.run.perturbing import PERTURBING, PerturbedMap, Perturbing
from foveal.run.placing import PLACING, Place, PlacedMap, place_of
from foveal.run.trials import Trials
from foveal.store import Measured


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Which measures are asked for, and against how much chance."""

    names: tuple[str, ...]
    random_orders: int = 0
    random_regions: int = 0
    baseline: str = "blur"
    baselines: tuple[str, ...] = PROTOCOL
    """Those of the headline of faithfulness, `srg`."""
    seed: int = 0
    max_batch: int = 16
    perturbations: int = PERTURBATIONS
    costly: bool = False
    """Whether stability is measured of methods too that send probes of their own."""


class Asking:
    """Asks the model about one target of one image, for the measures that perturb it.

    `layers` are those whose maps will be measured: one pass looks at the gradients of all.
    """

    def __init__(
        self, seen: Look, target: TargetLike, yardstick: Yardstick, layers: Sequence[str] = ()
    ) -> None:
        self.image = seen.pixels[0]
        self.module = seen.model.module
        self.scale: Scale
        self.scale, self._score = _score_of(seen, target)
        self._regression = seen.model.card.task == "regression"
        self._passes = Passes(seen.network)
        self.again = Again(
            seen,
            target,
            seed=yardstick.seed,
            max_batch=yardstick.max_batch,
            perturbations=yardstick.perturbations,
            layers=layers,
        )
        self._trials = Trials(
            names=frozenset(yardstick.names),
            baseline=yardstick.baseline,
            baselines=yardstick.baselines,
            random_orders=yardstick.random_orders,
            random_regions=yardstick.random_regions,
            seed=yardstick.seed,
            max_batch=seen.bound(yardstick.max_batch),
        )

    def perturbing(self, place: Place) -> Perturbing:
        """What is asked of the image under perturbation, for all maps of it."""
        return Perturbing(
            self.score, self.image, place, self.scale, self._trials, either_way=self._regression
        )

    def score(self, batch: Float[Tensor, "probe channel row column"]) -> Float[Tensor, " probe"]:
        """The target of this image, for probes in display units.

        Raises:
            ImageError: The model gives no number for one of them.
        """
        scores = self._passes.send(batch, self._score).scores
        if not bool(scores.isfinite().all()):
            raise ImageError(
                "the model's score is not a finite number when parts of this image are replaced; "
                "measure it at the level quick, which replaces nothing"
            )
        return scores


class Measuring:
    """Measures the maps of one image, one model and one target.

    Without anybody to ask, only the measures that send no passes can be made.
    """

    def __init__(
        self,
        place: Place,
        yardstick: Yardstick,
        asking: Asking | None = None,
        attributions: Sequence[Attribution] = (),
    ) -> None:
        self.place = place
        self.yardstick = yardstick
        self._asking = asking
        self._expected = tuple(attributions)

    def measure(
        self, attribution: Attribution, explainer: AbstractExplainer | None = None
    ) -> tuple[Measured, ...]:
        """All scores of one map, in the order of the measures' names.

        Where a map is empty for a reason, it has no number, and all that could be one carry it.
        `explainer` made the map; without it, it is built again from the map's settings.

        Raises:
            PlanError: A measure that needs the model, where there is none, or the method, where
                the map's settings do not say enough.
        """
        made = _OneMap(self, self._on_grid(attribution), attribution, explainer)
        with borrowed(self._asking.module if self._asking else None):
            measured = [m for name in self.yardstick.names for m in made.measured(name)]
        if attribution.reason is None:
            return tuple(measured)
        empty = not made.values.any()
        return tuple(
            m if m.score.name in _OF_NO_MAP else _with_reason(m, attribution.reason, empty=empty)
            for m in measured
        )

    @property
    def asking(self) -> Asking:
        """Whom to ask for scores.

        Raises:
            PlanError: Nobody.
        """
        if self._asking is None:
            raise PlanError(
                "these measures ask the model again; give its card (--card), or keep to those of "
                "the level quick"
            )
        return self._asking

    @cached_property
    def perturbing(self) -> Perturbing:
        """What is asked of the image under perturbation, once for all its maps."""
        made = self.asking.perturbing(self.place)
        made.expect({id(one): self._on_grid(one) for one in self._expected})
        return made

    def _on_grid(self, attribution: Attribution) -> Float[np.ndarray, "row column"]:
        native = torch.from_numpy(attribution.map).unsqueeze(0)
        blank = torch.empty(1, 1, *self.place.field.shape)
        return at_input_size(native, blank)[0].numpy()


def measuring(
    seen: Look,
    target: TargetLike,
    yardstick: Yardstick,
    attributions: Sequence[Attribution] = (),
) -> Measuring:
    """The measures of one target of an image that a model has looked at, and of these maps."""
    place = place_of(seen.image, seen.field.mask, seen.regions)
    layers = watched_by(attributions)
    asking = Asking(seen, target, yardstick, layers)
    return Measuring(place, yardstick, asking, attributions)


def watched_by(attributions: Sequence[Attribution]) -> list[str]:
    """The layers at which single ones were watched for maps."""
    named = [made.layer for made in attributions if made.layer and " + " not in made.layer]
    return list(dict.fromkeys(named))


class _OneMap:
    """One map under measurement: its passes are sent once, whichever measures ask for them."""

    def __init__(
        self,
        by: Measuring,
        values: Float[np.ndarray, "row column"],
        attribution: Attribution,
        explainer: AbstractExplainer | None,
    ) -> None:
        self.by = by
        self.values = values
        self.attribution = attribution
        self._explainer = explainer

    def measured(self, name: str) -> Iterator[Measured]:
        """The scores of one measure, on all that it is taken on."""
        if name in OF_THE_METHOD and self.attribution.method == ELSEWHERE:
            return iter([Measured(score=unasked(name))])
        if name in PLACING:
            return PLACING[name](self.placed)
        if name in AGAIN:
            return AGAIN[name](self.again)
        if name in PERTURBING:
            return PERTURBING[name](self.perturbed)
        return native_grain(self.attribution)

    @cached_property
    def placed(self) -> PlacedMap:
        return PlacedMap(self.by.place, self.values)

    @cached_property
    def again(self) -> AgainMap:
        again, costly = self.by.asking.again, self.by.yardstick.costly
        return AgainMap(again, self.attribution, self._explainer, costly=costly)

    @cached_property
    def perturbed(self) -> PerturbedMap:
        return PerturbedMap(self.by.perturbing, id(self.attribution), self.values)


MEASURED = (*PLACING, *PERTURBING, "hfpr", *AGAIN)
"""The measures that a run can make."""
_OF_NO_MAP = OF_THE_MODEL | {"lesion_drop"}


def _with_reason(measured: Measured, reason: str, *, empty: bool) -> Measured:
    """The score with the reason why its map is flat; what a region lacks stays."""
    score = measured.score
    if score.reason in ("zero_map", "constant_map") or (empty and score.reason is None):
        missing = replace(score, value=None, reason=reason, reason_text=None, null=None)
        return replace(measured, score=missing)
    return measured


def _score_of(
    seen: Look, target: TargetLike
) -> tuple[Scale, Callable[[object], Float[Tensor, " probe"]]]:
    """What the faithfulness measures ask the model for, and the scale it comes in.

    Log-odds for classes, from which probabilities follow exactly; the mean probability over the
    target's pixels for a segmentation; the value for a regression, in standard deviations of the
    training set where the card knows it.
    """
    task, head = seen.model.card.task, seen.model.head
    sd = seen.model.card.output.train_sd or 1.0
    scale: Scale = "given"
    if task == "segmentation":
        scale, target = "probability", with_score(target, "probability")
    elif task != "regression" and not callable(target):
        scale, target = "log-odds", with_score(target, "log-odds")
    fixed = fix(target, seen.output, count=1, head=head)

    def score(output: object) -> Tensor:
        probes = len(output) if isinstance(output, Tensor) else 1
        sample = torch.zeros(probes, dtype=torch.long, device=seen.pixels.device)
        return fixed.score(output, sample) / (sd if task == "regression" else 1.0)

    return scale, score
