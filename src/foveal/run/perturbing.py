"""Faithfulness in a run: what depends on no map is made once for an image, and shared by all maps.

Per image, target and baseline that is the image under perturbation, with its own score and that of
the baseline; the curves of all controls; and per image and target the tables of what the score
loses without single patches, and without random sets of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from foveal.core import Score
from foveal.measures import (
    Arm,
    Controls,
    Kept,
    PatchEffects,
    RemovalCurves,
    Road,
    RoiDrops,
    Subject,
    SubsetEffects,
    aopc,
    average_drop,
    average_gain,
    control_curves,
    deletion_auc,
    drop_at_fraction,
    early_auc,
    excess_drop,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    infidelity_normalized,
    insertion_auc,
    irp_logodds,
    keep_only,
    lesion_drop,
    lesion_drops,
    masked_roi_drop,
    patch_effects,
    pct_increase_confidence,
    random_curves,
    random_roads,
    relevance_rank_correlation,
    removal_curves_of,
    road_combined,
    road_curves,
    road_lerf,
    road_morf,
    roi_drops,
    sensitivity_n,
    srg,
    subset_effects,
    sufficiency_delta,
)
from foveal.measures.curves import CurveKeywords, CurveSettings
from foveal.measures.drops import DropKeywords
from foveal.measures.odds import IRP_AREA
from foveal.measures.perturbation import Scale, ScoreOf
from foveal.measures.road import RoadKeywords, road_subject
from foveal.run.placing import Place
from foveal.run.trials import Trials
from foveal.store import ALL_LESIONS, Measured

_FEATHER = 3 / 512
"""Width over which the edges of removed pixels fade, as a share of the image's larger side."""


class Perturbing:
    """Asks about one target of one image; made once, shared by all of its maps."""

    def __init__(
        self, score: ScoreOf, image: Float[Tensor, "channel row column"], place: Place,
        scale: Scale, trials: Trials, *, either_way: bool = False,
    ) -> None:  # fmt: skip
        self.score = score
        self.image = image
        self.field = place.field
        self.trials = trials
        self.scale: Scale = scale
        self._either_way = either_way
        self.lesion_mask = next((r.mask for r in place.regions if r.name == ALL_LESIONS), None)
        self._maps: dict[int, Float[np.ndarray, "row column"]] = {}
        self._subjects: dict[str, Subject] = {}
        self._controls: dict[str, Controls] = {}
        self._curves: dict[str, dict[int, RemovalCurves | str]] = {}

    def expect(self, maps: Mapping[int, Float[np.ndarray, "row column"]]) -> None:
        """Maps that will be measured: their curves are drawn together, in full batches."""
        self._maps |= maps

    def curve_settings(self, baseline: str) -> CurveKeywords:
        """How curves are made under a baseline."""
        return {
            "baseline": baseline,
            "scale": self.scale,
            "seed": self.trials.seed,
            "max_batch": self.trials.max_batch,
            "feather_px": _FEATHER * max(self.field.shape),
        }

    @property
    def drop_settings(self) -> DropKeywords:
        """How regions are taken away."""
        chosen = self.curve_settings(self.trials.baseline)
        regions = {"random": self.trials.random_regions, "either_way": self._either_way}
        return {**chosen, **regions}  # type: ignore[typeddict-item]

    @property
    def road_settings(self) -> RoadKeywords:
        """How pixels are imputed."""
        trials = self.trials
        return {"scale": self.scale, "seed": trials.seed, "max_batch": trials.max_batch}

    def subject(self, baseline: str) -> Subject:
        """The image under perturbation; its own score and the baseline's are asked for once."""
        if baseline not in self._subjects:
            chosen = CurveSettings(**self.curve_settings(baseline))
            made = chosen.subject(self.score, self.image, self.field)
            for known in list(self._subjects.values())[:1]:
                made = replace(made, image_score=known.whole)
            self._subjects[baseline] = made
        return self._subjects[baseline]

    def curves(self, baseline: str, key: int) -> RemovalCurves | str:
        """A map's curves, drawn with those of all maps that are expected."""
        known = self._curves.setdefault(baseline, {})
        if key not in known:
            waiting = {k: values for k, values in self._maps.items() if k not in known}
            known |= removal_curves_of(
                self.score, self.image, waiting, field=self.field,
                subject=self.subject(baseline), **self.curve_settings(baseline),
            )  # fmt: skip
        return known[key]

    def controls(self, baseline: str) -> Controls:
        """What every map of the image is compared with."""
        if baseline not in self._controls:
            self._controls[baseline] = self._drawn(baseline)
        return self._controls[baseline]

    @cached_property
    def effects(self) -> PatchEffects:
        """What the score loses without each patch."""
        chosen = self.curve_settings(self.trials.baseline)
        asked = self.subject(self.trials.baseline)
        return patch_effects(self.score, self.image, field=self.field, subject=asked, **chosen)

    @cached_property
    def subsets(self) -> SubsetEffects:
        """What the score loses without random sets of patches."""
        return subset_effects(
            self.score, self.image, shares=self.trials.shares, field=self.field,
            subject=self.subject(self.trials.baseline),
            **self.curve_settings(self.trials.baseline),
        )  # fmt: skip

    @cached_property
    def road(self) -> Subject:
        """The image whose pixels are imputed."""
        made = road_subject(self.score, self.image, field=self.field, **self.road_settings)
        return replace(made, image_score=self.subject(self.trials.baseline).whole)

    @cached_property
    def lesions(self) -> Score | None:
        """What the score loses without the marked lesions; `None` where none are known."""
        if self.lesion_mask is None:
            return None
        ask, settings = (self.score, self.image, self.lesion_mask), self.drop_settings
        subject = self.subject(self.trials.baseline)
        drops = lesion_drops(*ask, field=self.field, subject=subject, **settings)
        return lesion_drop(*ask, drops=drops, **settings)

    @cached_property
    def random_roads(self) -> list[Road]:
        """One random order of pixels."""
        return random_roads(
            self.score, self.image, field=self.field, orders=min(1, self.trials.random_orders),
            subject=self.road, **self.road_settings,
        )  # fmt: skip

    def _drawn(self, baseline: str) -> Controls:
        ask = (self.score, self.image)
        orders, chosen = self.trials.random_orders, self.curve_settings(baseline)
        asked = self.subject(baseline)
        if not self.trials.controlled(baseline):
            random = random_curves(*ask, field=self.field, orders=orders, subject=asked, **chosen)
            return Controls(random=tuple(random))
        return control_curves(
            *ask, mask=self.lesion_mask, field=self.field, orders=orders, effects=self.effects,
            subject=asked, **chosen,
        )  # fmt: skip


