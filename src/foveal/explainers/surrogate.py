"""LIME and KernelSHAP: simple models of what the score does when parts of the image are hidden."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb
from typing import ClassVar, get_args

import torch
from torch import Tensor

from foveal.core import ScoreMode
from foveal.explainers.base import (
    AbstractExplainer,
    Draw,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    check_count,
)
from foveal.explainers.fitting import Fit, rank_agreement, ridge_fit, shapley_fit
from foveal.explainers.players import Players, check_tabular, per_image, players
from foveal.explainers.reference import Reference, check_reference
from foveal.explainers.settings import check_number
from foveal.explainers.superpixels import Segments, label_image


@dataclass(frozen=True, kw_only=True)
class LIME(AbstractExplainer):
    """Which parts of the image does the class need, in a linear model of what hiding them does?

    Parts of the image are hidden at random and a ridge regression is fitted to the class
    probability of what is left, samples that keep more counting more. The map shows each part's
    coefficient on its pixels. The parts are SLIC superpixels inside the field, or regions that the
    user names: anatomy, retinal layers, quadrants, ETDRS sectors.

    On eyes, use it where the model gives scores only, and to ask about named regions. Believe it
    only as far as its `r2`: where parts matter only together (any one haemorrhage is enough) no
    linear model fits. Not for microaneurysms, which are far smaller than a superpixel, nor where
    the fill is itself a sign of disease: black patches look like haemorrhages, so prefer `blur`. It
    costs 1000 forward passes.

    Beside the map: `coefficients` in the order of the parts, `tabular` the coefficients of the
    features beside the image, `intercept`, `segments` with the number of each pixel's part (-1:
    never hidden), `r2` with the weights of the fit, and `stability`: the mean rank correlation of
    the coefficients between fits to `groups` disjoint sets of samples, so what to expect of another
    seed with that many fewer samples, at no further pass.

    Args:
        superpixels: About how many, where no segments are given.
        samples: How many times parts are hidden.
        segments: A label image (row, column), or (batch, row, column) for each image its own, whose
            negative pixels are never hidden; or a list of masks or `foveal.core.Region`, of which a
            pixel belongs to the first that has it, and those in none are one more part. On the grid
            that the model sees; with a model card also on that of the picture as it was read.
        fill: What hides: a number, a tensor that fits the images, or a name: `blur`; in display
            units also `black` and `field-mean`.
        tabular: What an absent feature is, such as the training means, one number for each feature
            of the tables (sample, feature) that the model takes beside the image; without it these
            stay as they are.
        score: What is explained of a class: its `probability` as in the paper, `logit` or
            `log-odds`. For a callable target its value takes that place.
        width: Of the kernel, in cosine distance.
        ridge: The penalty on squared coefficients.
        groups: Disjoint sets of samples for `stability`.

    Raises:
        ValueError: A setting out of range, masks without pixels, or segments, fill or references
            that do not fit.
        TypeError: A setting of the wrong kind.

    Reference:
        Ribeiro et al. 2016, "Why Should I Trust You?", equation 2 with the kernel exp(-D^2 /
        sigma^2) of section 3.4; D is the cosine distance of who is present to everybody, and the
        penalty is ridge instead of a choice of K features, as in the authors' code for images.
    """

    superpixels: int = 64
    samples: int = 1000
    segments: Segments | None = None
    fill: Reference = 0.0
    tabular: Sequence[float] | Tensor | None = None
    score: ScoreMode = "probability"
    width: float = 0.25
    ridge: float = 1.0
    groups: int = 2

    name: ClassVar[str] = "lime"
    needs: ClassVar[tuple[Need, ...]] = ("scores",)
    card: ClassVar[MethodCard] = MethodCard(
        question="Which parts of the image does the class need, by a linear fit?",
        sign="positive: having this part makes the class more probable; negative: less",
        grid="the input's",
        cost="1000 F",
        reference="Ribeiro et al. 2016, Why Should I Trust You?, eq. 2",
    )

    def __post_init__(self) -> None:
        _settle(self)
        check_number("width", self.width)
        check_number("ridge", self.ridge)
        if not self.width > 0:
            raise ValueError(f"width must be above 0, but is {self.width}")
        if not self.ridge >= 0:
            raise ValueError(f"ridge must not be negative, but is {self.ridge}")

    @property
    def weighs_by(self) -> ScoreMode:
        return self.score

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        playing = _players(self, clean.images, frame)
        return (playing.probes([self._table(count, frame.draw) for count in playing.counts]),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        playing = _players(self, clean.images, frame)
        scores = _scores([clean, *answers[0]])
        fits, stability = [], []
        for count, own in zip(playing.counts, scores, strict=True):
            everybody = torch.ones(1, count, dtype=torch.bool)
            present = torch.cat([everybody, self._table(count, frame.draw)])
            fits.append(self._fit(present, own))
            group = torch.arange(len(present)) % self.groups
            stability.append(
                rank_agreement(
                    [self._fit(present[group == g], own[group == g]) for g in range(self.groups)]
                )
            )
        return playing.fold(fits, stability)

    def conclude(self, parts: Mapping[str, object]) -> Mapping[str, object]:
        return per_image(parts)

    def _table(self, count: int, draw: Draw) -> Tensor:
        """Who is present in each sample: everyone by the toss of a coin."""
        return draw.uniform(0, (self.samples, count)) < 0.5

    def _fit(self, present: Tensor, scores: Tensor) -> Fit:
        who = present.double()
        # The cosine of a presence vector with all ones is the root of the share that is present.
        distance = 1 - who.mean(dim=1).sqrt()
        weights = torch.exp(-((distance / self.width) ** 2))
        return ridge_fit(who, scores, weights, self.ridge)


@dataclass(frozen=True, kw_only=True)
class KernelSHAP(AbstractExplainer):
    """How much of the score does each part of the image earn, shared out fairly?

    The Shapley value of a part: how much its presence adds to the score, averaged over all orders
    in which the parts may come. The values sum exactly to the score of the image minus that of the
    image with everything hidden. They are fitted to coalitions drawn in pairs of complements, or to
    all coalitions where `samples` allows for all of them, and then they are exact.

    On eyes, use it to share a score among a few named regions (four quadrants, nine ETDRS sectors,
    retinal layers, the patient's age): few parts give exact values. Not for single haemorrhages or
    vessels, and not without a look at the fill, which says what "absent" means: for fundus
    photographs a blur keeps what the eye looks like, black does not. The value belongs to the whole
    part, so the map does not sum to the score over its pixels. It costs 1025 forward passes, fewer
    with at most 10 parts.

    Beside the map: `coefficients` in the order of the parts, `tabular` the values of the features
    beside the image, `intercept` the score with everything hidden, `segments` with the number of
    each pixel's part (-1: never hidden), `r2` with the weights of the fit: how nearly parts work
    one by one; low values do not make the Shapley values wrong. `stability` is the mean rank
    correlation of the values between fits to `groups` disjoint sets of coalitions, 1 where they
    are exact.

    Args:
        superpixels: About how many, where no segments are given.
        samples: Coalitions tried between nobody and everybody; where there are no more, all of
            them.
        segments: A label image (row, column), or (batch, row, column) for each image its own, whose
            negative pixels are never hidden; or a list of masks or `foveal.core.Region`, of which a
            pixel belongs to the first that has it, and those in none are one more part. On the grid
            that the model sees; with a model card also on that of the picture as it was read.
        fill: What hides: a number, a tensor that fits the images, or a name: `blur`; in display
            units also `black` and `field-mean`.
        tabular: What an absent feature is, such as the training means, one number for each feature
            of the tables (sample, feature) that the model takes beside the image; without it these
            stay as they are.
        score: What is explained of a class: its `logit`, `probability` or `log-odds`; a target that
            names one itself keeps it where this is `logit`.
        groups: Disjoint sets of coalitions for `stability`.

    Raises:
        ValueError: A setting out of range, masks without pixels, or segments, fill or references
            that do not fit.
        TypeError: A setting of the wrong kind.

    Reference:
        Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions, theorem 2:
        the kernel (M-1) / (C(M,s) s (M-s)); Covert and Lee 2021, Improving KernelSHAP, section 4,
        for the pairs.
    """

    superpixels: int = 32
    samples: int = 1024
    segments: Segments | None = None
    fill: Reference = 0.0
    tabular: Sequence[float] | Tensor | None = None
    score: ScoreMode = "logit"
    groups: int = 2

    name: ClassVar[str] = "kernelshap"
    needs: ClassVar[tuple[Need, ...]] = ("scores",)
    card: ClassVar[MethodCard] = MethodCard(
        question="How much of the score does each part of the image earn, shared out fairly?",
        sign="positive: the part raises the score, over all orders of coming; negative: lowers it",
        grid="the input's",
        cost="1025 F, fewer with at most 10 parts",
        reference="Lundberg and Lee 2017, A Unified Approach, theorem 2",
    )

    def __post_init__(self) -> None:
        _settle(self)

    @property
    def weighs_by(self) -> ScoreMode:
        return self.score

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        playing = _players(self, clean.images, frame)
        tables = []
        for count in playing.counts:
            nobody = torch.zeros(1, count, dtype=torch.bool)
            tables.append(torch.cat([nobody, self._coalitions(count, frame.draw)]))
        return (playing.probes(tables),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        playing = _players(self, clean.images, frame)
        fits, stability = [], []
        scores = _scores([clean, *answers[0]])
        for count, (everybody, nobody, *rest) in zip(playing.counts, scores.tolist(), strict=True):
            present = self._coalitions(count, frame.draw)
            own = torch.tensor(rest[: len(present)], dtype=torch.float64)
            fit = partial(self._fit, nobody=nobody, everybody=everybody)
            fits.append(fit(present, own))
            group = torch.arange(len(present)) // 2 % self.groups  # a pair stays together
            which = [] if self._takes_all(count) else [group == g for g in range(self.groups)]
            again = [fit(present[g], own[g]) for g in which]
            stability.append(rank_agreement(again) if which else 1.0)
        return playing.fold(fits, stability)

    def conclude(self, parts: Mapping[str, object]) -> Mapping[str, object]:
        return per_image(parts)

    def _takes_all(self, count: int) -> bool:
        return 2**count - 2 <= self.samples

    def _coalitions(self, count: int, draw: Draw) -> Tensor:
        """Who is present in each coalition between nobody and everybody."""
        if self._takes_all(count):
            numbers = torch.arange(1, 2**count - 1).unsqueeze(1)
            return (numbers >> torch.arange(count)) % 2 == 1
        return _pairs(draw.uniform(0, ((self.samples + 1) // 2, count + 1)))[: self.samples]

    def _fit(self, present: Tensor, scores: Tensor, *, nobody: float, everybody: float) -> Fit:
        count = present.shape[1]
        weights = torch.ones(len(present), dtype=torch.float64)
        if self._takes_all(count):  # else they are drawn by the kernel, so they count the same
            kernel = [_share(size, count) / comb(count, size) for size in range(1, count)]
            weights = torch.tensor(kernel, dtype=torch.float64)[present.sum(dim=1) - 1]
        return shapley_fit(present.double(), scores, weights, nobody=nobody, everybody=everybody)


def _pairs(drawn: Tensor) -> Tensor:
    """Coalitions whose sizes are drawn by the kernel, each followed by its complement."""
    place, order = drawn[:, :1], drawn[:, 1:]
    count = order.shape[1]
    shares = torch.tensor([_share(size, count) for size in range(1, count)]).cumsum(dim=0)
    sizes = 1 + (shares < place * shares[-1]).sum(dim=1, keepdim=True)
    present = order.argsort(dim=1).argsort(dim=1) < sizes
    return torch.stack([present, ~present], dim=1).flatten(0, 1)


def _share(size: int, count: int) -> float:
    """The kernel summed over all coalitions of one size."""
    return (count - 1) / (size * (count - size))


def _scores(seen: Sequence[Seen]) -> Tensor:
    """The scores of all probes of each image, (sample, probe)."""
    return torch.stack([one.scores.double().cpu() for one in seen], dim=1)


def _players(method: LIME | KernelSHAP, images: Tensor, frame: Frame) -> Players:
    return players(
        images,
        frame,
        segments=None if method.segments is None else label_image(method.segments),
        count=method.superpixels,
        fill=method.fill,
        tabular=check_tabular(method.tabular),
    )


def _settle(method: LIME | KernelSHAP) -> None:
    """Check the settings that both methods have, and keep them in one form."""
    for what in ("superpixels", "samples", "groups"):
        check_count(what, getattr(method, what))
    for what, why in (("superpixels", "parts are compared"), ("groups", "fits are compared")):
        if getattr(method, what) < 2:
            raise ValueError(f"{what} must be at least 2, as {why}, but is 1")
    if method.groups > method.samples:
        raise ValueError(
            f"groups are sets of samples, but {method.groups} groups were asked of "
            f"{method.samples} samples"
        )
    check_reference("fill", method.fill)
    if method.score not in get_args(ScoreMode):
        raise ValueError(f"score must be one of {get_args(ScoreMode)}, but is {method.score!r}")
    if method.segments is not None:
        object.__setattr__(method, "segments", label_image(method.segments))
    object.__setattr__(method, "tabular", check_tabular(method.tabular))
