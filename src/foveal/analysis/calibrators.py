"""Better probabilities from those of a trained model.

Every calibrator goes from a table of probabilities, one column a class, to another. Two classes
are two columns. Probabilities in double precision hold the logits up to a constant, which no
calibrator needs: ln p.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit, softmax

Table = Float[np.ndarray, "row label"]

_LEAST = 1e-300
_EDGE = 1e-15


class AbstractCalibrator(ABC):
    """From the probabilities of a model to calibrated ones."""

    method: ClassVar[str]

    @abstractmethod
    def __call__(self, probabilities: Table) -> Table:
        """Calibrated probabilities; rows sum to 1."""


@dataclass(frozen=True, kw_only=True)
class Temperature(AbstractCalibrator):
    """softmax(ln p / T): above 1 less sure, below 1 surer; the predicted class stays.

    The area under the ROC curve stays for two classes; for more, one class against the rest
    changes its order.

    Raises:
        ValueError: A temperature that is not positive.

    Reference:
        Guo et al. 2017.
    """

    method = "temperature"
    temperature: float

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"a temperature is positive, but is {self.temperature}")

    def __call__(self, probabilities: Table) -> Table:
        return softmax(logs_of(probabilities) / self.temperature, axis=1)


@dataclass(frozen=True, kw_only=True)
class BayesianTemperature(AbstractCalibrator):
    """The mean of softmax(ln p / T) over the posterior of T, which knows how few cases there were.

    Raises:
        ValueError: Not one weight a temperature, or weights that do not sum to 1.
    """

    method = "bayesian"
    temperatures: tuple[float, ...]
    weights: tuple[float, ...]
    """Posterior mass of each."""

    def __post_init__(self) -> None:
        same = len(self.temperatures) == len(self.weights)
        if not same or not np.isclose(sum(self.weights), 1) or min(self.temperatures) <= 0:
            raise ValueError("each positive temperature needs a weight, and these must sum to 1")

    def __call__(self, probabilities: Table) -> Table:
        logs = logs_of(probabilities)
        return sum(
            (
                weight * softmax(logs / temperature, axis=1)
                for temperature, weight in zip(self.temperatures, self.weights, strict=True)
            ),
            start=np.zeros_like(logs),
        )

    @property
    def mean(self) -> float:
        """Posterior mean of T."""
        return float(np.dot(self.temperatures, self.weights))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The temperatures between which so much of the posterior lies."""
        mass = np.cumsum(self.weights)
        ends = np.searchsorted(mass, [(1 - level) / 2, (1 + level) / 2])
        low, high = np.minimum(ends, len(mass) - 1).tolist()
        return self.temperatures[low], self.temperatures[high]


@dataclass(frozen=True, kw_only=True)
class Platt(AbstractCalibrator):
    """Of each class sigmoid(a logit p + b), scaled to sum to 1. The predicted class may change.

    Reference:
        Platt 1999, with his regularised targets.
    """

    method = "platt"
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    def __call__(self, probabilities: Table) -> Table:
        _check_columns(probabilities, len(self.slopes))
        return _scaled(expit(odds_of(probabilities) * self.slopes + self.intercepts))


@dataclass(frozen=True, kw_only=True)
class Isotonic(AbstractCalibrator):
    """Of each class a rising step function of p, scaled to sum to 1.

    It needs a thousand cases or so, makes ties, and the predicted class and the area under the ROC
    curve may change. Between the fitted points it is linear, beyond them constant.

    Reference:
        Zadrozny & Elkan 2002.
    """

    method = "isotonic"
    points: tuple[tuple[float, ...], ...]
    """Of each class the probabilities at which its function is given, rising."""
    values: tuple[tuple[float, ...], ...]

    def __call__(self, probabilities: Table) -> Table:
        _check_columns(probabilities, len(self.points))
        columns = [
            np.interp(column, points, values)
            for column, points, values in zip(
                probabilities.T, self.points, self.values, strict=True
            )
        ]
        return _scaled(np.stack(columns, axis=1))


def logs_of(probabilities: Table) -> Table:
    """Logits up to a constant; an impossible class has a very low one."""
    return np.log(np.maximum(probabilities, _LEAST))


def odds_of(probabilities: Table) -> Table:
    """Log-odds of each class; of two classes from both, since 1 - p rounds."""
    if probabilities.shape[1] == 2:
        logs = logs_of(probabilities)
        return logs - logs[:, ::-1]
    return logit(np.clip(probabilities, _EDGE, 1 - _EDGE))


def _scaled(columns: Table) -> Table:
    """Rows that sum to 1; alike where every class was held impossible."""
    total = columns.sum(axis=1, keepdims=True)
    even = np.full_like(columns, 1 / columns.shape[1])
    return np.divide(columns, total, out=even, where=total > 0)


def _check_columns(probabilities: Table, labels: int) -> None:
    if probabilities.shape[1] != labels:
        raise ValueError(f"fitted for {labels} classes, but got {probabilities.shape[1]} columns")
