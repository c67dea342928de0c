"""Fused attention computed in its explicit form, so that its weights can be seen."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from math import prod
from types import FunctionType
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SOFTMAX = frozenset({F.softmax, torch.softmax, Tensor.softmax, torch.special.softmax})
_CONVOLUTIONS = frozenset({torch.conv2d, torch.conv3d})
_MULTI_HEAD = signature(F.multi_head_attention_forward)


def _opened(function: object) -> FunctionType:
    """A function of torch's own whose inside a mode can see.

    It is the same code without its question whether a mode is there, to which it would be handed
    over again and again.
    """
    inside = cast(FunctionType, function)
    names = {**inside.__globals__, "has_torch_function": lambda _: False}
    return FunctionType(inside.__code__, names, argdefs=inside.__defaults__)


_OPEN_MULTI_HEAD = _opened(F.multi_head_attention_forward)
_OPEN_GRAD = _opened(torch.autograd.grad)


class ExplicitAttention(TorchFunctionMode):
    """Shows the attention weights of whatever runs meanwhile.

    `F.scaled_dot_product_attention` and `F.multi_head_attention_forward` (of
    `nn.MultiheadAttention`, whose fused path torch itself leaves under such a mode) are computed
    as softmax(q k^T / sqrt(d)) v; what else a softmax gives is shown as it is. No part and no
    setting of the model is touched.

    Args:
        saw: Called with the weights of fused attention, (..., query, key); what it returns goes on.
        saw_softmax: Called with what a softmax gives, and the axis that sums to one; what it
            returns goes on.
        saw_places: Called with the first axis and the number of places of what linear and
            convolutional layers give.
    """

    def __init__(
        self,
        *,
        saw: Callable[[Tensor], Tensor],
        saw_softmax: Callable[[Tensor, int], Tensor],
        saw_places: Callable[[int, int], None] = lambda first_axis, places: None,
    ) -> None:
        super().__init__()
        self.saw = saw
        self.saw_softmax = saw_softmax
        self.saw_places = saw_places
        self.last = torch.empty(0)
        """The weights of the attention that was computed last."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        if func is F.multi_head_attention_forward:
            return self._multi_head(*args, **kwargs)
        if func is torch.autograd.grad:  # checkpointed blocks run again, and must run alike
            with self:
                return _OPEN_GRAD(*args, **kwargs)
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor):
            return result
        if func in _SOFTMAX:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if isinstance(axis, int):
                return self.saw_softmax(result, axis % result.ndim)
        elif func is F.linear and result.ndim > 2:
            self.saw_places(len(result), prod(result.shape[1:-1]))
        elif func in _CONVOLUTIONS:
            self.saw_places(len(result), prod(result.shape[2:]))
        return result

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:  # several heads of queries share one head of keys and values
            heads = query.shape[-3]
            key = key.repeat_interleave(heads // key.shape[-3], dim=-3)
            value = value.repeat_interleave(heads // value.shape[-3], dim=-3)
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        scores = (query * factor) @ key.transpose(-2, -1)
        self.last = weights = self.saw(_softmax(scores, attn_mask, is_causal))
        return F.dropout(weights, dropout_p) @ value if dropout_p else weights @ value

    def _multi_head(self, *args: object, **kwargs: object) -> tuple[Tensor, Tensor | None]:
        given = _MULTI_HEAD.bind(*args, **kwargs)
        given.apply_defaults()
        settings = given.arguments
        asked, settings["need_weights"] = settings["need_weights"], False
        with self:
            output, _ = _OPEN_MULTI_HEAD(*given.args, **given.kwargs)
        if not asked:
            return output, None
        weights = self.last.mean(dim=1) if settings["average_attn_weights"] else self.last.clone()
        return output, weights if settings["query"].ndim == 3 else weights[0]


def _softmax(scores: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
    """Weights that sum to one, or to zero for a token that may look nowhere, as torch has it."""
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is None:
        return scores.softmax(dim=-1)
    allowed = mask.dtype == torch.bool
    scores = scores.masked_fill(~mask, -torch.inf) if allowed else scores + mask
    nowhere = (scores == -torch.inf).all(dim=-1, keepdim=True)
    return scores.softmax(dim=-1).masked_fill(nowhere, 0)
