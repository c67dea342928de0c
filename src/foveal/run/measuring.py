"""The measures of a run, each asked for by name; what depends on no map is made once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from foveal.core import Attribution, PlanError, Score
from foveal.explainers import AbstractExplainer
from foveal.explainers.grid import at_input_size
from foveal.explainers.passes import Passes
from foveal.measures import (
    RemovalCurves,
    RoiDrops,
    Subject,
    deletion_auc,
    early_auc,
    excess_drop,
    insertion_auc,
    make_subject,
    masked_roi_drop,
    random_curves,
    removal_curves,
    roi_drops,
)
from foveal.measures.curves import CurveKeywords, CurveSettings
from foveal.measures.drops import DropKeywords
from foveal.measures.perturbation import Scale
from foveal.models.borrow import borrowed
from foveal.models.targets import TargetLike, fix, with_score
from foveal.run.again import (
    AGAIN,
    OF_THE_MODEL,
    PERTURBATIONS,
    Again,
    AgainMap,
    explainer_again,
    native_grain,
)
from foveal.run.one_image import Look
from foveal.run.placing import PLACING, Place, PlacedMap, place_of
from foveal.store import Measured

_FEATHER = 3 / 512
"""Width of a removed region's edge as a share of the image's larger side."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Which measures are asked for, and against how much chance."""

    names: tuple[str, ...]
    random_orders: int = 0
    random_regions: int = 0
    baseline: str = "blur"
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
        self._field = seen.field.mask
        self.module = seen.model.module
        scale, self._score = _score_of(seen, target)
        self._passes = Passes(seen.network)
        self.again = Again(
            seen,
            target,
            seed=yardstick.seed,
            max_batch=yardstick.max_batch,
            perturbations=yardstick.perturbations,
            layers=layers,
        )
        self.curve_settings: CurveKeywords = {
            "baseline": yardstick.baseline,
            "scale": scale,
            "seed": yardstick.seed,
            "max_batch": seen.bound(yardstick.max_batch),
        }
        self.drop_settings: DropKeywords = {
            **self.curve_settings,
            "random": yardstick.random_regions,
            "feather_px": _FEATHER * max(self.image.shape[1:]),
        }

    @cached_property
    def subject(self) -> Subject:
        """The image under perturbation, for all maps of it."""
        settings = CurveSettings(**self.curve_settings)
        return make_subject(
            self.score,
            self.image,
            self._field,
            baseline=settings.baseline,
            scale=settings.scale,
            max_batch=settings.max_batch,
        )

    def score(self, batch: Float[Tensor, "probe channel row column"]) -> Float[Tensor, " probe"]:
        """The target of this image, for probes in display units."""
        return self._passes.send(batch, self._score).scores


class Measuring:
    """Measures the maps of one image, one model and one target.

    Without anybody to ask, only the measures that send no passes can be made.
    """

    def __init__(
        self,
        place: Place,
        yardstick: Yardstick,
        asking: Asking | None = None,
    ) -> None:
        self.place = place
        self.yardstick = yardstick
        self._asking = asking

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
        native = torch.from_numpy(attribution.map).unsqueeze(0)
        blank = torch.empty(1, 1, *self.place.field.shape)
        made = _OneMap(self, at_input_size(native, blank)[0].numpy(), attribution, explainer)
        with borrowed(self._asking.module if self._asking else None):
            measured = [m for name in self.yardstick.names for m in made.measured(name)]
        if attribution.reason is None:
            return tuple(measured)
        empty = not made.values.any()
        return tuple(
            m if m.score.name in OF_THE_MODEL else _with_reason(m, attribution.reason, empty=empty)
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
    def random(self) -> list[RemovalCurves]:
        """Curves of random orders, which every map of this image is compared with."""
        return random_curves(
            self.asking.score,
            self.asking.image,
            field=self.place.field,
            orders=self.yardstick.random_orders,
            subject=self.asking.subject,
            **self.asking.curve_settings,
        )


def measuring(
    seen: Look,
    target: TargetLike,
    yardstick: Yardstick,
    attributions: Sequence[Attribution] = (),
) -> Measuring:
    """The measures of one target of an image that a model has looked at, and of these maps."""
    place = place_of(seen.image, seen.field.mask, seen.regions)
    layers = watched_by(attributions)
    return Measuring(place, yardstick, asking=Asking(seen, target, yardstick, layers))


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
        if name in PLACING:
            return PLACING[name](self.placed)
        if name in AGAIN:
            return AGAIN[name](self.again)
        return _ASKING[name](self)

    @cached_property
    def placed(self) -> PlacedMap:
        return PlacedMap(self.by.place, self.values)

    @cached_property
    def again(self) -> AgainMap:
        asking = self.by.asking
        explainer = self._explainer or explainer_again(self.attribution)
        return AgainMap(asking.again, self.attribution, explainer, costly=self.by.yardstick.costly)

    @cached_property
    def curves(self) -> RemovalCurves | str:
        asking = self.by.asking
        return removal_curves(
            asking.score,
            asking.image,
            self.values,
            field=self.by.place.field,
            subject=asking.subject,
            **asking.curve_settings,
        )

    @cached_property
    def drops(self) -> RoiDrops | str:
        asking = self.by.asking
        return roi_drops(
            asking.score,
            asking.image,
            self.values,
            field=self.by.place.field,
            subject=asking.subject,
            **asking.drop_settings,
        )

    def of_curves(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        asking, made = self.by.asking, self.curves
        null = () if isinstance(made, str) else self.by.random
        score = measure(
            asking.score, asking.image, self.values, curves=made, null=null, **asking.curve_settings
        )
        yield Measured(score=score)

    def of_drops(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        asking = self.by.asking
        score = measure(
            asking.score, asking.image, self.values, drops=self.drops, **asking.drop_settings
        )
        yield Measured(score=score)


_ASKING: Mapping[str, Callable[[_OneMap], Iterator[Measured]]] = {
    "masked_roi_drop": lambda made: made.of_drops(masked_roi_drop),
    "excess_drop": lambda made: made.of_drops(excess_drop),
    "deletion_auc": lambda made: made.of_curves(deletion_auc),
    "early_auc": lambda made: made.of_curves(early_auc),
    "insertion_auc": lambda made: made.of_curves(insertion_auc),
    "hfpr": lambda made: native_grain(made.attribution),
}
MEASURED = (*PLACING, *_ASKING, *AGAIN)
"""The measures that a run can make."""


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
