"""Are the gradients behind a map healthy? Diagnostics of model and layer, never marks for a map."""

import numpy as np
from jaxtyping import Float, Shaped

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard, as_numpy

_SMALL = 1e-3
"""Gradients below this share of the largest one count as saturated."""
_TINY = 0.01
"""Input gradients below this share of the largest one count as absent."""
_FLAT = 1e-6
"""Spread over the positions, as a share of the largest gradient, that is rounding."""
_ONE_PASS = "one forward and one backward pass for all gradient measures of a layer"
_ZERO = "the gradient is zero"

GSS = MeasureCard(
    name="gss",
    question="How strongly does the score pull at the layer's channels?",
    direction="context",
    range=(0, np.inf),
    needs=("gradients",),
    chance="none: compare within one model and layer only",
    missing="the gradient holds values that are not numbers",
    cost=_ONE_PASS,
    reference="mean magnitude of the Grad-CAM weights of Selvaraju et al. 2017, eq. 1",
)
GSI = MeasureCard(
    name="gsi",
    question="At how many places of the layer is the gradient almost zero?",
    direction="context",
    range=(0, 1),
    needs=("gradients",),
    chance="none",
    missing="the gradient holds values that are not numbers",
    cost=_ONE_PASS,
    reference="gradient saturation index with a relative limit, |g| < 0.001 max |g|",
)
FMCE = MeasureCard(
    name="fmce",
    question="Do many channels of the layer contribute, or few?",
    direction="context",
    range=(0, 1),
    needs=("gradients",),
    chance="1 where all channels weigh the same",
    missing=f"{_ZERO}, or the layer has one channel",
    cost=_ONE_PASS,
    reference="Shannon entropy of the Grad-CAM weights' magnitudes by ln K",
)
FMCE_WEIGHTED = MeasureCard(
    name="fmce_weighted",
    question="Do many channels contribute, when a silent channel counts for nothing?",
    direction="context",
    range=(0, 1),
    needs=("gradients",),
    chance="1 where all channels contribute the same",
    missing=f"{_ZERO} wherever the layer is active, or the layer has one channel",
    cost=_ONE_PASS,
    reference="as fmce, with weights |alpha_k| mean |A_k|",
)
FIRST_LAYER_GRAD_RMS = MeasureCard(
    name="first_layer_grad_rms",
    question="How much gradient arrives at the first layer?",
    direction="context",
    range=(0, np.inf),
    needs=("gradients",),
    chance="none: compare within one model only",
    missing="the gradient holds values that are not numbers",
    cost=_ONE_PASS,
    reference="root mean square of dy/dA of the first layer, of the target's own score",
)
GRAD_SPARSITY = MeasureCard(
    name="grad_sparsity",
    question="How much of the input gradient is almost nothing beside its peak?",
    direction="context",
    range=(0, 1),
    needs=("gradients",),
    chance="0.04 for Gaussian noise, 0.98 for noise with heavy tails",
    missing=_ZERO,
    cost=_ONE_PASS,
    reference="share of |g| below 1 % of max |g|; read it beside hoyer and hfpr",
)
HOYER = MeasureCard(
    name="hoyer",
    question="How sparse is the input gradient as a whole?",
    direction="context",
    range=(0, 1),
    needs=("gradients",),
    chance="0.20 for Gaussian noise",
    missing=f"{_ZERO}, or has a single value",
    cost=_ONE_PASS,
    reference="Hoyer 2004, Non-negative Matrix Factorization with Sparseness Constraints, sec. 3.1",
)


def gss(activation: Shaped[Array, "channel ..."], gradient: Shaped[Array, "channel ..."]) -> Score:
    """Gradient signal strength: mean over channels of |alpha_k|, alpha_k the mean of dy/dA_k.

    It scales with the score's own units and with one over the number of positions Z, so that it
    compares images and classes of one model and layer only.

    Args:
        activation: The layer's output (channel, row, column).
        gradient: Of the explained number at that output.

    Returns:
        0 or more, in units of the score by the layer's units. `parts` holds the mean of |dy/dA|,
        which it never exceeds, and the `dimensionless` form GSS Z mean(A). Missing (`nan_map`) for
        values that are not finite.

    Raises:
        ValueError: Shapes that differ, or no positions.
    """
    values = _gradient(gradient)
    active = _beside(values, activation)
    if not (np.isfinite(values).all() and np.isfinite(active).all()):
        return GSS.none("nan_map")
    value = float(np.abs(values.mean(axis=1)).mean())
    parts = {
        "mean_magnitude": float(np.abs(values).mean()),
        "dimensionless": value * values.shape[1] * float(active.mean()),
    }
    return GSS.score(value, params=_layout(values), parts=parts)


