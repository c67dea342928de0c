"""What each method takes of memory for one image of 1536 x 1536, with one image in a pass.

Each runs in a process of its own, whose peak is set against that of a plain forward and backward
pass. The methods that send probes send few: they go one after the other, so that their number
changes nothing.
"""

import resource
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_SIDE = 1536
_BOUND = 1.5
_ELSEWHERE = ("attention", "rollout", "chefer", "tcav")
"""For transformers, and for concepts."""


def main() -> bool:
    """Print the table; true when no method takes more than is promised."""
    from foveal import methods

    plain = _peak("")
    print(f"resnet18, one image at {_SIDE}: a plain forward and backward pass takes {plain:.0f} MB")
    kept = True
    for name in [m.name for m in methods() if m.name not in _ELSEWHERE]:
        ratio = _peak(name) / plain
        broken = ratio > _BOUND
        kept = kept and not broken
        promise = f"promised: at most {_BOUND:.2f}{'  BROKEN' if broken else ''}"
        print(f"  {name:24} {ratio:5.2f}  {promise}", flush=True)
    return kept


def _peak(method: str) -> float:
    """Most megabytes that a fresh process held for one map; for a plain pass without a name."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, method).result()


def _run(method: str) -> float:
    import torch
    import torchvision

    import foveal

    torch.set_num_threads(2)
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    image = torch.rand(1, 3, _SIDE, _SIDE)
    if not method:
        torch.autograd.grad(model(image.requires_grad_())[:, 0].sum(), image)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = "layer1" if method == "ablationcam" else None  # 64 channels, not 512
            foveal.attribute(model, image, _few(method), layers=few, target=0, max_batch=1)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _few(method: str) -> object:
    import torch

    from foveal import explainers

    dark = torch.zeros(2, 3, _SIDE, _SIDE)
    settings: dict[str, dict[str, object]] = {
        "Occlusion": {"window": 192, "stride": 192},
        "RISE": {"masks": 4},
        "LIME": {"samples": 8, "superpixels": 16},
        "KernelSHAP": {"samples": 8, "superpixels": 16},
        "XRAI": {"steps": 4},
        "IntegratedGradients": {"steps": 4},
        "ExpectedGradients": {"reference": dark, "samples": 4},
        "SmoothGrad": {"samples": 4},
        "SquareGrad": {"samples": 4},
        "VarGrad": {"samples": 4},
        "SmoothGradCAMPlusPlus": {"samples": 4},
        "ScoreCAM": {"top": 4},
    }
    few = {getattr(explainers, name): own for name, own in settings.items()}
    return next((kind(**own) for kind, own in few.items() if kind.name == method), method)
