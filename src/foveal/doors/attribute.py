"""The tensor door: maps for people who have their own pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args, overload

import torch
from torch import Tensor, nn

from foveal.doors.maps import Maps, explained
from foveal.doors.several import Inputs, SeveralMaps, explain_inputs
from foveal.explainers.engine import batch_bound
from foveal.explainers.plan import Layers, MethodLike, named_explainers
from foveal.explainers.request import MAX_BATCH, Progress, Request
from foveal.explainers.watching import Network
from foveal.models.heads import Head
from foveal.models.targets import TargetLike, as_sequence

_SEEDS = 2**63
Methods = MethodLike | Sequence[MethodLike] | Mapping[str, MethodLike]


@overload
def attribute(
    model: nn.Module | Callable[..., object],
    batch: Tensor,
    methods: Methods,
    *,
    target: TargetLike | Sequence[TargetLike] | Tensor = None,
    head: Head = "softmax",
    layers: Layers = None,
    size: Literal["input"] | None = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] | None = None,
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> Maps: ...
@overload
def attribute(
    model: nn.Module | Callable[..., object],
    batch: Sequence[Tensor] | Mapping[str, Tensor],
    methods: Methods,
    *,
    target: TargetLike | Sequence[TargetLike] | Tensor = None,
    head: Head = "softmax",
    layers: Layers = None,
    size: Literal["input"] | None = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] | None = None,
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> SeveralMaps: ...
def attribute(
    model: nn.Module | Callable[..., object],
    batch: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    methods: Methods,
    *,
    target: TargetLike | Sequence[TargetLike] | Tensor = None,
    head: Head = "softmax",
    layers: Layers = None,
    size: Literal["input"] | None = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] | None = None,
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> Maps | SeveralMaps:
    """Explain what a model says about a batch of tensors, by one or many methods in one go.

    All methods that look at the images themselves share one forward and at most one backward
    pass. The model is borrowed in eval mode and given back exactly as it was.

    Args:
        model: Any torch module. A plain callable works for methods that need scores only.
        batch: Images (batch, channel, row, column) or volumes (batch, channel, slice, row,
            column), as the model takes them. For a model of several inputs (image and age, fundus
            and OCT) a tuple of them in the order of its arguments, or a mapping by their names;
            tables of numbers are (batch, number).
        methods: Names or explainers, one, several, or a mapping from names of your own.
        target: `None` for each sample's own argmax, a class, a `foveal.Target`, a callable from
            the output, for however many images, to one number per image, or one of these for
            each sample.
        head: What the outputs are, as on a model card: `softmax` over classes or grades, `sigmoid`
            for a single logit or classes that stand alone, `cumulative` and `coral` for the
            logits of P(grade >= 1), P(grade >= 2) and so on, `identity` for values in their unit.
        layers: The layer of the methods that watch one, by name or module. Several give one map
            each, named `method@layer`. `None` chooses one and reports it in `info`.
        size: `"input"` resizes every map to the input's rows and columns, channels summed.
        seed: Where a method draws by chance.
        precision: `"bf16"` runs the model under bfloat16 autocast; methods that need scores only
            then say in `bf16_rank_correlation` how far it ranks their first probes as float32 does.
        max_batch: Images in one pass at most; a CPU takes fewer if they are large, and the bound
            is halved when memory runs out.
        progress: Called with the probes done and planned of each method that sends probes.

    Returns:
        A mapping from name to a detached float32 tensor on the batch's device: raw signed maps on
        their native grid, `(batch, row, column)`, with a channel axis for gradient methods. TCAV
        gives no map: its scores are in `info["tcav"].parts["concepts"]`. For several inputs each
        name holds a tuple or mapping like `batch`, with a map for an image, a value for each
        number of a table, and `None` where a method has nothing to say about an input.

    Raises:
        ValueError: A class, layer, method or target that does not exist or does not fit.
        TypeError: A batch that is no floating-point tensor, or a model that cannot be called.
        ModelError: The model cannot give what a method needs; the message says what can be done.
    """
    _check_settings(head, layers, size, precision)
    _check_numbers(seed, max_batch, progress)
    as_sequence(target)
    explainers = named_explainers(methods)
    device = _device(model)
    request = Request(
        target=target,
        head=head,
        seed=seed,
        precision=precision,
        max_batch=max_batch,
        progress=progress,
    )
    if isinstance(batch, Tensor):
        _check_batch(batch)
        images = batch.detach().to(device)
        request = replace(request, max_batch=batch_bound(images, max_batch))
        network = _network(model)
        where = batch.device
        return explained(network, images, explainers, layers, request, size=size, device=where)
    if isinstance(batch, str) or not isinstance(batch, Sequence | Mapping):
        raise TypeError(
            "batch must be a tensor of images, or a tuple or mapping of tensors for a model of "
            f"several inputs, but is {type(batch).__name__}"
        )
    inputs = Inputs.of(batch)
    largest = max(inputs.tensors.values(), key=lambda one: one.shape[2:].numel())
    request = replace(request, max_batch=batch_bound(largest, max_batch))
    return explain_inputs(
        model, inputs.on(device), explainers, layers, request, size=size, device=largest.device
    )


def _network(model: nn.Module | Callable[..., object]) -> Network:
    if isinstance(model, nn.Module):
        return Network(forward=model, module=model, name=type(model).__name__)
    return Network(forward=model, module=None, name="this callable")


def _device(model: object) -> torch.device | None:
    """Where the model is; `None` for what does not say.

    Raises:
        TypeError: Nothing that can be called.
    """
    if not callable(model):
        raise TypeError(
            f"model must be a torch module or a callable, but is {type(model).__name__}"
        )
    tensors = [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []
    return tensors[0].device if tensors else None


def _check_batch(batch: Tensor) -> None:
    if not batch.is_floating_point():
        raise TypeError(
            f"batch must hold floating-point numbers as the model takes them, but is {batch.dtype}"
        )
    if batch.ndim < 4 or batch.numel() == 0:
        raise ValueError(
            "batch must be (batch, channel, row, column) or (batch, channel, slice, row, column) "
            f"with at least one image, but its shape is {tuple(batch.shape)}"
        )
    if not bool(batch.isfinite().all()):
        raise ValueError("batch holds values that are not finite (NaN or infinity)")


def _check_settings(head: object, layers: object, size: object, precision: object) -> None:
    if head not in get_args(Head):
        known = ", ".join(get_args(Head))
        raise ValueError(f"head must be one of {known}, but is {head!r}; identity is a regression")
    if not isinstance(layers, None | str | nn.Module | Sequence):
        raise TypeError(f"layers must be a name, a module or a list of these, but is {layers!r}")
    if size not in (None, "input"):
        raise ValueError(f'size must be None (native grids) or "input", but is {size!r}')
    if precision not in (None, "float32", "bf16"):
        raise ValueError(f'precision must be "float32" or "bf16", but is {precision!r}')


def _check_numbers(seed: object, max_batch: object, progress: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, but is {seed!r}")
    if isinstance(max_batch, bool) or not isinstance(max_batch, int) or max_batch < 1:
        raise ValueError(f"max_batch must be a number from 1 on, but is {max_batch!r}")
    if progress is not None and not callable(progress):
        raise TypeError(
            f"progress must be called with the probes done and planned, but is {progress!r}"
        )