def gsi(gradient: Shaped[Array, "channel ..."], *, epsilon: float | None = None) -> Score:
    """Gradient saturation index: share of |dy/dA| below epsilon.

    Where a global mean and one linear layer follow the watched layer, dy/dA_k is w_k / Z at every
    position and for every image: then the index is a property of the weights and says nothing of
    the image. `parts["gap_linear_head"]` tells so; ask at an earlier layer instead.

    Args:
        gradient: Of the explained number at the layer's output, (channel, row, column).
        epsilon: In the gradient's units; a thousandth of its largest magnitude by default.

    Returns:
        A share in [0, 1]; neither way is better. `parts` holds the share of exact zeros (`dead`),
        `spatially_constant` (no channel's gradient varies over its positions) and `zero_gradient`:
        an all-zero gradient is 1. Missing (`nan_map`) for values that are not finite.

    Raises:
        ValueError: An epsilon that is not positive, or no positions.
    """
    if epsilon is not None and not epsilon > 0:
        raise ValueError(f"epsilon must be positive, but is {epsilon}")
    values = np.abs(_gradient(gradient))
    params = {"epsilon": "0.001 of the maximum" if epsilon is None else epsilon, **_layout(values)}
    if not np.isfinite(values).all():
        return GSI.none("nan_map", params=params)
    largest = float(values.max())
    limit = _SMALL * largest if epsilon is None else epsilon
    constant = _spatially_constant(_gradient(gradient))
    parts = {
        "dead": float((values == 0).mean()),
        "spatially_constant": constant,
        "gap_linear_head": constant and largest > 0,
        "zero_gradient": largest == 0,
    }
    return GSI.score(1 if largest == 0 else (values < limit).mean(), params=params, parts=parts)


def fmce(gradient: Shaped[Array, "channel ..."]) -> Score:
    """Feature-map contribution entropy: -sum a ln a / ln K with a = |alpha_k| / sum |alpha|.

    Returns:
        A number in [0, 1]: 0 where one channel holds everything, 1 where all weigh the same;
        neither way is better. Missing (`zero_map`) where all weights are zero, (`too_few`) for one
        channel, (`nan_map`) for values that are not finite.

    Raises:
        ValueError: No positions.
    """
    values = _gradient(gradient)
    return _entropy(FMCE, np.abs(values.mean(axis=1)))


def fmce_weighted(
    activation: Shaped[Array, "channel ..."], gradient: Shaped[Array, "channel ..."]
) -> Score:
    """The entropy of `fmce` with the weights |alpha_k| mean |A_k|: a dead channel adds nothing.

    Returns:
        A number in [0, 1] as `fmce`, and missing as that is.

    Raises:
        ValueError: Shapes that differ, or no positions.
    """
    values = _gradient(gradient)
    active = np.abs(_beside(values, activation)).mean(axis=1)
    return _entropy(FMCE_WEIGHTED, np.abs(values.mean(axis=1)) * active)


def first_layer_grad_rms(
    gradient: Shaped[Array, "channel ..."], *, std: tuple[float, ...] | None = None
) -> Score:
    """Root mean square of the gradient at the first layer's output, or at the input.

    Args:
        gradient: (channel, row, column).
        std: For a gradient at a standardised input: what each channel was divided by. The chain
            rule alone scales that gradient with it, so preprocessings compare only in display
            units, dy/dx = dy/dz / std.

    Returns:
        0 or more, in units of the score; neither way is better. Missing (`nan_map`) for values
        that are not finite.

    Raises:
        ValueError: No positions, or not one positive std a channel.
    """
    values = _gradient(gradient)
    params = {"space": "as given" if std is None else "display", **_layout(values)}
    if std is not None:
        scale = np.asarray(std, np.float64)
        if scale.shape != (len(values),) or not (scale > 0).all():
            raise ValueError(f"std must be {len(values)} positive numbers, but is {std}")
        values = values / scale[:, None]
    if not np.isfinite(values).all():
        return FIRST_LAYER_GRAD_RMS.none("nan_map", params=params)
    return FIRST_LAYER_GRAD_RMS.score(np.sqrt((values**2).mean()), params=params)


