"""Occlusion against its bare forward passes, and its map against the map of whole passes."""

import warnings
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

import foveal
from foveal.explainers import Occlusion, covering
from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_WINDOWS = 225
_BARE = 9
"""Bare passes that are timed, right before and right after each map."""
_BOUNDS = {224: 1.0, 512: 0.5, 1024: 0.25}
_WHOLE = 256
"""The largest side at which the map is made from whole passes too."""
_CLOSE = 1e-5


def main() -> bool:
    """Print the table; true when every promise is kept."""
    import torchvision

    kept = True
    for name in ("resnet18", "resnet50"):
        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
        for side, bound in _BOUNDS.items():
            image = torch.rand(1, 3, side, side)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ratio, share = _ratio(model, image)
            broken = ratio > bound
            print(
                f"{name} at {side}: {ratio:.2f} of {_WINDOWS} bare forward passes "
                f"({share:.0%} of their multiplications), promised: at most {bound:.2f}"
                f"{'  BROKEN' if broken else ''}",
                flush=True,
            )
            kept = kept and not broken
            if side <= _WHOLE:
                difference = _difference(model, image)
                print(f"  largest difference from whole passes, by the score: {difference:.1e}")
                kept = kept and difference <= _CLOSE
    return kept


def _ratio(model: nn.Module, image: Tensor) -> tuple[float, float]:
    """The time of a map by that of its bare passes, one image at a time, channels last."""
    given = image.contiguous(memory_format=torch.channels_last)
    bare = [_bare(model, given)]
    started = perf_counter()
    made = foveal.attribute(model, image, "occlusion", target=0)
    seconds = perf_counter() - started
    bare.append(_bare(model, given))
    share = made.info["occlusion"].parts["computed_share"]
    return seconds / (_WINDOWS * median(bare)), float(share)  # type: ignore[arg-type]


@torch.no_grad()
def _bare(model: nn.Module, image: Tensor) -> float:
    """Seconds a pass."""
    seconds = []
    for _ in range(_BARE):
        started = perf_counter()
        model(image)
        seconds.append(perf_counter() - started)
    return median(seconds)


def _difference(model: nn.Module, image: Tensor) -> float:
    made = foveal.attribute(model, image, Occlusion(), target=0)
    least, covering._LEAST_WINDOWS = covering._LEAST_WINDOWS, 10**9  # pyright: ignore[reportPrivateUsage]
    try:
        whole = foveal.attribute(model, image, Occlusion(), target=0)
    finally:
        covering._LEAST_WINDOWS = least  # pyright: ignore[reportPrivateUsage]
    score = float(whole.info["occlusion"].scores.abs().max())
    return float((made["occlusion"] - whole["occlusion"]).abs().max()) / score
