"""Concept activation vectors, trained and tested in the space that the examples span.

A linear classifier with a quadratic penalty is a combination of its examples (the representer
theorem), so the inner products between activations are all that is needed: no vector of the
layer's size is ever made, and thousands of classifiers cost little more than one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from foveal.explainers.base import Draw

HELD_OUT = 3
"""One in so many examples is kept from training, to see whether the classifier generalises."""

_NUMBERS = 2**22
"""Inner products that are worked with at once."""


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The CAVs of one set of examples, each trained against other random examples."""

    weights: Float[Tensor, "run example"]
    """Each CAV, of length one, as a sum of centred activations; zero where nothing differs."""
    accuracy: float
    """Mean share of held-out examples on their right side; 0.5 by chance."""


@dataclass(frozen=True)
class Trial:
    """How the directional derivatives along a set's CAVs fall."""

    derivatives: Float[Tensor, "image run"]

    @property
    def rank(self) -> tuple[int, float]:
        """What trials are compared by: the score and, where that is equal, the mean derivative.

        Behind a linear head all images have one gradient, so every CAV scores 0 or 1 and only the
        derivative tells a concept from chance.
        """
        return int((self.derivatives > 0).sum()), float(self.derivatives.mean())

    @property
    def runs(self) -> tuple[float, ...]:
        """The TCAV score of each CAV."""
        return tuple((self.derivatives > 0).double().mean(dim=0).tolist())

    @property
    def score(self) -> float:
        """Their mean: the share of positive directional derivatives."""
        return self.rank[0] / self.derivatives.numel()


@dataclass(frozen=True, kw_only=True)
class Training:
    """How CAVs are drawn and trained."""

    draw: Draw
    runs: int
    ridge: float

    def concept(
        self, gram: Tensor, own: Int[Tensor, " own"], pool: Int[Tensor, " other"]
    ) -> Vectors:
        """The concept's CAVs."""
        size = balanced(len(own), len(pool))
        chosen = own[self.draw.uniform(0, (len(own),)).argsort()[:size]]
        ((_, others, keys),) = self._drawn([0], pool, size)
        return self._train(gram, [(chosen, others, keys)])[0]

    def random(
        self, gram: Tensor, size: int, pool: Int[Tensor, " other"], sets: int
    ) -> Iterator[Vectors]:
        """The CAVs of random examples in the concept's place, against as many others as it had."""
        together = max(1, _NUMBERS // (self.runs * 4 * size**2))
        for first in range(1, sets + 1, together):
            numbers = range(first, min(first + together, sets + 1))
            yield from self._train(gram, self._drawn(numbers, pool, size))

    def _drawn(
        self, numbers: Sequence[int], pool: Tensor, size: int
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Random examples, the others of the pool, and random numbers for each run."""
        drawn = [self.draw.uniform(n + 1, (self.runs + 1, len(pool))) for n in numbers]
        orders = [pool[each[0].argsort()] for each in drawn]
        return [(o[:size], o[size:], each[1:]) for o, each in zip(orders, drawn, strict=True)]

    def _train(self, gram: Tensor, sets: Sequence[tuple[Tensor, Tensor, Tensor]]) -> list[Vectors]:
        own, others = (
            torch.stack([each[side] for each in sets]).repeat_interleave(self.runs, dim=0)
            for side in (0, 1)
        )
        keys, size = torch.cat([keys for _, _, keys in sets]), own.shape[1]
        ones = own.gather(1, keys[:, :size].argsort(dim=1))
        zeros = others.gather(1, keys[:, size:].argsort(dim=1)[:, :size])
        held = size // HELD_OUT
        taught = torch.cat([ones[:, held:], zeros[:, held:]], dim=1)
        tested = torch.cat([ones[:, :held], zeros[:, :held]], dim=1)
        inner = _between(gram, taught, taught)
        middle = inner.mean(dim=1, keepdim=True)  # of each example with the mean of all
        weight = _ridge(inner - middle - middle.mT + middle.mean(dim=2, keepdim=True), self.ridge)
        answer = ((_between(gram, tested, taught) - middle) * weight.unsqueeze(1)).sum(dim=2)
        right = (answer * _sides(held, gram) > 0).double().mean(dim=1)
        weights = gram.new_zeros(len(keys), len(gram)).scatter(1, taught, weight)
        pairs = zip(weights.split(self.runs), right.split(self.runs), strict=True)
        return [Vectors(weights=own, accuracy=float(hits.mean())) for own, hits in pairs]


def balanced(own: int, pool: int) -> int:
    """Examples on each side: a random set must find as many others as the concept does."""
    return min(own, pool // 2)


def two_sided(trial: Trial, null: Sequence[Trial]) -> float:
    """How often a random set comes out at least as far on the same side, doubled.

    The rank of the concept among random sets (Monte Carlo test): under exchangeability its level
    is exact. The paper's t-test takes runs that share their concept's examples as independent and
    finds almost every random concept significant.
    """
    ranks = [one.rank for one in null]
    above = sum(rank >= trial.rank for rank in ranks)
    below = sum(rank <= trial.rank for rank in ranks)
    return min(1.0, 2 * (1 + min(above, below)) / (1 + len(ranks)))


def holm(chances: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, step down (Holm 1979)."""
    adjusted, largest = [0.0] * len(chances), 0.0
    for done, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        largest = max(largest, min(1.0, (len(chances) - done) * chances[place]))
        adjusted[place] = largest
    return adjusted


def _ridge(centred: Float[Tensor, "run row column"], ridge: float) -> Tensor:
    """Ridge regression on the sides +1 and -1, in its dual form, scaled to a vector of length one.

    The penalty is in units of the mean squared distance of the examples from their mean, so that
    the layer's scale does not matter.
    """
    spread = centred.diagonal(dim1=1, dim2=2).mean(dim=1)
    unit = centred / spread.clamp(min=torch.finfo(centred.dtype).tiny).reshape(-1, 1, 1)
    sides = _sides(centred.shape[1] // 2, centred)
    eye = torch.eye(centred.shape[1], dtype=centred.dtype)
    weight = torch.linalg.solve(unit + ridge * eye, sides.expand(len(centred), -1))
    length = (weight.unsqueeze(1) @ centred @ weight.unsqueeze(2)).clamp(min=0).sqrt().flatten()
    return torch.where(length > 0, 1 / length, 0).unsqueeze(1) * weight


def _between(gram: Tensor, rows: Tensor, columns: Tensor) -> Float[Tensor, "run row column"]:
    return gram[rows.unsqueeze(2), columns.unsqueeze(1)]


def _sides(each: int, like: Tensor) -> Float[Tensor, " example"]:
    """+1 for the concept's examples, -1 for the random ones after them."""
    return torch.cat([like.new_ones(each), -like.new_ones(each)])