def grad_sparsity(
    gradient: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Share of the input gradient in the field below 1 % of its largest magnitude.

    It finds spiky gradients, above 0.95, and calls dense noise healthy: read it beside `hoyer` of
    the same gradient and `hfpr` of the map.

    Returns:
        A share in [0, 1]; neither way is better. Missing (`zero_map`) for a zero gradient,
        (`nan_map`) for values that are not finite.

    Raises:
        ValueError: A field of another grid.
    """
    values = np.abs(_inside(gradient, field))
    problem = _problem(values)
    if problem is not None:
        return GRAD_SPARSITY.none(problem, text=_ZERO if problem == "zero_map" else None)
    return GRAD_SPARSITY.score(
        (values < _TINY * values.max()).mean(), params={"limit": _TINY, "values": len(values)}
    )


def hoyer(
    gradient: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Hoyer's sparseness in the field, (sqrt n - L1 / L2) / (sqrt n - 1).

    Returns:
        0 where all magnitudes are equal, 1 where one of the n values holds everything; neither way
        is better. Missing (`zero_map`) for a zero gradient, (`too_few`) for a single value,
        (`nan_map`) for values that are not finite.

    Raises:
        ValueError: A field of another grid.
    """
    values = np.abs(_inside(gradient, field))
    problem = _problem(values)
    if problem is not None:
        return HOYER.none(problem, text=_ZERO if problem == "zero_map" else None)
    if len(values) == 1:
        return HOYER.none("too_few", text="the gradient has a single value")
    root = np.sqrt(len(values))
    spread = float(values.sum() / np.linalg.norm(values))
    return HOYER.score(max(0.0, (root - spread) / (root - 1)), params={"values": len(values)})


def _gradient(gradient: Array) -> Float[np.ndarray, "channel position"]:
    """A layer's gradient with its positions in one axis."""
    values = as_numpy(gradient).astype(np.float64)
    if values.ndim < 2 or values.size == 0:
        raise ValueError(
            f"gradient must be (channel, row, column), but its shape is {values.shape}"
        )
    return values.reshape(len(values), -1)


def _beside(values: Float[np.ndarray, "channel position"], activation: Array) -> np.ndarray:
    active = as_numpy(activation).astype(np.float64)
    if active.reshape(len(active), -1).shape != values.shape:
        raise ValueError(
            f"activation is {active.shape}, but the gradient has {values.shape[0]} channels of "
            f"{values.shape[1]} positions; give both of one layer"
        )
    return active.reshape(values.shape)


def _layout(values: Float[np.ndarray, "channel position"]) -> dict[str, object]:
    return {"channels": values.shape[0], "positions": values.shape[1]}


def _spatially_constant(values: Float[np.ndarray, "channel position"]) -> bool:
    """Whether each channel has one gradient everywhere; a single position cannot say."""
    spread = float(values.std(axis=1).max())
    return values.shape[1] > 1 and spread <= _FLAT * float(np.abs(values).max())


def _entropy(card: MeasureCard, weights: Float[np.ndarray, " channel"]) -> Score:
    params = {"channels": len(weights)}
    if not np.isfinite(weights).all():
        return card.none("nan_map", params=params)
    if len(weights) == 1:
        return card.none("too_few", text="the layer has one channel", params=params)
    if not weights.any():
        return card.none("zero_map", text=_ZERO, params=params)
    shares = weights[weights > 0] / weights.sum()
    value = -float((shares * np.log(shares)).sum()) / np.log(len(weights))
    return card.score(max(0.0, value), params=params)


def _inside(gradient: Array, field: Array | None) -> Float[np.ndarray, " value"]:
    """The values of all channels in the field."""
    values = as_numpy(gradient).astype(np.float64)
    if field is None:
        return values.ravel()
    inside = as_numpy(field).astype(bool)
    if inside.shape != values.shape[1:]:
        raise ValueError(f"field is {inside.shape}, but the gradient is {values.shape}")
    return values[:, inside].ravel()


def _problem(values: Float[np.ndarray, " value"]) -> str | None:
    if not np.isfinite(values).all():
        return "nan_map"
    return None if values.any() else "zero_map"
