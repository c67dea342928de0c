"""Does a method notice a ruined model? One that does not cannot tell what a model has learnt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, get_args

import numpy as np
import torch
from jaxtyping import Shaped
from torch import nn

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard
from foveal.measures.explaining import Explaining
from foveal.measures.perturbed import ExplainOf, given
from foveal.measures.reinitialise import (
    Stage,
    kept,
    left_out,
    reestimate,
    reinitialise,
    running_order,
    stages_of,
)
from foveal.measures.sanity import Against, Trained, Verdict, verdict
from foveal.measures.similarity import STATISTICS

Mode = Literal["cascading", "independent"]
FEWEST_SEEDS = 3
STAGES = 10
"""Groups of layers that are ruined one after the other, at most."""

_CRITICISM = (
    "Passing is necessary, never sufficient: it depends on the similarity chosen, and weights "
    "drawn anew keep much of what the network does (Yona and Greenfeld 2021; Binder et al. 2023)"
)

MPRT = MeasureCard(
    name="mprt",
    question="Does the map change when the model's weights are replaced by random ones?",
    direction="lower",
    range=(-1, 1),
    needs=("model", "explainer"),
    chance="the similarity with the ruined model's maps of other patients, where there are any, "
    "else 0",
    missing="the map is constant, every map of the ruined model is, or no layer has weights",
    cost="1 explanation, and 1 for every stage and seed",
    reference=f"Adebayo et al. 2018, Sanity Checks for Saliency Maps. {_CRITICISM}",
)
DATA_RANDOMISATION = MeasureCard(
    name="data_randomisation",
    question="Does the map change when the model has learnt permuted labels?",
    direction="lower",
    range=(-1, 1),
    needs=("model", "explainer"),
    chance=MPRT.chance,
    missing="the map is constant, or every map of the other models is",
    cost="1 explanation of each model, and their training beforehand",
    reference=f"Adebayo et al. 2018, section 4. {_CRITICISM}",
)
RANDOM_LOGIT = MeasureCard(
    name="random_logit",
    question="Does the map of another class look like another map?",
    direction="lower",
    range=(-1, 1),
    needs=("explainer",),
    chance="0 for unrelated maps, -1 where two classes share one score with opposite signs",
    missing="one of the two maps is constant",
    cost="2 explanations",
    reference="Sixt et al. 2020, When Explanations Lie",
)


class RandomKeywords(TypedDict, total=False):
    """The settings of parameter randomisation, by keyword."""

    mode: Mode
    seeds: int
    seed: int
    stages: int
    forward: Callable[..., object] | None


@dataclass(frozen=True, kw_only=True)
class RandomSettings:
    """How a model is ruined.

    Raises:
        ValueError: Fewer than 3 seeds, no stage, or an unknown mode.
    """

    mode: Mode = "cascading"
    """`cascading`: from the top down, what was ruined stays so; `independent`: one stage alone."""
    seeds: int = FEWEST_SEEDS
    seed: int = 0
    """The first one."""
    stages: int = STAGES
    forward: Callable[..., object] | None = None
    """From the images to the output, nothing switched: batch norms among the ruined layers take
    their running statistics anew from one such pass. Without it they keep the trained ones."""

    def __post_init__(self) -> None:
        if self.seeds < FEWEST_SEEDS:
            raise ValueError(f"seeds must be at least {FEWEST_SEEDS}, but is {self.seeds}")
        if self.stages < 1:
            raise ValueError(f"stages must be at least 1, but is {self.stages}")
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be cascading or independent, but is {self.mode!r}")


def mprt(
    explain: ExplainOf,
    image: Shaped[Array, "... channel row column"],
    *,
    model: nn.Module,
    field: Shaped[Array, "row column"] | None = None,
    patients: Sequence[str | int] | None = None,
    **settings: Unpack[RandomKeywords],
) -> Score:
    """Model parameter randomisation test: how alike maps stay when layers get fresh weights.

    The model is given back as it was, also after an error. Explanations go through the whole
    network every time: what lies below the first ruined layer is computed again, since `explain`
    may do anything.

    Args:
        explain: From images in display units (probe, channel, row, column) to maps, through
            `model`, with the targets of these images fixed beforehand.
        image: The prepared image (channel, row, column), or several in front. With one image there
            is no other one to compare with, so no verdict.
        model: The module whose layers are ruined: each by its own initialiser, batch norms' affine
            weights included, from the top down in the order in which they run.
        field: The field of view, for all images; the whole map on its own grid by default.
        patients: Whose each image is; each image somebody else's by default.
        **settings: Those of `RandomSettings`: `mode` ("cascading"), `seeds` (3), `seed`, `stages`
            (at most 10 groups of neighbouring layers), `forward` to estimate running statistics.

    Returns:
        Mean Spearman correlation of |M| between the trained and the ruined model, of the last stage
        of a cascade, where everything is ruined, or over all stages if each is ruined alone; in
        [-1, 1], lower is better. `parts["stages"]` is the whole curve, a row for each stage: its
        layers, the means of five similarities (Spearman of |M| and of M, Pearson, SSIM, overlap of
        the top tenth), the mean with other patients' maps, and how many maps are constant, which
        are counted and never scored as alike. `parts` also holds the `auroc` of same-image against
        cross-patient similarity with its 95 % interval (patients drawn with replacement), and
        `passed`: its upper end is at most 0.60 and some map changes, missing with fewer than 5
        patients; `unchanged` is a method that draws the same whatever the weights. `null` holds
        the mean similarity of each image with other patients'. Missing (`zero_map`,
        `constant_map`, `nan_map`, `too_few`).

    Raises:
        ValueError: An image not in display units, a field or patients that do not fit, a setting
            out of range, or an `explain` that never runs `model`.

    Reference:
        Adebayo et al. 2018, Sanity Checks for Saliency Maps. Its critics: Yona and Greenfeld 2021,
        Revisiting Sanity Checks; Binder et al. 2023, Shortcomings of Top-Down Randomization-Based
        Sanity Checks: the verdict depends on the similarity, and random weights keep activations.
    """
    chosen = RandomSettings(**settings)
    params = {
        "mode": chosen.mode,
        "seeds": chosen.seeds,
        "seed": chosen.seed,
        "running_statistics": "kept" if chosen.forward is None else "estimated anew",
    }
    if not any(True for _ in model.parameters()):
        return MPRT.none("too_few", text="the model has no weights", params=params)
    asking = Explaining.about(explain, image, field)
    with running_order(model) as order:
        maps = asking.maps()
    if not order:
        raise ValueError("explain never ran the model; give the module that explain goes through")
    problem = asking.problem(maps)
    if problem is not None:
        return MPRT.none(problem, params=params)
    trained = asking.trained(maps, patients, "spearman_abs")
    stages = stages_of(model, order, chosen.stages)
    ruined = _Ruined(model, stages, chosen, asking)
    rows = ruined.compared(trained)
    ends = [found for row in (rows if chosen.mode == "independent" else rows[-1:]) for found in row]
    table = [_row(stage, found) for stage, found in zip(stages, rows, strict=True)]
    inside = {name for stage in stages for name in stage}
    parts: dict[str, object] = {
        "stages": table,
        "without_initialiser": sorted(ruined.without),
        "never_ruined": [name for name in left_out(model, order) if name not in inside],
        "criticism": _CRITICISM,
    }
    return _concluded(MPRT, ends, trained, chosen.seed, params, parts)


def data_randomisation(
    explain: ExplainOf,
    image: Shaped[Array, "... channel row column"],
    *,
    permuted: ExplainOf | Sequence[ExplainOf],
    field: Shaped[Array, "row column"] | None = None,
    patients: Sequence[str | int] | None = None,
    seed: int = 0,
) -> Score:
    """Data randomisation test: how alike the maps of models are that learnt permuted labels.

    Training is the user's: the same network and settings on permuted labels, to at least 95 %
    accuracy on them.

    Args:
        explain: From images to maps, through the model that learnt the true labels.
        image: As for `mprt`.
        permuted: The same through one or several models that learnt permuted labels.
        field: As for `mprt`.
        patients: As for `mprt`.
        seed: Of the interval.

    Returns:
        Mean Spearman correlation of |M|, in [-1, 1]; lower is better. `parts` holds all five
        similarities and the verdict as for `mprt`. Missing as that is.

    Raises:
        ValueError: As `mprt`, or no other model.

    Reference:
        Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 4.
    """
    others = [permuted] if callable(permuted) else list(permuted)
    if not others:
        raise ValueError("permuted must be at least one model's explain, but is empty")
    asking = Explaining.about(explain, image, field)
    maps = asking.maps()
    params: dict[str, object] = {"models": len(others), "seed": seed}
    problem = asking.problem(maps)
    if problem is not None:
        return DATA_RANDOMISATION.none(problem, params=params)
    trained = asking.trained(maps, patients, "spearman_abs")
    found = [trained.against(asking.maps(other)) for other in others]
    parts: dict[str, object] = {**_row((), found), "criticism": _CRITICISM}
    return _concluded(DATA_RANDOMISATION, found, trained, seed, params, parts)


def random_logit(
    explain: ExplainOf | Array,
    image: Array,
    *,
    other: ExplainOf | Array,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Random logit test: how alike the map of another class of the same image is.

    Args:
        explain: From images to maps of the explained class; or its map (row, column).
        image: The prepared image (channel, row, column) in display units.
        other: The same for another class.
        field: The field of view; the whole map on its own grid by default.

    Returns:
        Spearman correlation of the signed maps over the field, in [-1, 1]; lower is better.
        `parts` holds the other similarities. Missing (`zero_map`, `constant_map`, `nan_map`).

    Raises:
        ValueError: An image not in display units, or a field of another grid.

    Reference:
        Sixt et al. 2020, When Explanations Lie: Why Many Modified BP Attributions Fail.
    """
    asking = Explaining.about(explain, image, field)
    own, another = asking.maps(), asking.maps(other)
    problem = asking.problem(own) or asking.problem(another)
    if problem is not None:
        return RANDOM_LOGIT.none(problem)
    trained = asking.trained(own, None, "spearman")
    similar = {k: _mean([found]) for k, found in trained.against(another).same.items()}
    value = similar["spearman"]
    if value is None:
        return RANDOM_LOGIT.none("constant_map")
    return RANDOM_LOGIT.score(value, chance=0, parts=similar)


