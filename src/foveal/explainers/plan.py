"""From what a caller asks for to tasks: explainers by name, each at its layers."""

import warnings
from collections.abc import Mapping, Sequence
from typing import cast
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from foveal.core import FovealWarning
from foveal.explainers.base import AbstractExplainer
from foveal.explainers.registry import explainer_named
from foveal.explainers.request import Request, Task
from foveal.explainers.watching import Network
from foveal.models import layers as model_layers
from foveal.models.targets import TargetLike, as_sequence

MethodLike = str | AbstractExplainer
LayerLike = str | nn.Module
Layers = None | LayerLike | Sequence[LayerLike]


def named_explainers(methods: object) -> dict[str, AbstractExplainer]:
    """Explainers by the names under which their maps are returned.

    Raises:
        ValueError: No method, an unknown one, or two under one name.
        TypeError: Neither a name nor an explainer.
    """
    if isinstance(methods, Mapping):
        if not all(isinstance(name, str) for name in methods):
            raise TypeError(f"names of your own must be texts, but are {list(methods)}")
        pairs = [(name, _explainer(method)) for name, method in methods.items()]
    else:
        listed = (
            list(methods)
            if isinstance(methods, Sequence) and not isinstance(methods, str)
            else [methods]
        )
        pairs = [(e.name, e) for e in map(_explainer, listed)]
    if not pairs:
        raise ValueError("name at least one method; foveal.methods() lists them")
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(
            f"{sorted(twice)[0]!r} is asked for twice; give settings of one method names of your "
            'own, such as {"ig-10": IntegratedGradients(steps=10), "ig-50": ...}'
        )
    return dict(pairs)


def plan_tasks(
    network: Network,
    images: Tensor,
    explainers: Mapping[str, AbstractExplainer],
    layers: Layers,
    request: Request,
) -> tuple[dict[str, Task], tuple[str, ...]]:
    """Every explainer at its layers, and a note where the layer was chosen for it.

    Raises:
        ValueError: A layer that the model does not have.
        ModelError: No layer can be chosen.
    """
    names, notes = _layer_names(network, images, explainers, layers, request)
    tasks: dict[str, Task] = {}
    for key, explainer in explainers.items():
        if not explainer.watches_layer:
            tasks[key] = Task(explainer=explainer)
        elif explainer.fuses_layers or len(names) == 1:
            tasks[key] = Task(explainer=explainer, layers=names)
        else:
            for name in names:
                tasks[f"{key}@{name}"] = Task(explainer=explainer, layers=(name,))
    return tasks, notes


def _layer_names(
    network: Network,
    images: Tensor,
    explainers: Mapping[str, AbstractExplainer],
    layers: Layers,
    request: Request,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    watching = any(e.watches_layer for e in explainers.values())
    if not watching and network.module is not None and not list(network.module.children()):
        return ("",), ()  # a card may name layers that its black box does not have
    if layers is not None and network.module is not None:
        listed = [layers] if isinstance(layers, str | nn.Module) else list(layers)
        if not listed:
            raise ValueError("layers is empty; name a layer, or leave it out to have one chosen")
        names = [model_layers.name_of(network.module, layer) for layer in listed]
        return tuple(dict.fromkeys(names)), ()
    if not watching or network.module is None:
        return ("",), ()
    choice = chosen_layer(network, images, request)
    note = f"layer {choice.name!r} was chosen: {choice.why}"
    if choice.dense:
        message = (
            f"this model scores every pixel: {choice.name!r} {choice.grid} is explained, "
            f"{choice.why}; its coarsest layer {choice.coarsest!r} answers another question. "
            "Name one with layers="
        )
        warnings.warn(message, FovealWarning, stacklevel=4)
    return (choice.name,), (note,)


_CHOSEN: "WeakKeyDictionary[nn.Module, dict[object, model_layers.LayerChoice]]" = (
    WeakKeyDictionary()
)
"""Layers chosen before, by all they depend on; a model whose parts changed is looked at again."""


def chosen_layer(network: Network, images: Tensor, request: Request) -> model_layers.LayerChoice:
    """The layer to explain when none is named; found by one pass, and remembered for a class.

    Raises:
        ModelError: No layer is spatial and connected to the score.
    """
    module = network.module
    if module is None:
        raise TypeError("a callable has no layers to choose from")
    targets = as_sequence(request.target)
    target = cast(TargetLike, request.target if targets is None else targets[0])

    beside = [one[:1] for one in request.beside]

    def found() -> model_layers.LayerChoice:
        return model_layers.choose(
            module, images, lambda one: network.forward(one, *beside), target, request.head
        )

    if callable(target):
        return found()
    structure = tuple((name, type(part)) for name, part in module.named_modules())
    key = (structure, network.explained, tuple(images.shape[1:]), request.head, str(target))
    known = _CHOSEN.setdefault(module, {})
    if key not in known:
        known[key] = found()
    return known[key]


def _explainer(method: object) -> AbstractExplainer:
    if isinstance(method, AbstractExplainer):
        return method
    if isinstance(method, str):
        return explainer_named(method)
    if isinstance(method, type) and issubclass(method, AbstractExplainer):
        raise TypeError(f"{method.__name__} is a class; make one of it, {method.__name__}()")
    raise TypeError(
        "a method is a name or an explainer with its settings, such as "
        f"IntegratedGradients(steps=50), but is {method!r}"
    )
