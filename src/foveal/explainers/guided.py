"""Gradients under another rule for activation functions, alone and times Grad-CAM.

g is the gradient that arrives at an activation function f from above, x what went into it. For a
network of ReLUs the rules are the papers'; for other activation functions (GELU, SiLU, Mish, ELU,
PReLU, ...) they are read as follows. Guided backpropagation passes f'(x) ReLU(g) on where x > 0
and nothing elsewhere: f is positive and rises there for all of them, so gating what arrives and
clamping what leaves are the same thing, which elsewhere they are not. Deconvolution passes ReLU(g)
on and does not look at f. Sigmoid, tanh and softmax, as in gates and in attention, keep their
derivative. A model in which no activation function can be reached is refused: its map would be a
plain gradient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    Wants,
)
from foveal.explainers.cam import GradCAM, GradCAMPlusPlus
from foveal.explainers.gradients import input_gradient
from foveal.explainers.grid import resize
from foveal.explainers.rectifiers import Rectifiers

_NEEDS: tuple[Need, ...] = ("modified backward",)
_CAM_NEEDS: tuple[Need, ...] = ("activations", "layer gradients", "modified backward")
_GUIDED = Wants(input_gradient=True, instrument=Rectifiers(forward_mask=True))
_DECONVOLUTION = Wants(input_gradient=True, instrument=Rectifiers(forward_mask=False))
_GRID = "the input's, with channels"


@dataclass(frozen=True, kw_only=True)
class GuidedBackprop(AbstractExplainer):
    """Which pixels drive the neurons that drive the score? Crisp pictures, to be read with care.

    The gradient at the input, with g [g > 0] [x > 0] in place of each ReLU's derivative. How many
    activation functions were given the rule is returned as `activations`.

    On eyes it draws fine vessels and lesion edges sharply, but much of that is a property of the
    image: the map hardly changes when the network's upper layers are replaced by random ones, and
    barely differs between classes (Adebayo et al. 2018, Sanity Checks for Saliency Maps). Use it to
    see which structures the early layers respond to, not as evidence of what a decision rests on.
    It costs one forward and one backward pass.

    Raises:
        ModelError: No activation function can be reached, or one keeps its own derivative.

    Reference:
        Springenberg et al. 2015, Striving for Simplicity, section 3.4:
        R^l = (f^l > 0) (R^(l+1) > 0) R^(l+1).
    """

    name: ClassVar[str] = "guidedbackprop"
    needs: ClassVar[tuple[Need, ...]] = _NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="Which pixels drive the neurons that drive the score?",
        sign="positive: brightening this channel here drives them; negative: hinders them",
        grid=_GRID,
        cost="1 F + 1 B",
        reference="Springenberg et al. 2015, Striving for Simplicity, sec. 3.4",
    )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return (_once(clean, _GUIDED),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        seen = next(answers[0])
        return Fold(map=input_gradient(seen), parts=_parts(seen))


@dataclass(frozen=True, kw_only=True)
class Deconvolution(AbstractExplainer):
    """Which pattern in the image would the score's neurons have drawn? A historical method.

    The gradient at the input, with ReLU(g) in place of each activation function's derivative:
    where the neuron was silent does not matter, only max pooling remembers the image. How many
    activation functions were given the rule is returned as `activations`.

    On eyes, use it only for comparison with older work. It fails the same sanity checks as guided
    backpropagation, is noisier on retina without lesions, and is not for judging a decision. It
    costs one forward and one backward pass.

    Raises:
        ModelError: No activation function can be reached, or one keeps its own derivative.

    Reference:
        Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 2.1;
        as a rule for gradients: Springenberg et al. 2015, R^l = (R^(l+1) > 0) R^(l+1).
    """

    name: ClassVar[str] = "deconvolution"
    needs: ClassVar[tuple[Need, ...]] = _NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="Which pattern in the image would the score's neurons have drawn?",
        sign="positive: brightening this channel here fits the pattern; negative: does not",
        grid=_GRID,
        cost="1 F + 1 B",
        reference="Zeiler and Fergus 2014, Visualizing and Understanding, sec. 2.1",
    )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return (_once(clean, _DECONVOLUTION),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        seen = next(answers[0])
        return Fold(map=input_gradient(seen), parts=_parts(seen))


@dataclass(frozen=True, kw_only=True)
class GuidedGradCAM(AbstractExplainer):
    """Which fine structures lie where the layer holds what the score rests on?

    Guided backpropagation times the picture of Grad-CAM, ReLU(map), resized bilinearly to the
    image. Where Grad-CAM is nowhere positive the map is zero.

    On eyes, use it as an illustration: lesions of a few pixels stand out inside the neighbourhood
    that Grad-CAM found. Grad-CAM brings the class, guided backpropagation only the texture, so a
    vessel that is sharp here is not thereby shown to matter: not for measuring, nor for outlining.
    It costs two forward passes, a backward pass, and the backward pass above the layer.

    Raises:
        ModelError: No activation function can be reached, or one keeps its own derivative.

    Reference:
        Selvaraju et al. 2017, Grad-CAM, section 3, "Guided Grad-CAM".
    """

    name: ClassVar[str] = "guidedgradcam"
    needs: ClassVar[tuple[Need, ...]] = _CAM_NEEDS
    wants: ClassVar[Wants] = GradCAM.wants
    card: ClassVar[MethodCard] = MethodCard(
        question="Which fine structures lie where the layer holds what the score rests on?",
        sign="positive: brightening this channel here drives the neurons; negative: hinders them",
        grid=_GRID,
        cost="2 F + 1 B + the B above the layer",
        reference="Selvaraju et al. 2017, Grad-CAM, sec. 3",
    )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return (_once(clean, _GUIDED),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        return _product(GradCAM().fold(clean, (), frame), next(answers[0]))


@dataclass(frozen=True, kw_only=True)
class GuidedGradCAMPlusPlus(AbstractExplainer):
    """Which fine structures lie in all the places, large and small, that raise the score?

    Guided backpropagation times the picture of Grad-CAM++, ReLU(map), resized bilinearly to the
    image. Like Grad-CAM++ it is not invariant to the score's scale.

    On eyes, use it as Guided Grad-CAM, where lesions are scattered and of several sizes, such as
    exudates or drusen; it is an illustration, and not for measuring: what is sharp is the image,
    what is chosen is as coarse as the layer. It costs two forward passes, a backward pass, and the
    backward pass above the layer.

    Raises:
        ModelError: No activation function can be reached, or one keeps its own derivative.

    Reference:
        Chattopadhay et al. 2018, Grad-CAM++, equation 19, multiplied as in Grad-CAM, section 3.
    """

    name: ClassVar[str] = "guidedgradcam++"
    needs: ClassVar[tuple[Need, ...]] = _CAM_NEEDS
    wants: ClassVar[Wants] = GradCAMPlusPlus.wants
    card: ClassVar[MethodCard] = MethodCard(
        question="Which fine structures lie in all the places that raise the score?",
        sign="positive: brightening this channel here drives the neurons; negative: hinders them",
        grid=_GRID,
        cost="2 F + 1 B + the B above the layer",
        reference="Chattopadhay et al. 2018, Grad-CAM++, eq. 19",
    )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return (_once(clean, _GUIDED),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        return _product(GradCAMPlusPlus().fold(clean, (), frame), next(answers[0]))


def _once(clean: Seen, wants: Wants) -> Probes:
    """The images themselves once more, under other rules."""
    return Probes(count=1, build=lambda _: clean.images, wants=wants)


def _product(cam: Fold, seen: Seen) -> Fold:
    gradient = input_gradient(seen)
    if cam.map is None:
        raise TypeError("a class activation map is needed to multiply with")
    picture = resize(cam.map.clamp(min=0), gradient.shape[2:])
    return Fold(map=gradient * picture.unsqueeze(1), parts=_parts(seen), notes=cam.notes)


def _parts(seen: Seen) -> dict[str, object]:
    return {"activations": seen.reading}
