"""Class activation maps from the principal component of a layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from foveal.explainers.base import AbstractExplainer, Fold, Frame, MethodCard, Need, Seen, Wants

_SIGN_RULE = "the sign is arbitrary: chosen so that the map agrees with the layer's total activity"


@dataclass(frozen=True, kw_only=True)
class EigenCAM(AbstractExplainer):
    """What does the layer hold most of, whatever the class?

    The activations A, positions by channels and not centred, projected on their first right
    singular vector: A v1. No gradient and no class enters, so the map is the same for every target.
    The sign of v1 is arbitrary; it is chosen so that the map's product with sum_k abs(A_k) is not
    negative. Where the two largest singular values are equal, so is the choice between them.

    On eyes, use it to see whether a model looks at the eye at all, or at the black frame, the flash
    or a burnt-in name. Not to ask why it decides: disc and vessels, which are in every photograph,
    often rule the map whatever the grade. It costs one forward pass up to the layer.

    Reference:
        Muhammad and Yeasin 2020, Eigen-CAM, equations 2 and 3.
    """

    name: ClassVar[str] = "eigencam"
    needs: ClassVar[tuple[Need, ...]] = ("activations",)
    wants: ClassVar[Wants] = Wants(activation=True)
    card: ClassVar[MethodCard] = MethodCard(
        question="What does the layer hold most of, whatever the class?",
        sign=_SIGN_RULE,
        grid="the layer's",
        cost="1 F",
        reference="Muhammad and Yeasin 2020, Eigen-CAM, eq. 2-3",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        return Fold(map=_principal(clean.layer.activation))


@dataclass(frozen=True, kw_only=True)
class EigenGradCAM(AbstractExplainer):
    """What do the layer's contributions to the score have in common?

    Eigen-CAM of the gradient times the activations instead of the activations alone, so that the
    score enters. The sign is chosen as there, and therefore does not say whether a place speaks for
    or against the class.

    On eyes, use it for a smooth view of one dominant finding, such as a large haemorrhage or
    macular oedema. Where findings of several kinds count it shows one pattern and drops the others,
    and it is not for telling evidence from counter-evidence. It costs one forward pass and the
    backward pass above the layer.

    Reference:
        Muhammad and Yeasin 2020, Eigen-CAM, equations 2 and 3, of g_k A_k as in HiResCAM (Draelos
        and Carin 2020, equation 4).
    """

    name: ClassVar[str] = "eigengradcam"
    needs: ClassVar[tuple[Need, ...]] = ("activations", "layer gradients")
    wants: ClassVar[Wants] = Wants(activation=True, gradient=True)
    card: ClassVar[MethodCard] = MethodCard(
        question="What do the layer's contributions to the score have in common?",
        sign=_SIGN_RULE,
        grid="the layer's",
        cost="1 F + the B above the layer",
        reference="Muhammad and Yeasin 2020, Eigen-CAM, eq. 2-3, of g A",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation, gradient = clean.layer.pair
        return Fold(map=_principal(gradient * activation))


def _principal(
    features: Float[Tensor, "sample channel ..."],
) -> Float[Tensor, "sample ..."]:
    """A v1 of each sample, by the smaller of the two matrices of inner products."""
    maps = []
    for one in features.double():
        matrix = one.flatten(1).T
        if not bool(matrix.isfinite().all()):  # no decomposition, and none may be made up
            maps.append(torch.full_like(one[0], torch.nan))
            continue
        if len(matrix) <= matrix.shape[1]:
            values, vectors = torch.linalg.eigh(matrix @ matrix.T)
            projected = values[-1].clamp(min=0).sqrt() * vectors[:, -1]
        else:
            _, vectors = torch.linalg.eigh(matrix.T @ matrix)
            projected = matrix @ vectors[:, -1]
        agreement = projected @ matrix.abs().sum(dim=1)
        maps.append((-projected if agreement < 0 else projected).reshape(one.shape[1:]))
    return torch.stack(maps).float()
