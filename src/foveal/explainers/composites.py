"""Which rule of layer-wise relevance propagation each layer has: zennit's rules and composites."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from foveal.core import ModelError

UNIFORM = ("epsilon", "gamma", "zplus", "alpha2_beta1")
"""One rule for every linear layer."""
COMPOSITES = (
    *UNIFORM,
    "epsilon_plus",
    "epsilon_alpha2_beta1",
    "epsilon_gamma_box",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1_flat",
)
"""Those with two or three rules are zennit's, under zennit's names."""
BOX = "epsilon_gamma_box"
STABILISER = 1e-6
"""Added to denominators, with their sign, where a rule has no epsilon of its own; zennit's."""


@dataclass(frozen=True, kw_only=True)
class Composite:
    """A composite with its settings."""

    name: str
    epsilon: float
    gamma: float


class Rulebook:
    """The rules of one pass: zennit's hooks, to be copied for each layer in the order they run."""

    def __init__(self, composite: Composite, bounds: tuple[Tensor, Tensor] | None) -> None:
        rules = zennit("rules")
        self.norm = rules.Norm(stabilizer=STABILISER)
        """For sums and means: relevance goes to each summand in proportion to it."""
        self.epsilon = rules.Epsilon(epsilon=composite.epsilon)
        """For affine maps, channel by channel."""
        self.composite = _composite(composite, bounds)
        self.boxed = bounds is not None
        self.seen: dict[str, object] = {}
        """What zennit notes of the layers that had their rule: which one was first."""

    @property
    def awaits_box(self) -> bool:
        """Whether the next convolution is the one whose input lies in the box."""
        return self.boxed and not self.seen.get("first_layer_visited")

    def rule(self, layer: nn.Module) -> Any:
        """The rule of a convolution or of a fully connected layer."""
        return self.composite.module_map(self.seen, "", layer)


def _composite(composite: Composite, bounds: tuple[Tensor, Tensor] | None) -> Any:
    composites, rules = zennit("composites"), zennit("rules")
    if composite.name not in UNIFORM:
        settings: dict[str, object] = {"epsilon": composite.epsilon}
        if bounds is not None:
            settings |= {"low": bounds[0], "high": bounds[1], "gamma": composite.gamma}
        return composites.COMPOSITES[composite.name](**settings)
    rule = {
        "epsilon": lambda: rules.Epsilon(epsilon=composite.epsilon),
        "gamma": lambda: rules.Gamma(gamma=composite.gamma),
        "zplus": rules.ZPlus,
        "alpha2_beta1": lambda: rules.AlphaBeta(alpha=2, beta=1),
    }[composite.name]()
    return composites.LayerMapComposite(layer_map=[(zennit("types").Linear, rule)])


def zennit(part: str) -> ModuleType:
    """A module of zennit.

    Raises:
        ModelError: It is not installed, or the torchvision underneath it does not load.
    """
    try:
        return import_module(f"zennit.{part}")
    except ImportError as problem:
        raise ModelError("LRP needs zennit: pip install 'foveal[lrp]'") from problem
    except RuntimeError as problem:
        if "torchvision::" not in str(problem):
            raise
        raise ModelError(
            "LRP needs zennit, which imports torchvision, whose operators do not load beside this "
            f"torch ({torch.__version__}): they are built for another one. Install torch and "
            "torchvision as a pair, both for the CPU or both for CUDA"
        ) from problem
