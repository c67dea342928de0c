"""Models that take several inputs: one map for each image, one value for each number of a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.doors.maps import Info, Maps, explained
from foveal.explainers.base import AbstractExplainer
from foveal.explainers.plan import Layers
from foveal.explainers.request import Request
from foveal.explainers.watching import Network
from foveal.models.borrow import borrowed
from foveal.models.layers import name_of, recorded

InputName = str | int
_TABULAR = "tabular"
"""The part in which surrogate models give the values of a table that they fitted with the image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """What a model takes beside each other: by place, or by name."""

    tensors: Mapping[InputName, Tensor]

    @classmethod
    def of(cls, batch: Sequence[object] | Mapping[str, object]) -> "Inputs":
        """The inputs of a batch, a tuple as the model's arguments, a mapping as its keywords.

        Raises:
            TypeError: Something that is no tensor.
            ValueError: No input, no image among them, values that are not finite, or inputs of
                different numbers of samples.
        """
        pairs = batch.items() if isinstance(batch, Mapping) else enumerate(batch)
        given: dict[InputName, object] = dict(pairs)
        for name, one in given.items():
            if not isinstance(one, Tensor):
                raise TypeError(f"input {name!r} must be a tensor, but is {type(one).__name__}")
            if one.ndim == 0 or (one.is_floating_point() and not bool(one.isfinite().all())):
                raise ValueError(f"input {name!r} must have a row for each sample, all finite")
        tensors = cast(dict[InputName, Tensor], given)
        counts = {name: len(one) for name, one in tensors.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"the inputs have different numbers of samples: {counts}")
        if not any(map(_is_image, tensors.values())):
            raise ValueError(
                "none of the inputs is a batch of images (batch, channel, row, column) in floating "
                f"point; got {', '.join(str(tuple(t.shape)) for t in tensors.values()) or 'none'}"
            )
        return cls(tensors=tensors)

    def on(self, device: torch.device | None) -> "Inputs":
        """The same on another device."""
        moved = {name: one.detach().to(device) for name, one in self.tensors.items()}
        return replace(self, tensors=moved)

    def network(self, model: nn.Module | Callable[..., object], name: InputName) -> Network:
        """The model as seen from one of its inputs: it comes first, the others beside it."""
        names = list(self.tensors)
        others = [other for other in names if other != name]

        def forward(own: Tensor, *beside: Tensor) -> object:
            given = dict(zip(others, beside, strict=True)) | {name: self._shaped(name, own)}
            if all(isinstance(one, int) for one in names):
                return model(*(given[one] for one in names))
            return model(**{str(one): given[one] for one in names})

        module = model if isinstance(model, nn.Module) else None
        title = "this callable" if module is None else type(model).__name__
        return Network(forward=forward, module=module, name=title, explained=str(name))

    def beside(self, name: InputName) -> tuple[Tensor, ...]:
        """All other inputs, in their order."""
        return tuple(one for other, one in self.tensors.items() if other != name)

    def like(self, values: Mapping[InputName, object]) -> object:
        """One thing for each input as the inputs came: a tuple, or a mapping by their names."""
        if all(isinstance(name, int) for name in self.tensors):
            return tuple(values[name] for name in self.tensors)
        return dict(values)

    def _shaped(self, name: InputName, own: Tensor) -> Tensor:
        """As the model takes it: a table is explained as a channel of one row of numbers."""
        return own if _is_image(self.tensors[name]) else own.flatten(1)


class SeveralMaps(Mapping[str, Any]):
    """By method, what each input got: a tuple or a mapping, as the inputs were given.

    `None` stands where a method has nothing to say about an input. `info` has the same structure.
    """

    def __init__(self, maps: Mapping[str, object], info: Mapping[str, object]) -> None:
        self._maps = dict(maps)
        self.info: dict[str, Any] = dict(info)

    def __getitem__(self, key: str) -> Any:
        return self._maps[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)


