"""Attribution methods, each as its paper defines it, and the engine that runs them."""

from foveal.explainers.ablation import AblationCAM
from foveal.explainers.attention import Attention, AttentionRollout, Chefer
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
from foveal.explainers.classic import CAM
from foveal.explainers.eigen import EigenCAM, EigenGradCAM
from foveal.explainers.expected import ExpectedGradients
from foveal.explainers.fullgrad import FullGrad
from foveal.explainers.gradients import InputXGradient, IntegratedGradients, Saliency
from foveal.explainers.noisy import SmoothGrad, SquareGrad, VarGrad
from foveal.explainers.perturbation import RISE, Occlusion
from foveal.explainers.registry import Method, methods
from foveal.explainers.scorecam import ScoreCAM
from foveal.explainers.smooth import SmoothGradCAMPlusPlus

__all__ = [
    "CAM",
    "RISE",
    "AblationCAM",
    "AbstractExplainer",
    "Attention",
    "AttentionRollout",
    "Chefer",
    "Draw",
    "EigenCAM",
    "EigenGradCAM",
    "ExpectedGradients",
    "Fold",
    "Frame",
    "FullGrad",
    "GradCAM",
    "GradCAMPlusPlus",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradients",
    "LayerCAM",
    "Method",
    "MethodCard",
    "Occlusion",
    "Probes",
    "Saliency",
    "ScoreCAM",
    "Seen",
    "SmoothGrad",
    "SmoothGradCAMPlusPlus",
    "SquareGrad",
    "VarGrad",
    "Wants",
    "Watched",
    "XGradCAM",
    "methods",
]
