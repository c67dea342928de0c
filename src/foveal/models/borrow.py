"""Models are borrowed, and given back exactly as they were."""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def borrowed(module: nn.Module | None, seed: int = 0) -> Generator[None]:
    """The model in eval mode without parameter gradients; given back as it was, whatever happens.

    Training flags, `requires_grad`, buffers and the random state are restored; hooks belong to
    the passes, which remove their own, and `.grad` is never touched.
    """
    if module is None:
        yield
        return
    modes = [(part, part.training) for part in module.modules()]
    # Tensors made in inference mode take no gradients, and no requires_grad back outside of it.
    wanted = [(p, p.requires_grad) for p in module.parameters() if not p.is_inference()]
    buffers = [
        (part, name, buffer, buffer.detach().clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    cuda = torch.cuda.is_initialized()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if cuda else ()):
        # Seeding reaches every device, so every device's random state is kept.
        (torch if cuda else torch.default_generator).manual_seed(seed)
        try:
            for part, _ in modes:
                part.training = False
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            yield
        finally:
            for part, training in modes:
                part.training = training
            for parameter, requires in wanted:
                parameter.requires_grad_(requires)
            with torch.no_grad():
                for part, name, buffer, before in buffers:
                    if getattr(part, name, None) is not buffer:
                        setattr(part, name, buffer)
                    if not torch.equal(buffer, before):
                        buffer.copy_(before)
