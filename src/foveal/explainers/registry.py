"""Which methods are built."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches

from foveal.explainers.ablation import AblationCAM
from foveal.explainers.attention import Attention, AttentionRollout, Chefer
from foveal.explainers.base import AbstractExplainer, Need
from foveal.explainers.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from foveal.explainers.classic import CAM
from foveal.explainers.concepts import TCAV
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
from foveal.explainers.relevance import LRP
from foveal.explainers.scorecam import ScoreCAM
from foveal.explainers.smooth import SmoothGradCAMPlusPlus
from foveal.explainers.surrogate import LIME, KernelSHAP

_BUILT: tuple[type[AbstractExplainer], ...] = (
    CAM,
    GradCAM,
    GradCAMPlusPlus,
    SmoothGradCAMPlusPlus,
    XGradCAM,
    HiResCAM,
    LayerCAM,
    EigenCAM,
    EigenGradCAM,
    ScoreCAM,
    AblationCAM,
    FullGrad,
    Saliency,
    InputXGradient,
    SmoothGrad,
    SquareGrad,
    VarGrad,
    IntegratedGradients,
    ExpectedGradients,
    GuidedBackprop,
    Deconvolution,
    GuidedGradCAM,
    GuidedGradCAMPlusPlus,
    LRP,
    Occlusion,
    RISE,
    LIME,
    KernelSHAP,
    XRAI,
    Attention,
    AttentionRollout,
    Chefer,
    TCAV,
)
_OBJECTS = {"visit": "VisitAttention()", "captum": "Captum(captum.attr.DeepLift)"}
"""What is given as an object only, by how names for it start."""
_SHORT = {"ig": "integratedgradients", "eg": "expectedgradients", "shap": "kernelshap"}
"""What people write for short."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """What is known of one method before it is used."""

    name: str
    cls: type[AbstractExplainer]
    needs: tuple[Need, ...]
    """What the model must be able to give."""
    sign: str
    cost: str
    reference: str
    question: str
    grid: str


def methods() -> list[Method]:
    """The methods that are built, in the order of their families."""
    return [
        Method(
            name=cls.name,
            cls=cls,
            needs=cls.needs,
            sign=cls.card.sign,
            cost=cls.card.cost,
            reference=cls.card.reference,
            question=cls.card.question,
            grid=cls.card.grid,
        )
        for cls in _BUILT
    ]


def explainer_named(name: str, **settings: object) -> AbstractExplainer:
    """The explainer with this name and these settings.

    Raises:
        ValueError: An unknown name; the nearest are offered. An unknown setting, or none where the
            method needs examples or a reference set.
    """
    built = {cls.name: cls for cls in _BUILT}
    if name not in built:
        raise ValueError(f"there is no method {name!r}; {_offered(name, built)}")
    cls = built[name]
    settable = fields(cls)  # pyright: ignore[reportArgumentType]
    known = [field.name for field in settable]
    unknown = [setting for setting in settings if setting not in known]
    if unknown:
        raise ValueError(
            f"{name} has no setting {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        )
    for field in settable:
        if field.default is field.default_factory is MISSING and field.name not in settings:
            raise ValueError(
                f"{name} needs {field.name}, so a name is not enough; give the object, such as "
                f"foveal.explainers.{cls.__name__}({field.name}=...)"
            )
    return cls(**settings)


def _offered(name: str, built: Mapping[str, type[AbstractExplainer]]) -> str:
    """What is meant, or methods whose name, or whose class's name, is near; all where none is."""
    spelt = _SHORT | {_plain(cls.__name__): own for own, cls in built.items()}
    spelt |= {own: own for own in built}
    plain = _plain(name)
    for start, made in _OBJECTS.items():
        if plain.startswith(start):
            return f"give the object, such as foveal.explainers.{made}"
    if plain in spelt:
        return f"did you mean {spelt[plain]!r}?"
    near = dict.fromkeys(spelt[found] for found in get_close_matches(plain, spelt, n=4, cutoff=0.5))
    return f"near names: {', '.join(near)}" if near else f"there are {', '.join(built)}"


def _plain(name: str) -> str:
    """A name without capitals, hyphens and spaces, its pluses as signs."""
    letters = re.sub(r"[^a-z+]", "", name.lower().replace("×", "x"))
    return re.sub(r"(plusplus|pp)$", "++", letters)
