"""The errors of a study of several readers and cases, from its variances."""

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from foveal.analysis.anova import MeanSquares
from foveal.analysis.reader_figures import ReaderFigures

Over = Literal["both", "patients", "readers"]
"""Whom a conclusion is about: other readers and patients, or one of these with the other fixed."""


@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """Variances behind a study's figures, from which a later study of its kind is planned.

    They are estimates, so those of readers may come out negative.
    """

    reader: float
    """Of readers, alike in all arms."""
    arm_reader: float
    """Of what an arm changes for one reader more than for another."""
    error: float
    """By the patients drawn, of one reader in one arm."""
    cov1: float
    """Of the errors of one reader in two arms."""
    cov2: float
    """Of two readers in one arm."""
    cov3: float
    """Of two readers in two arms."""
    n_units: int
    """Patients whom the errors are for."""

    @property
    def shared(self) -> float:
        """What readers share in one arm beyond what they share over two, at least 0."""
        return max(self.cov2 - self.cov3, 0.0)


@dataclass(frozen=True, kw_only=True)
class Term:
    """A variance and how well it is known; infinite degrees of freedom are the normal's."""

    variance: float
    freedom: float

    def half(self, level: float) -> float:
        """Half the width of an interval."""
        tail = (1 + level) / 2
        known = isfinite(self.freedom)
        return sqrt(self.variance) * float(stdtrit(self.freedom, tail) if known else ndtri(tail))

    def below(self, value: float) -> float:
        """Chance of a number this far below 0 or farther."""
        t = value / sqrt(self.variance)
        return float(stdtr(self.freedom, t) if isfinite(self.freedom) else ndtr(t))


def components_of(figures: ReaderFigures, found: MeanSquares) -> VarianceComponents:
    """The ANOVA estimates, with the means of each kind of covariance."""
    arms, readers = figures.values.shape
    same_arm = np.eye(arms, dtype=bool)[:, None, :, None]
    same_reader = np.eye(readers, dtype=bool)[None, :, None, :]
    error, cov1, cov2, cov3 = (
        float(figures.covariance.mean(where=where))
        for where in (
            same_arm & same_reader,
            ~same_arm & same_reader,
            same_arm & ~same_reader,
            ~same_arm & ~same_reader,
        )
    )
    return VarianceComponents(
        reader=(found.rows - found.left) / arms - cov1 + cov3,
        arm_reader=found.left - error + cov1 + max(cov2 - cov3, 0.0),
        error=error,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
        n_units=figures.n_units,
    )


def pooled(found: MeanSquares, parts: VarianceComponents, over: Over) -> Term:
    """What MS(arm) is divided by: Hillis 2007, equations for random or fixed readers and cases."""
    readers = found.shape[0]
    if over == "readers":
        return Term(variance=found.left, freedom=found.freedom)
    if over == "patients":
        fixed = parts.error - parts.cov1 + (readers - 1) * parts.shared
        return Term(variance=fixed, freedom=inf)
    return _welch(found.left, readers * parts.shared, found.freedom)


def of_arm(figures: ReaderFigures, arm: int, over: Over) -> Term:
    """Of one arm's mean over readers, from its own numbers alone."""
    values, covariance = figures.values[arm], figures.covariance[arm, :, arm]
    readers = len(values)
    between = float(values.var(ddof=1))
    shared = max(float(covariance.mean(where=~np.eye(readers, dtype=bool))), 0.0)
    if over == "readers":
        term = Term(variance=between, freedom=readers - 1)
    elif over == "patients":
        own = float(np.trace(covariance)) / readers
        term = Term(variance=own + (readers - 1) * shared, freedom=inf)
    else:
        term = _welch(between, readers * shared, readers - 1)
    return Term(variance=term.variance / readers, freedom=term.freedom)


def _welch(random: float, known: float, freedom: int) -> Term:
    """A mean square of few degrees of freedom, and a part that is taken as known."""
    total = random + known
    return Term(variance=total, freedom=total**2 * freedom / random**2 if random > 0 else inf)
