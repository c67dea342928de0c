"""Class activation maps: weighted sums of a layer's channels.

A are the activations of the watched layer, g the gradient of the explained score there, sums run
over channels k and positions xy. Raw maps are signed: where a paper ends in a ReLU, its picture is
`map.clamp(min=0)`, and the negative part is what speaks against the score.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Seen,
    Wants,
    Watched,
)
from foveal.explainers.grid import resize
from foveal.explainers.settings import check_flag

NEEDS: tuple[Need, ...] = ("activations", "layer gradients")
_LAYER = Wants(activation=True, gradient=True)
POSITIVE_LAYER = Wants(activation=True, gradient=True, after_activation=True)
_SIGN = "positive: raises the score; negative: lowers it"
_SIGNED_NOTE = (
    "the layer has negative activations, which the paper excludes: {}; "
    "prefer a layer after an activation function"
)


@dataclass(frozen=True, kw_only=True)
class GradCAM(AbstractExplainer):
    """Where does the layer hold what the score rests on? The standard first look.

    Each channel is weighted by the mean of its gradient, sum_k mean_xy(g_k) A_k. On a network that
    ends in a global mean and one linear layer it equals HiResCAM and, up to a factor, CAM.

    On eyes it shows the neighbourhood that matters, not the lesion's outline: with 512 pixels for a
    45 degree photograph, a cell of a stride-32 layer is about 0.8 mm wide, half a disc and several
    times a microaneurysm. Use it for grades of photographs, OCT sections and volumes, and to see
    where to look closer. Not for counting small haemorrhages, following vessels or telling OCT
    layers apart; of a segmentation it says which surroundings a class was read from. It costs one
    forward pass and the backward pass above the layer.

    Reference:
        Selvaraju et al. 2017, Grad-CAM, equations 1 and 2 (before the ReLU).
    """

    name: ClassVar[str] = "gradcam"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = _LAYER
    card: ClassVar[MethodCard] = MethodCard(
        question="Where does the layer hold what the score rests on?",
        sign=_SIGN,
        grid="the layer's",
        cost="1 F + the B above the layer",
        reference="Selvaraju et al. 2017, Grad-CAM, eq. 1-2",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation, gradient = clean.layer.pair
        weight = gradient.flatten(2).mean(dim=2)
        return Fold(map=weighted_sum(weight, activation))


@dataclass(frozen=True, kw_only=True)
class GradCAMPlusPlus(AbstractExplainer):
    """Like Grad-CAM, but a small lesion counts as much as a large one of the same kind.

    w_k = sum_xy alpha_k ReLU(g_k) with alpha_k = g_k^2 / (2 g_k^2 + g_k^3 sum_xy A_k), which is
    1 / (2 + g_k sum_xy A_k) wherever g_k > 0: no epsilon is needed, and the factor exp(score) of
    the paper, one per image, is left out. The map is not invariant to the score's scale. Only
    positive gradients enter, so it says little about what speaks against a class.

    On eyes, use it where lesions of one kind come scattered and in several sizes: exudates,
    haemorrhages, drusen. Lesions smaller than a cell of the layer still melt into one, as with
    Grad-CAM, and it is not for asking why an eye is called healthy. It costs one forward pass and
    the backward pass above the layer.

    Args:
        normalised_alpha: Divide each channel's alpha by its sum over the positions with g_k > 0,
            as the authors' script does and the paper does not.

    Reference:
        Chattopadhay et al. 2018, Grad-CAM++, equations 5, 10 and 19.
    """

    normalised_alpha: bool = False

    name: ClassVar[str] = "gradcam++"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = POSITIVE_LAYER
    card: ClassVar[MethodCard] = MethodCard(
        question="Where are all the places, large and small, that raise the score?",
        sign="positive: raises the score; negative only where activations are",
        grid="the layer's",
        cost="1 F + the B above the layer",
        reference="Chattopadhay et al. 2018, Grad-CAM++, eq. 19",
    )

    def __post_init__(self) -> None:
        check_flag("normalised_alpha", self.normalised_alpha)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation, gradient = clean.layer.pair
        positive = gradient.clamp(min=0)
        # The paper assumes activations that are not negative; a negative sum would make alpha
        # explode or change its sign, so it counts as zero.
        total = over_space(activation).clamp(min=0)
        alpha = 1 / (2 + positive * total)
        if self.normalised_alpha:
            alpha = alpha * (gradient > 0)
            norm = over_space(alpha)
            alpha = torch.where(norm > 0, alpha / norm, 0)
        weight = (alpha * positive).flatten(2).sum(dim=2)
        notes = signed_note(
            activation, what="a channel with a negative sum counts as zero in alpha"
        )
        return Fold(map=weighted_sum(weight, activation), notes=notes)


@dataclass(frozen=True, kw_only=True)
class XGradCAM(AbstractExplainer):
    """Grad-CAM with weights that explain as much of the score as the layer's gradients can.

    w_k = sum_xy(g_k A_k) / sum_xy A_k: positions count by how active the channel is there. A
    channel whose activations cancel out or vanish gets the weight zero.

    On eyes, use it instead of Grad-CAM where few cells are active: a single exudate, a drusen at
    the fovea, a fluid pocket in a section. It is not for layers whose activations have both signs
    (after SiLU or GELU): their sum may be near zero and the weight huge. As coarse as Grad-CAM. It
    costs one forward pass and the backward pass above the layer.

    Reference:
        Fu et al. 2020, Axiom-based Grad-CAM, equation 8.
    """

    name: ClassVar[str] = "xgradcam"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = POSITIVE_LAYER
    card: ClassVar[MethodCard] = MethodCard(
        question="Where does the layer hold what the score rests on, active places first?",
        sign=_SIGN,
        grid="the layer's",
        cost="1 F + the B above the layer",
        reference="Fu et al. 2020, Axiom-based Grad-CAM, eq. 8",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation, gradient = clean.layer.pair
        total = activation.flatten(2).sum(dim=2)
        # Relative to the channel's own size, so that no scale of activations is special.
        usable = total.abs() > 1e-6 * activation.abs().flatten(2).sum(dim=2)
        explained = (gradient * activation).flatten(2).sum(dim=2)
        weight = torch.where(usable, explained / torch.where(usable, total, 1), 0)
        notes = signed_note(
            activation, what="a channel whose activations cancel out gets weight zero"
        )
        return Fold(map=weighted_sum(weight, activation), notes=notes)


@dataclass(frozen=True, kw_only=True)
class HiResCAM(AbstractExplainer):
    """Which cells of the layer did the score come from? Exact where the rest is linear.

    sum_k g_k A_k, element by element. Where everything after the layer is linear (a global mean
    or flattening, then one linear layer) the map sums to the logit minus its bias.

    On eyes, use it where a place matters by where it is (the fovea, the rim of the disc), as in
    heads that flatten, and where lesions for and against a grade share channels: a mean gradient
    would mix them. Not for lesions below a cell of the layer, such as microaneurysms, and below the
    last layers it is noisy. It costs one forward pass and the backward pass above the layer.

    Reference:
        Draelos and Carin 2020, HiResCAM, equation 4 (before any ReLU).
    """

    name: ClassVar[str] = "hirescam"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = _LAYER
    card: ClassVar[MethodCard] = MethodCard(
        question="How much did each cell of the layer add to the score?",
        sign=_SIGN,
        grid="the layer's",
        cost="1 F + the B above the layer",
        reference="Draelos and Carin 2020, HiResCAM, eq. 4",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation, gradient = clean.layer.pair
        return Fold(map=(gradient * activation).sum(dim=1))


@dataclass(frozen=True, kw_only=True)
class LayerCAM(AbstractExplainer):
    """Which cells raise the score, also in early, fine layers?

    sum_k ReLU(g_k) A_k, element by element, which stays sharp in shallow layers where Grad-CAM
    does not. Strided layers leave a grid of dots in their map: that is the stride, not the eye.

    On eyes, use it at a layer of stride 4 or 8 for what is small: haemorrhages, exudates, the edges
    of fluid in OCT; several stages fused show both where and how. Early layers also answer to
    vessels and edges of any kind, so it is not proof that these count, and evidence against a grade
    is not shown. It costs one forward pass and the backward pass above the earliest layer.

    Args:
        fuse: Give one map for all layers asked for, the paper's fusion: each layer's map after
            its ReLU is resized to the finest of them, and the largest value counts.
        scale_layers: Layers whose map goes through tanh(2 M / max M) before the fusion, as the
            paper advises for shallow stages.

    Raises:
        TypeError: `fuse` is no truth value, or `scale_layers` no names.
        ValueError: `scale_layers` without `fuse`.

    Reference:
        Jiang et al. 2021, LayerCAM, equations 5 to 9.
    """

    fuse: bool = False
    scale_layers: tuple[str, ...] = ()

    name: ClassVar[str] = "layercam"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = POSITIVE_LAYER
    card: ClassVar[MethodCard] = MethodCard(
        question="Which cells raise the score, also in early, fine layers?",
        sign="positive: raises the score; negative only where activations are",
        grid="the layer's",
        cost="1 F + the B above the layer",
        reference="Jiang et al. 2021, LayerCAM, eq. 5-9",
    )

    def __post_init__(self) -> None:
        check_flag("fuse", self.fuse)
        named = isinstance(self.scale_layers, tuple | list)
        if not named or not all(isinstance(name, str) for name in self.scale_layers):
            raise TypeError(
                'scale_layers must be names of layers, such as ("layer1", "layer2"), but '
                f"is {self.scale_layers!r}"
            )
        if self.scale_layers and not self.fuse:
            raise ValueError("scale_layers belongs to the fusion of layers; add fuse=True")

    @property
    def fuses_layers(self) -> bool:
        return self.fuse

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        maps = {layer: _layer_cam(watched) for layer, watched in clean.layers.items()}
        notes = signed_note(
            *(w.activation for w in clean.layers.values()), what="they enter the map as they are"
        )
        if not self.fuse:
            (single,) = maps.values()
            return Fold(map=single, notes=notes)
        return Fold(map=self._fused(maps), notes=notes)

    def _fused(self, maps: dict[str, Tensor]) -> Tensor:
        unknown = set(self.scale_layers) - set(maps)
        if unknown:
            raise ValueError(f"scale_layers {sorted(unknown)} are not among layers {list(maps)}")
        sides = zip(*(m.shape[1:] for m in maps.values()), strict=True)
        finest = tuple(max(axis) for axis in sides)
        rectified = []
        for layer, values in maps.items():
            positive = values.clamp(min=0)
            if layer in self.scale_layers:
                top = positive.flatten(1).amax(dim=1).reshape(-1, *[1] * (positive.ndim - 1))
                positive = torch.where(top > 0, (2 * positive / top).tanh(), 0)
            rectified.append(resize(positive, finest))
        return torch.stack(rectified).amax(dim=0)


def _layer_cam(watched: Watched) -> Tensor:
    activation, gradient = watched.pair
    return (gradient.clamp(min=0) * activation).sum(dim=1)


def weighted_sum(weight: Tensor, activation: Tensor) -> Tensor:
    """sum_k w_k A_k."""
    return (weight.reshape(*weight.shape, *[1] * (activation.ndim - 2)) * activation).sum(dim=1)


def over_space(values: Tensor) -> Tensor:
    """The sum over the positions, kept broadcastable."""
    return values.flatten(2).sum(dim=2).reshape(*values.shape[:2], *[1] * (values.ndim - 2))


def signed_note(*activations: Tensor, what: str) -> tuple[str, ...]:
    return (_SIGNED_NOTE.format(what),) if any(bool((a < 0).any()) for a in activations) else ()