def explain_inputs(
    model: nn.Module | Callable[..., object],
    inputs: Inputs,
    explainers: Mapping[str, AbstractExplainer],
    layers: Layers,
    request: Request,
    *,
    size: str | None,
    device: torch.device | None,
) -> SeveralMaps:
    """Every input explained with the others as they are, in the structure of the inputs.

    Images get maps; numbers of a table (sample, number) get a value each from gradient methods,
    and from LIME and KernelSHAP where these were given a reference for them. A layer is watched
    for the images that reach it.

    Raises:
        ModelError: A layer that no image reaches, or what a method cannot get from the model.
    """
    found: dict[InputName, Maps] = {}
    for name, own in inputs.tensors.items():
        network = inputs.network(model, name)
        asked = replace(request, beside=inputs.beside(name))
        able = _able(explainers, own, network, asked, layers)
        if able and _is_image(own):
            found[name] = explained(network, own, able, layers, asked, size=size, device=device)
        elif able:
            found[name] = explained(network, own.unsqueeze(1), able, layers, asked, device=device)
    keys = dict.fromkeys(key for maps in found.values() for key in maps.info)
    _check_all_explained(keys, explainers)
    maps: dict[str, object] = {}
    info: dict[str, object] = {}
    for key in keys:
        values = {name: _value(found.get(name), key, inputs, name) for name in inputs.tensors}
        about = {n: found[n].info.get(key) if n in found else None for n in inputs.tensors}
        maps[key] = inputs.like(values | _fitted_tables(inputs, about))
        info[key] = inputs.like(about)
    return SeveralMaps(maps, info)


def _able(
    explainers: Mapping[str, AbstractExplainer],
    own: Tensor,
    network: Network,
    request: Request,
    layers: Layers,
) -> dict[str, AbstractExplainer]:
    """The methods that have something to say about one input."""
    if not _is_image(own):
        return {key: e for key, e in explainers.items() if _explains_table(e, own)}
    if layers is None or _reaches(network, own, request, layers):
        return dict(explainers)
    return {key: e for key, e in explainers.items() if not e.watches_layer}


def _value(maps: Maps | None, key: str, inputs: Inputs, name: InputName) -> Tensor | None:
    if maps is None or key not in maps:
        return None
    return maps[key] if _is_image(inputs.tensors[name]) else maps[key].flatten(1)


def _is_image(one: Tensor) -> bool:
    return one.ndim >= 4 and one.is_floating_point()


def _is_table(one: Tensor) -> bool:
    return one.ndim == 2 and one.is_floating_point()


def _explains_table(explainer: AbstractExplainer, table: Tensor) -> bool:
    """Gradient methods, with a baseline that does not belong to images."""
    baseline = getattr(explainer, "baseline", getattr(explainer, "reference", 0.0))
    number = isinstance(baseline, int | float)
    return _is_table(table) and explainer.needs == ("input gradient",) and number


def _reaches(network: Network, images: Tensor, request: Request, layers: Layers) -> bool:
    """Whether the layers named are computed from these images."""
    module = network.module
    if module is None:
        return True
    listed = [layers] if isinstance(layers, str | nn.Module) else list(layers or ())
    names = {name_of(module, layer) for layer in listed}
    own = images[:1].detach().clone().requires_grad_()
    with (
        torch.inference_mode(False),
        borrowed(module),
        torch.enable_grad(),
        recorded(module) as runs,
    ):
        network.forward(own, *(one[:1] for one in request.beside))
    reached = {run.name: run.differentiable for run in runs}
    return any(reached.get(name, True) for name in names)


def _check_all_explained(
    keys: Mapping[str, None], explainers: Mapping[str, AbstractExplainer]
) -> None:
    missing = [name for name in explainers if not any(k.split("@")[0] == name for k in keys)]
    if missing:
        raise ModelError(
            f"{missing[0]} explains none of the inputs: its layer is reached by no image; name "
            "one that is"
        )


def _fitted_tables(
    inputs: Inputs, about: Mapping[InputName, Info | None]
) -> dict[InputName, object]:
    """Values of tables that a method fitted together with an image."""
    found: dict[InputName, object] = {}
    for name, info in about.items():
        values = None if info is None else info.parts.get(_TABULAR)
        if isinstance(values, Tensor):
            tables = [n for n, one in inputs.tensors.items() if n != name and _is_table(one)]
            widths = [inputs.tensors[table].shape[1] for table in tables]
            found |= dict(zip(tables, values.split(widths, dim=1), strict=True))
    return found
