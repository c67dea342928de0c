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
from foveal.explainers.captum import Captum
from foveal.explainers.classic import CAM
from foveal.explainers.concept_patches import concept_patches, lesion_patches
from foveal.explainers.concepts import TCAV, ConceptSet
from foveal.explainers.eigen import EigenCAM, EigenGradCAM
from foveal.explainers.expected import ExpectedGradients
from foveal.explainers.fullgrad import FullGrad
from foveal.explainers.gradients import InputXGradient, IntegratedGradients, Saliency
from foveal.explainers.guided import (
    Deconvolution,
    GuidedBackprop,
    GuidedGradCAM,
    GuidedGradCAMPlusPlus,
)
from foveal.explainers.noisy import SmoothGrad, SquareGrad, VarGrad
from foveal.explainers.perturbation import RISE, Occlusion
from foveal.explainers.regions import XRAI
from foveal.explainers.registry import Method, methods
from foveal.explainers.relevance import LRP
from foveal.explainers.scorecam import ScoreCAM
from foveal.explainers.smooth import SmoothGradCAMPlusPlus
from foveal.explainers.surrogate import LIME, KernelSHAP
from foveal.explainers.visits import VisitAttention

__all__ = [
    "CAM",
    "LIME",
    "LRP",
    "RISE",
    "TCAV",
    "XRAI",
    "AblationCAM",
    "AbstractExplainer",
    "Attention",
    "AttentionRollout",
    "Captum",
    "Chefer",
    "ConceptSet",
    "Deconvolution",
    "Draw",
    "EigenCAM",
    "EigenGradCAM",
    "ExpectedGradients",
    "Fold",
    "Frame",
    "FullGrad",
    "GradCAM",
    "GradCAMPlusPlus",
    "GuidedBackprop",
    "GuidedGradCAM",
    "GuidedGradCAMPlusPlus",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradients",
    "KernelSHAP",
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
    "VisitAttention",
    "Wants",
    "Watched",
    "XGradCAM",
    "concept_patches",
    "lesion_patches",
    "methods",
]
