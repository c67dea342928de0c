"""Calibrators from probabilities and truth, on patients that are not judged by them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int
from scipy.special import expit, log_expit, log_softmax

from foveal.analysis.calibration import check_truth
from foveal.analysis.calibrators import (
    AbstractCalibrator,
    BayesianTemperature,
    Isotonic,
    Platt,
    Table,
    Temperature,
    logs_of,
    odds_of,
)

Weight = Float[np.ndarray, " row"]
"""How often a row counts; whole numbers in a bootstrap."""

_HOTTEST = 4.0
"""Temperatures are looked for between e^-4 and e^4."""
_EDGE = 3.0
"""Beyond e^-3 or e^3 the likelihood has hardly a maximum, or none: it flattens before the end."""
_GRID = 401
_PRIOR_SPREAD = 1.0


def fit_temperature(
    probabilities: Table, truth: Int[np.ndarray, " row"], weights: Weight | None = None
) -> Temperature:
    """The temperature of the highest likelihood, between 0.018 and 55.

    Raises:
        ValueError: No rows, a truth that is no column, or probabilities that are not numbers.
    """
    logs, counts = _given(probabilities, truth, weights)
    # One minimum in 1 / T: the likelihood is log-concave in it.
    beta, *_ = scipy.optimize.fminbound(
        lambda beta: _loss(logs, truth, counts, beta),
        np.exp(-_HOTTEST),
        np.exp(_HOTTEST),
        xtol=1e-9,
        full_output=True,
    )
    return Temperature(temperature=float(1 / beta))


def at_edge(calibrator: AbstractCalibrator) -> bool:
    """Whether a temperature lies below 0.05 or above 20: the rows fitted on have no best one."""
    if not isinstance(calibrator, Temperature):
        return False
    return bool(abs(np.log(calibrator.temperature)) > _EDGE)


def fit_bayesian(
    probabilities: Table, truth: Int[np.ndarray, " row"], weights: Weight | None = None
) -> BayesianTemperature:
    """The posterior of the temperature on a grid, under the prior ln T ~ N(0, 1).

    The prior holds T = 1 likeliest and 95 in 100 between 1/7 and 7. Rows count as independent:
    with two eyes a patient the posterior is too narrow. Grid points of less than a millionth of
    the posterior are left out.

    Raises:
        ValueError: As `fit_temperature`.
    """
    logs, counts = _given(probabilities, truth, weights)
    mode = np.log(fit_temperature(probabilities, truth, weights).temperature)
    # A second, narrower grid where the posterior is: with many cases it is a spike.
    wide = np.linspace(-_HOTTEST, _HOTTEST, _GRID)
    near = mode + np.linspace(-6, 6, _GRID) / np.sqrt(max(1.0, counts.sum()))
    grid = np.unique(np.concatenate([wide, near.clip(-_HOTTEST, _HOTTEST)]))
    scores = np.array(
        [
            -counts.sum() * _loss(logs, truth, counts, np.exp(-one))
            - one**2 / (2 * _PRIOR_SPREAD**2)
            for one in grid
        ]
    )
    mass = np.exp(scores - scores.max()) * np.gradient(grid)
    kept = mass > 1e-6 * mass.max()
    mass = mass[kept] / mass[kept].sum()
    return BayesianTemperature(
        temperatures=tuple(np.exp(grid[kept]).tolist()), weights=tuple(mass.tolist())
    )


def fit_platt(
    probabilities: Table, truth: Int[np.ndarray, " row"], weights: Weight | None = None
) -> Platt:
    """Slope and intercept of each class against the rest, towards regularised targets.

    The targets are (n+ + 1) / (n+ + 2) for a class's n+ cases and 1 / (n- + 2) for the n- others,
    so that separated classes get finite numbers.

    Raises:
        ValueError: As `fit_temperature`.
    """
    _, counts = _given(probabilities, truth, weights)
    lines = [
        _line(odds, truth == label, counts) for label, odds in enumerate(odds_of(probabilities).T)
    ]
    return Platt(slopes=tuple(a for a, _ in lines), intercepts=tuple(b for _, b in lines))


def fit_isotonic(
    probabilities: Table, truth: Int[np.ndarray, " row"], weights: Weight | None = None
) -> Isotonic:
    """The rising function of each class that is nearest to its outcomes (pool adjacent violators).

    Raises:
        ValueError: As `fit_temperature`.
    """
    _, counts = _given(probabilities, truth, weights)
    steps = [_steps(column, truth == label, counts) for label, column in enumerate(probabilities.T)]
    return Isotonic(points=tuple(p for p, _ in steps), values=tuple(v for _, v in steps))


Fit = Callable[[Table, Int[np.ndarray, " row"], Weight | None], AbstractCalibrator]
FITS: Mapping[str, Fit] = MappingProxyType(
    {
        "temperature": fit_temperature,
        "bayesian": fit_bayesian,
        "platt": fit_platt,
        "isotonic": fit_isotonic,
    }
)
"""By the name of the method."""


def _loss(logs: Table, truth: Int[np.ndarray, " row"], counts: Weight, beta: float) -> float:
    """Mean negative log-likelihood at T = 1 / beta."""
    own = log_softmax(logs * beta, axis=1)[np.arange(len(truth)), truth]
    return float(-(counts @ own) / counts.sum())


def _line(odds: Weight, positive: Bool[np.ndarray, " row"], counts: Weight) -> tuple[float, float]:
    cases = float(counts @ positive)
    others = float(counts.sum()) - cases
    target = np.where(positive, (cases + 1) / (cases + 2), 1 / (others + 2))

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        height = line[0] * odds + line[1]
        value = -counts @ (target * log_expit(height) + (1 - target) * log_expit(-height))
        error = counts * (expit(height) - target)
        return value / counts.sum(), np.array([error @ odds, error.sum()]) / counts.sum()

    found = scipy.optimize.minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="BFGS", options={"gtol": 1e-8}
    )
    return float(found.x[0]), float(found.x[1])


def _steps(
    column: Weight, positive: Bool[np.ndarray, " row"], counts: Weight
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Where the function bends, and its values there; rows of one probability are pooled first."""
    points, place = np.unique(column[counts > 0], return_inverse=True)
    own = counts[counts > 0]
    mass = np.bincount(place, own)
    share = np.bincount(place, own * positive[counts > 0]) / mass
    values = scipy.optimize.isotonic_regression(share, weights=mass).x
    same = values[1:-1] == values[:-2]
    flat = np.r_[False, same & (values[1:-1] == values[2:]), False][: len(values)]
    return tuple(points[~flat].tolist()), tuple(np.clip(values[~flat], 0, 1).tolist())


def _given(
    probabilities: Table, truth: Int[np.ndarray, " row"], weights: Weight | None
) -> tuple[Table, Weight]:
    """Logarithms of the probabilities, and how often each row counts."""
    check_truth(probabilities, truth)
    counts = np.ones(len(truth)) if weights is None else weights
    if len(counts) != len(truth) or not counts.sum() > 0 or not np.isfinite(probabilities).all():
        raise ValueError(
            f"a calibrator needs rows with numbers to be fitted on, but got {len(truth)} rows of "
            f"weight {counts.sum():g}; leave out those without a probability"
        )
    return logs_of(probabilities), counts
