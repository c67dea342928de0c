"""What the numbers of a model's head mean: classes, probabilities, log-odds."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Head = Literal["softmax", "sigmoid", "cumulative", "coral", "identity"]
"""What turns the outputs into probabilities; `identity` for regression."""


def predicted_class(output: Float[Tensor, "sample output ..."], head: Head) -> Int[Tensor, "..."]:
    """The class that the model itself would name, for each sample (and pixel)."""
    if head in ("cumulative", "coral"):
        return (output > 0).long().cumprod(dim=1).sum(dim=1)
    if output.shape[1] == 1:
        return (output[:, 0] > 0).long()
    return output.argmax(dim=1)


def probabilities(
    output: Float[Tensor, "sample output ..."], head: Head
) -> Float[Tensor, "sample class ..."]:
    """Probabilities of the classes; of the positive class alone where there is a single logit.

    Ordinal heads give P(grade >= k) for k = 1, 2, ...; the probability of a grade is the
    difference of its neighbours, cut at zero where a cumulative head contradicts itself.
    """
    if head == "softmax" and output.shape[1] > 1:
        return output.softmax(dim=1)
    if head in ("cumulative", "coral"):
        at_least = output.sigmoid()
        ones = torch.ones_like(at_least[:, :1])
        steps = torch.cat([ones, at_least, torch.zeros_like(ones)], dim=1)
        return (steps[:, :-1] - steps[:, 1:]).clamp(min=0)
    return output.sigmoid()


def class_score(
    output: Float[Tensor, "probe output ..."],
    index: Int[Tensor, " probe"],
    mode: str,
    head: Head,
) -> Float[Tensor, "probe ..."]:
    """One class of each probe as logit, probability or log-odds, at every pixel of a dense output.

    Log-odds are taken from the logits, z_c - ln(sum over j != c of exp(z_j)): from a probability
    of 1 - 1e-9 in float32 they would be infinite.
    """
    if head in ("cumulative", "coral"):
        probability = _take(probabilities(output.double(), head), index)
        if mode == "probability":
            return probability.to(output.dtype)
        clamped = probability.clamp(1e-12, 1 - 1e-12)
        return (clamped.log() - (1 - clamped).log()).to(output.dtype)
    logit = _take(output, index)
    if mode == "logit" or head == "identity":
        return logit
    if head == "sigmoid" or output.shape[1] == 1:
        return logit.sigmoid() if mode == "probability" else logit
    if mode == "probability":
        return _take(output.softmax(dim=1), index)
    own = torch.nn.functional.one_hot(index, output.shape[1]).bool()
    own = own.reshape(*own.shape, *[1] * (output.ndim - 2))
    return logit - output.masked_fill(own, -torch.inf).logsumexp(dim=1)


def contrast(
    output: Float[Tensor, "probe output ..."], index: int, against: int, mode: str, head: Head
) -> Float[Tensor, "probe ..."]:
    """Log-odds of one class against another, given that it is one of the two, or its probability.

    ln(p_a / p_b) = z_a - z_b under a softmax. Under sigmoids, where both or none may be there, the
    odds given exactly one, p_a (1 - p_b) / (p_b (1 - p_a)), lead to the same z_a - z_b. Of values:
    their difference.
    """
    if head in ("cumulative", "coral"):
        logs = probabilities(output.double(), head).clamp(min=1e-12).log()
        odds = (logs[:, index] - logs[:, against]).to(output.dtype)
    else:
        odds = output[:, index] - output[:, against]
    return odds.sigmoid() if mode == "probability" and head != "identity" else odds


def _take(output: Tensor, index: Tensor) -> Tensor:
    shape = (len(output), 1, *output.shape[2:])
    return output.gather(1, index.reshape(-1, *[1] * (output.ndim - 1)).expand(shape))[:, 0]