class PerturbedMap:
    """One map whose image is perturbed: its passes are sent once, whichever measures ask."""

    def __init__(self, by: Perturbing, key: int, values: Float[np.ndarray, "row column"]) -> None:
        self.by = by
        self.key = key
        self.values = values
        self._ask = (by.score, by.image, values)
        by.expect({key: values})

    def of_curves(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Measures of the curves under the first baseline."""
        baseline = self.by.trials.baseline
        made, settings = self.by.curves(baseline, self.key), self.by.curve_settings(baseline)
        controls = Controls() if isinstance(made, str) else self.by.controls(baseline)
        yield Measured(score=measure(*self._ask, curves=made, controls=controls, **settings))

    def gain(self) -> Iterator[Measured]:
        """The headline, over all baselines."""
        arms: dict[str, Arm] = {}
        for baseline in self.by.trials.baselines:
            made = self.by.curves(baseline, self.key)
            controls = Controls() if isinstance(made, str) else self.by.controls(baseline)
            arms[baseline] = Arm(curves=made, controls=controls)
        settings = self.by.curve_settings(self.by.trials.baseline)
        yield Measured(score=srg(*self._ask, arms=arms, **settings))

    def of_drops(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Measures of the strongest region."""
        yield Measured(score=measure(*self._ask, drops=self.drops, **self.by.drop_settings))

    def excess(self) -> Iterator[Measured]:
        """The strongest twentieth, and as many pixels as the lesions have.

        What the map points at and what the expert marked compare at equal areas only.
        """
        yield from self.of_drops(excess_drop)
        lesions = self.by.lesion_mask
        if lesions is not None:
            settings = self.by.drop_settings
            drops = self._drops(settings, lesions)
            made = excess_drop(*self._ask, mask=lesions, drops=drops, **settings)
            yield Measured(score=made, region=ALL_LESIONS)

    def of_lesions(self) -> Iterator[Measured]:
        """Of the model, not of the map: the same for all maps of the image."""
        if self.by.lesions is not None:
            yield Measured(score=self.by.lesions, region=ALL_LESIONS)

    def odds(self) -> Iterator[Measured]:
        """Only for classes: other scores have no log-odds."""
        if self.by.scale == "log-odds":
            settings: DropKeywords = {**self.by.drop_settings, "area": IRP_AREA}
            drops = self._drops(settings)
            yield Measured(score=irp_logodds(*self._ask, drops=drops, **settings))

    def of_kept(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Measures of the image kept only as far as the map is strong."""
        settings = self.by.curve_settings(self.by.trials.baseline)
        yield Measured(score=measure(*self._ask, kept=self.kept, **settings))

    def of_effects(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Measures against single patches."""
        settings = self.by.curve_settings(self.by.trials.baseline)
        made = measure(*self._ask, field=self.by.field, effects=self.by.effects, **settings)
        yield Measured(score=made)

    def of_subsets(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Measures against random sets of patches."""
        settings = self.by.curve_settings(self.by.trials.baseline)
        made = measure(*self._ask, field=self.by.field, subsets=self.by.subsets, **settings)
        yield Measured(score=made)

    def of_road(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Measures of imputation."""
        made = self.road
        null = () if isinstance(made, str) else self.by.random_roads
        yield Measured(score=measure(*self._ask, curves=made, null=null, **self.by.road_settings))

    @cached_property
    def drops(self) -> RoiDrops | str:
        """The passes of `of_drops`."""
        return self._drops(self.by.drop_settings)

    @cached_property
    def kept(self) -> Kept | str:
        """The passes of `of_kept`."""
        baseline = self.by.trials.baseline
        return keep_only(
            *self._ask, field=self.by.field, subject=self.by.subject(baseline),
            draws=self.by.trials.kept_draws, **self.by.curve_settings(baseline),
        )  # fmt: skip

    @cached_property
    def road(self) -> Road | str:
        """The passes of `of_road`."""
        return road_curves(
            *self._ask, field=self.by.field, subject=self.by.road, **self.by.road_settings
        )

    def _drops(
        self, settings: DropKeywords, mask: Bool[np.ndarray, "row column"] | None = None
    ) -> RoiDrops | str:
        subject = self.by.subject(self.by.trials.baseline)
        return roi_drops(*self._ask, mask=mask, field=self.by.field, subject=subject, **settings)


PERTURBING: Mapping[str, Callable[[PerturbedMap], Iterator[Measured]]] = {
    "srg": lambda made: made.gain(),
    "aopc": lambda made: made.of_curves(aopc),
    "deletion_auc": lambda made: made.of_curves(deletion_auc),
    "early_auc": lambda made: made.of_curves(early_auc),
    "insertion_auc": lambda made: made.of_curves(insertion_auc),
    "drop_at_fraction": lambda made: made.of_curves(drop_at_fraction),
    "average_drop": lambda made: made.of_kept(average_drop),
    "pct_increase_confidence": lambda made: made.of_kept(pct_increase_confidence),
    "sufficiency_delta": lambda made: made.of_kept(sufficiency_delta),
    "average_gain": lambda made: made.of_kept(average_gain),
    "masked_roi_drop": lambda made: made.of_drops(masked_roi_drop),
    "excess_drop": lambda made: made.excess(),
    "lesion_drop": lambda made: made.of_lesions(),
    "irp_logodds": lambda made: made.odds(),
    "relevance_rank_correlation": lambda made: made.of_effects(relevance_rank_correlation),
    "faithfulness_estimate": lambda made: made.of_effects(faithfulness_estimate),
    "faithfulness_correlation": lambda made: made.of_subsets(faithfulness_correlation),
    "sensitivity_n": lambda made: made.of_subsets(sensitivity_n),
    "infidelity": lambda made: made.of_subsets(infidelity),
    "infidelity_normalized": lambda made: made.of_subsets(infidelity_normalized),
    "road_morf": lambda made: made.of_road(road_morf),
    "road_lerf": lambda made: made.of_road(road_lerf),
    "road_combined": lambda made: made.of_road(road_combined),
}
"""The measures that perturb the image. `completeness_error` is none of them: it needs the score and
the baseline that a map was made with, which is the method's business; nor is `roar`, which trains.
"""
