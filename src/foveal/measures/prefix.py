"""A network up to its first dropout, run once; every further pass starts from there.

A module that was done before the first dropout began gives the same output in every pass, so it
gives a copy of it instead of running again. What a network does between its modules runs again.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn


class _ReachedError(Exception):
    """The first dropout begins; never seen outside."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One finished run of a module on a single image."""

    module: nn.Module
    output: Tensor


@dataclass(kw_only=True)
class _Recorder:
    """The calls that are done, below each call that is not."""

    open: list[list[Call]] = field(default_factory=lambda: [[]])

    def began(self, module: nn.Module, inputs: object) -> None:
        self.open.append([])

    def ended(self, module: nn.Module, inputs: object, output: object) -> None:
        inner = self.open.pop()
        # A module that writes into its input must run again: its caller may never look at the
        # output. One that gives no rows of images cannot be repeated for more images.
        if isinstance(output, Tensor) and _one_row(output) and not getattr(module, "inplace", None):
            inner = [Call(module=module, output=output.detach().clone())]
        self.open[-1].extend(inner)

    def reached(self, module: nn.Module, inputs: object) -> None:
        raise _ReachedError

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(call for level in self.open for call in level)


def shared_prefix(
    forward: Callable[[Tensor], object],
    module: nn.Module,
    stops: Sequence[nn.Module],
    image: Tensor,
) -> tuple[Call, ...] | None:
    """The outermost modules that are done before the first of `stops` begins, in their order.

    Args:
        forward: From a batch of images to the output.
        module: Its network.
        stops: Where passes begin to differ.
        image: A batch of one.

    Returns:
        `None` where none of `stops` runs.
    """
    recorder = _Recorder()
    with ExitStack() as hooks:
        for part in module.modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue  # it takes no hooks
            if part in stops:
                handle = part.register_forward_pre_hook(recorder.reached, prepend=True)
            else:
                handle = part.register_forward_pre_hook(recorder.began, prepend=True)
                hooks.callback(part.register_forward_hook(recorder.ended).remove)
            hooks.callback(handle.remove)
        try:
            forward(image)
        except _ReachedError:
            return recorder.calls
    return None


@contextmanager
def replayed(calls: Sequence[Call], copies: int) -> Generator[None]:
    """For one pass of so many copies of the image, modules give what they gave before."""
    answers: dict[nn.Module, list[Tensor]] = {}
    for call in calls:
        answers.setdefault(call.module, []).append(call.output)
    own = {module: module.__dict__.get("forward") for module in answers}
    try:
        for module, outputs in answers.items():
            module.forward = partial(_answer, iter(outputs), copies, module.forward)
        yield
    finally:
        for module, forward in own.items():
            del module.forward
            if forward is not None:
                module.forward = forward


def _answer(
    outputs: Iterator[Tensor],
    copies: int,
    run: Callable[..., object],
    *inputs: object,
    **named: object,
) -> object:
    """The next known output; a module that is called more often than before runs."""
    known = next(outputs, None)
    if known is None:
        return run(*inputs, **named)
    return known.expand(copies, *known.shape[1:]).clone(memory_format=torch.preserve_format)


def _one_row(output: Tensor) -> bool:
    return output.ndim > 0 and len(output) == 1
