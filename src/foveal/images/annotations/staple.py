"""What several graders probably meant, and how good each of them is, found together."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

_STEPS = 1000
_CLOSE = 1e-9
"""Change of sensitivity and specificity below which the estimate stands."""
_START = 0.99999
"""Of sensitivity and specificity; section II-E of the paper: graders are mostly right."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Staple:
    """The estimate of STAPLE."""

    probability: Float[np.ndarray, "row column"]
    """That the pixel belongs, in [0, 1]."""
    sensitivity: Float[np.ndarray, " grader"] | None
    """Of each grader for the hidden truth, in [0, 1]; `None` where nobody marked anything."""
    specificity: Float[np.ndarray, " grader"] | None
    """The same of what does not belong; `None` where everybody marked everything."""


def staple(masks: Bool[np.ndarray, "grader row column"]) -> Staple:
    """Expectation maximisation of the truth and of the graders' sensitivity and specificity.

    The prior is the share of marks over all pixels and graders, the same everywhere, so the
    estimate depends on how much of the picture is looked at.

    Reference:
        Warfield, Zou & Wells 2004, Simultaneous truth and performance level estimation (STAPLE),
        IEEE TMI 23(7), equations 8 to 19.
    """
    graders = len(masks)
    # Pixels that are marked by the same graders have the same posterior: at most 2^graders of them.
    touched = masks.any(axis=0)
    codes = 2 ** np.arange(graders) @ masks[:, touched].astype(np.int64)
    patterns, place, counts = np.unique(
        np.append(0, codes), return_inverse=True, return_counts=True
    )
    counts[0] += touched.size - touched.sum() - 1  # what nobody marked, which is most of a picture
    marked = patterns >> np.arange(graders)[:, np.newaxis] & 1 == 1
    prior = float(masks.mean())
    sensitivity = specificity = np.full(graders, _START)
    weight = _posterior(marked, prior, sensitivity, specificity)
    for _ in range(_STEPS):
        before = np.concatenate([sensitivity, specificity])
        weight = _posterior(marked, prior, sensitivity, specificity)
        inside, outside = counts * weight, counts * (1 - weight)
        sensitivity = _share(marked, inside, sensitivity)
        specificity = _share(~marked, outside, specificity)
        if np.abs(np.concatenate([sensitivity, specificity]) - before).max() < _CLOSE:
            break
    probability = np.full(touched.shape, weight[0])
    probability[touched] = weight[place.reshape(-1)[1:]]
    return Staple(
        probability=probability,
        sensitivity=sensitivity if prior > 0 else None,
        specificity=specificity if prior < 1 else None,
    )


def _posterior(
    marked: Bool[np.ndarray, "grader pattern"],
    prior: float,
    sensitivity: Float[np.ndarray, " grader"],
    specificity: Float[np.ndarray, " grader"],
) -> Float[np.ndarray, " pattern"]:
    """Equations 14 to 16: products of what each grader says if it belongs, and if it does not."""
    p, q = sensitivity[:, np.newaxis], specificity[:, np.newaxis]
    belongs = prior * np.where(marked, p, 1 - p).prod(axis=0)
    not_so = (1 - prior) * np.where(marked, 1 - q, q).prod(axis=0)
    total = belongs + not_so
    # Graders who are never wrong contradict each other: then the majority of them decides.
    return np.divide(belongs, total, out=marked.mean(axis=0), where=total > 0)


def _share(
    agreed: Bool[np.ndarray, "grader pattern"],
    weight: Float[np.ndarray, " pattern"],
    before: Float[np.ndarray, " grader"],
) -> Float[np.ndarray, " grader"]:
    """Equations 18 and 19."""
    total = weight.sum()
    return (agreed * weight).sum(axis=1) / total if total > 0 else before
