import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num, Shaped
from scipy.special import ndtr, ndtri

from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.multiplicity import holm
from foveal.analysis.units import Units
from foveal.core import FovealError


def mixed_model(
    values: Num[np.ndarray, " row"],
    methods: Sequence[Hashable],
    units: Units,
    *,
    within: Sequence[Hashable] | None = None,
    blocks: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """How far each method's mean lies from that of the first, in a linear mixed model.

    One row is one number of one method: value = method + patient + error, with a random intercept
    for each patient and, where `within` names the image or eye of each row, one for each of those
    inside its patient. Fitted by REML; intervals and p-values are Wald's, adjusted after Holm.
    Without `within`, differences between the images of a patient count as error, which makes the
    intervals wide. `blocks` names what has a level of its own that is not drawn, such as the reader
    of each row. Rows without a number do not count.

    Raises:
        FovealError: statsmodels is not installed.
        ValueError: Columns of different lengths, or fewer than two methods.

    Reference:
        Laird & Ware 1982; for two eyes, Ying et al. 2017.
    """
    names = list(dict.fromkeys(methods))
    columns = (values, methods, units.codes, within or methods, blocks or methods)
    lengths = set(map(len, columns))
    if len(lengths) != 1 or len(names) < 2:
        raise ValueError(
            "a mixed model needs two methods or more and columns of one length, but has "
            f"{len(names)} methods and columns of {sorted(lengths)} rows"
        )
    present = np.isfinite(values)
    used = units.chosen(present)
    method = np.array([names.index(name) for name in methods])[present]
    inner, block = (
        None if column is None else np.array(list(map(str, column)))[present]
        for column in (within, blocks)
    )
    rows = _Rows(
        values=values[present].astype(np.float64),
        method=method,
        used=used,
        inner=inner,
        block=block,
    )
    fit = _fit(rows, len(names))
    adjusted = holm([fit.p(k) for k in range(1, len(names))])
    return tuple(
        Comparison(
            first=str(names[0]),
            second=str(names[k]),
            difference=fit.difference(k, used, level),
            p=fit.p(k),
            p_adjusted=adjusted[k - 1],
            test=f"linear mixed model, random {used.unit}",
        )
        for k in range(1, len(names))
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """What the model is fitted to."""

    values: Float[np.ndarray, " row"]
    method: Int[np.ndarray, " row"]
    used: Units
    inner: Shaped[np.ndarray, " row"] | None
    """Image or eye of each row."""
    block: Shaped[np.ndarray, " row"] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    effects: Float[np.ndarray, " method"]
    errors: Float[np.ndarray, " method"]
    notes: tuple[str, ...] = ()
    reason: str | None = None

    def p(self, k: int) -> float | None:
        if self.reason is not None:
            return None
        return float(2 * ndtr(-abs(self.effects[k] / self.errors[k])))

    def difference(self, k: int, used: Units, level: float) -> Estimate:
        half = 0.0 if self.reason else float(ndtri((1 + level) / 2) * self.errors[k])
        effect = None if self.reason else float(self.effects[k])
        return Estimate(
            estimate=effect,
            low=None if effect is None else effect - half,
            high=None if effect is None else effect + half,
            level=level,
            n_units=used.count,
            unit=used.unit,
            method="REML, Wald",
            notes=(*used.remarks(), *self.notes),
            reason=self.reason,
        )


def _fit(rows: _Rows, methods: int) -> _Fit:
    none, used = np.empty(0), rows.used
    if used.count < 2:
        return _Fit(effects=none, errors=none, reason=f"{used.count} {used.unit} with a number")
    if len(set(rows.method.tolist())) < methods:
        return _Fit(effects=none, errors=none, reason="a method has no number at all")
    if np.ptp(rows.values) == 0:
        return _Fit(effects=none, errors=none, reason="all numbers are the same")
    model = _model(rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fitted = model.fit(reml=True)
        except np.linalg.LinAlgError as problem:
            return _Fit(effects=none, errors=none, reason=f"the model cannot be fitted: {problem}")
    effects, errors = np.asarray(fitted.fe_params), np.asarray(fitted.bse_fe)
    if not (np.isfinite(errors).all() and (errors > 0).all()):
        return _Fit(effects=none, errors=none, reason="the fit has no standard errors")
    # Arithmetic on the way to the optimum may warn; what matters is what is said of the optimum.
    said = [w.message for w in caught if not issubclass(w.category, RuntimeWarning)]
    notes = tuple(dict.fromkeys(f"statsmodels: {message}" for message in said))
    return _Fit(effects=effects, errors=errors, notes=notes)


def _model(rows: _Rows):
    try:
        import pandas as pd
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as problem:
        raise FovealError("mixed models need statsmodels: pip install 'foveal[stats]'") from problem
    table = pd.DataFrame(
        {
            "value": rows.values,
            "method": rows.method,
            "unit": rows.used.codes,
            "inner": rows.inner,
            "block": rows.block,
        }
    )
    parts = None if rows.inner is None else {"inner": "0 + C(inner)"}
    # The methods come first: their effects are read by place.
    formula = "value ~ C(method)" + " + C(block)" * (rows.block is not None)
    # Without `re_formula` the parts would stand in place of the intercept of the patient.
    return MixedLM.from_formula(formula, table, groups="unit", re_formula="1", vc_formula=parts)
