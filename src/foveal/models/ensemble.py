"""Several networks that answer as one."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from foveal.models.heads import Head


class Ensemble(nn.Module):
    """The mean of several networks, as one network that every explainer takes.

    `mean="outputs"` gives the mean of the logits (or values). `mean="probabilities"` gives logits
    of the mean probability, since targets are read from logits: under a softmax its logarithm,
    under sigmoids (of each class or grade) its log-odds, so that the probabilities of the ensemble
    are exactly the mean of the members'.

    Every member's layers are there under `members.0`, `members.1` and so on. A method that watches
    a layer sees that member's part of the score alone: name one layer for each member.

    Args:
        modules: The members; all take the same input and return tensors of the same shape.
        mean: Of what.
        head: How outputs become probabilities; needed for the mean of probabilities alone.

    Raises:
        ValueError: No members, a mean that does not exist, probabilities of a regression, or (when
            called) members that do not give tensors of one shape.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        *,
        mean: Literal["outputs", "probabilities"] = "outputs",
        head: Head = "softmax",
    ) -> None:
        super().__init__()
        if not modules:
            raise ValueError("an ensemble needs at least one network, but got none")
        if mean not in ("outputs", "probabilities"):
            raise ValueError(f'mean must be "outputs" or "probabilities", but is {mean!r}')
        if mean == "probabilities" and head == "identity":
            raise ValueError('a regression has no probabilities; use mean="outputs"')
        self.members = nn.ModuleList(modules)
        self.mean = mean
        self.head: Head = head

    def forward(self, images: Tensor) -> Tensor:
        outputs = [member(images) for member in self.members]
        _check(outputs)
        stacked = torch.stack(outputs)
        if self.mean == "outputs":
            return stacked.mean(dim=0)
        return _logits_of_mean(stacked, self.head)


def _logits_of_mean(
    logits: Float[Tensor, "member sample output ..."], head: Head
) -> Float[Tensor, "sample output ..."]:
    """Logits of the mean probability, by logarithms: sure members would round to 0 and 1."""
    if head == "softmax" and logits.shape[2] > 1:
        members = torch.tensor(float(len(logits)), device=logits.device)
        return logits.log_softmax(dim=2).logsumexp(dim=0) - members.log()
    return logsigmoid(logits).logsumexp(dim=0) - logsigmoid(-logits).logsumexp(dim=0)


def _check(outputs: Sequence[object]) -> None:
    shapes = [tuple(o.shape) if isinstance(o, Tensor) else type(o).__name__ for o in outputs]
    if len(set(shapes)) > 1 or not isinstance(outputs[0], Tensor):
        raise ValueError(
            "the members of an ensemble must give tensors of one shape, but gave "
            f"{', '.join(map(str, shapes))}; wrap those that return more than the tensor meant"
        )