class _Ruined:
    """A model on its way from trained to random."""

    def __init__(
        self,
        model: nn.Module,
        stages: Sequence[Stage],
        settings: RandomSettings,
        asking: Explaining,
    ) -> None:
        self.model = model
        self.stages = stages
        self.settings = settings
        self.asking = asking
        self.without: set[str] = set()
        """Layers without an initialiser of their own."""

    def compared(self, trained: Trained) -> list[list[Against]]:
        """For each stage, every seed."""
        first, count = self.settings.seed, self.settings.seeds
        runs = [self._run(seed, trained) for seed in range(first, first + count)]
        return [list(found) for found in zip(*runs, strict=True)]

    def _run(self, seed: int, trained: Trained) -> list[Against]:
        if self.settings.mode == "cascading":
            with kept(self.model):
                torch.manual_seed(seed)
                return [
                    self._after(stage, self.stages[: k + 1], trained)
                    for k, stage in enumerate(self.stages)
                ]
        found = []
        for number, stage in enumerate(self.stages):
            with kept(self.model):
                torch.manual_seed(1000 * seed + number)
                found.append(self._after(stage, [stage], trained))
        return found

    def _after(self, stage: Stage, ruined: Sequence[Stage], trained: Trained) -> Against:
        """One more stage ruined."""
        self.without.update(reinitialise(self.model, stage))
        forward = self.settings.forward
        if forward is not None:
            layers = [name for one in ruined for name in one]
            images = given(self.asking.images, self.asking.as_array)
            reestimate(self.model, layers, lambda: forward(images))
        return trained.against(self.asking.maps())


