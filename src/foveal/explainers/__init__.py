"""Attribution methods, each as its paper defines it, and the engine that runs them."""

from foveal.explainers.base import (
    AbstractExplainer,
    Draw,
    Fold,
    Frame,
    MethodCard,
    Probes,
    Seen,
    Wants,
    Watched,
)
from foveal.explainers.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from foveal.explainers.gradients import IntegratedGradients, Saliency, SmoothGrad
from foveal.explainers.perturbation import Occlusion
from foveal.explainers.registry import Method, methods

__all__ = [
    "AbstractExplainer",
    "Draw",
    "Fold",
    "Frame",
    "GradCAM",
    "GradCAMPlusPlus",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "Method",
    "MethodCard",
    "Occlusion",
    "Probes",
    "Saliency",
    "Seen",
    "SmoothGrad",
    "Wants",
    "Watched",
    "XGradCAM",
    "methods",
]
