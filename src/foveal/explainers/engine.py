"""Sends the probes that explainers plan, one shared pass where they can share, and folds."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from foveal.core import FovealWarning, ModelError
from foveal.explainers.chunk import Chunk, grid_layout
from foveal.explainers.passes import Passes
from foveal.explainers.request import Outcome, Request, Task, joined
from foveal.explainers.watching import Network, Watch
from foveal.models.borrow import borrowed
from foveal.models.targets import as_sequence

_CPU_PIXELS = 2**19
"""More pixels in one pass make a CPU slower: what layers give no longer fits its caches, and the
allocator returns such large blocks to the system after each layer."""


def batch_bound(images: Tensor, max_batch: int) -> int:
    """Images like these in one pass: `max_batch`, on a CPU fewer if they are large."""
    if images.device.type != "cpu":
        return max_batch
    return max(1, min(max_batch, _CPU_PIXELS // max(1, images.shape[2:].numel())))


def explain_batch(
    network: Network, images: Tensor, tasks: Mapping[str, Task], request: Request
) -> dict[str, Outcome]:
    """The raw maps of every task for a batch of images.

    The batch is cut into chunks of at most `max_batch` images. All tasks share one forward and at
    most one backward over a chunk; the further probes of each task fill passes of at most
    `max_batch` images. When memory runs out the bound is halved, with a warning.

    Raises:
        ModelError: The model cannot give what a method needs, or does not fit into memory.
        ValueError: A target that does not fit the model or the batch.
    """
    passes = Passes(network, precision=request.precision)
    targets = as_sequence(request.target)
    if targets is not None and len(targets) != len(images):
        raise ValueError(
            f"got {len(targets)} targets for {len(images)} images; give one, or one each"
        )
    chunks: list[dict[str, Outcome]] = []
    bound, start = request.max_batch, 0
    with borrowed(network.module, request.seed):
        examples = {key: _examples(passes, task, request, images) for key, task in tasks.items()}
        while start < len(images):
            end = min(start + bound, len(images))
            chunk = Chunk(passes, images, tasks, request, bound, slice(start, end), examples)
            try:
                chunks.append(chunk.explain())
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                bound = _halved(bound, network, error)
            else:
                start = end
    return {key: joined([chunk[key] for chunk in chunks], tasks[key]) for key in tasks}


def _examples(passes: Passes, task: Task, request: Request, images: Tensor) -> dict[str, Tensor]:
    """The activations of a method's own examples at its layers, sent as the images are."""
    examples = task.explainer.examples
    if examples is None:
        return {}
    watches = [Watch(layer) for layer in task.layers]
    found: dict[str, list[Tensor]] = {layer: [] for layer in task.layers}
    modules = passes.network.parts()
    for own in examples.split(request.max_batch):
        part = own.to(images.device, images.dtype)
        beside = tuple(one[:1].expand(len(part), *one.shape[1:]) for one in request.beside)
        no_score = part.new_zeros(len(part))
        sight = passes.send(part, lambda _, s=no_score: s, watches=watches, beside=beside)
        for watch, activation in sight.activations.items():
            layout = grid_layout(watch.layer, modules[watch.layer], activation, part)
            found[watch.layer].append(layout.to_grid(activation).float())
    return {layer: torch.cat(parts) for layer, parts in found.items()}


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or (
        "can't allocate memory" in text or "out of memory" in text
    )


def _halved(bound: int, network: Network, error: RuntimeError) -> int:
    if bound == 1:
        raise ModelError(
            f"{network.name} does not fit into memory with a single image; use a smaller input "
            "size or a machine with more memory"
        ) from error
    warnings.warn(
        f"out of memory with {bound} images in one pass; going on with {bound // 2} "
        "(max_batch sets the bound)",
        FovealWarning,
        stacklevel=3,
    )
    return bound // 2