def _row(stage: Stage, found: Sequence[Against]) -> dict[str, object]:
    """One stage of the table, over images and seeds."""
    means = {name: _mean([one.same[name] for one in found]) for name in STATISTICS}
    apart = [one.cross[~np.eye(len(one.cross), dtype=bool)] for one in found]
    flat = sum(one.flat_maps for one in found)
    return {"layers": list(stage), **means, "cross": _mean(apart), "constant_maps": flat}


def _concluded(
    card: MeasureCard,
    found: Sequence[Against],
    trained: Trained,
    seed: int,
    params: dict[str, object],
    parts: dict[str, object],
) -> Score:
    value = _mean([one.same[trained.leading] for one in found])
    if value is None:
        return card.none("constant_map", params=params, parts=parts)
    said: Verdict = verdict([one.cross for one in found], trained.patients, seed)
    null = _cross_means(found, trained.patients)
    return card.score(
        value,
        chance=float(np.mean(null)) if null else 0,
        null=null or None,
        params=params,
        parts={**parts, **said.parts()},
    )


def _cross_means(found: Sequence[Against], patients: np.ndarray) -> tuple[float, ...]:
    """Of each image, the mean similarity with ruined maps of other patients."""
    apart = patients[:, None] != patients
    every = np.stack([np.where(apart, one.cross, np.nan) for one in found])
    known = [row[~np.isnan(row)] for row in every.transpose(1, 0, 2).reshape(len(patients), -1)]
    return tuple(float(row.mean()) for row in known if len(row))


def _mean(values: Sequence[np.ndarray]) -> float | None:
    every = np.concatenate([np.ravel(one) for one in values])
    known = every[~np.isnan(every)]
    return float(known.mean()) if len(known) else None
