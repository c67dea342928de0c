"""Methods that send probes, against their bare passes in the fastest exact layout."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import foveal
from benchmarks.timing import ratios, show
from foveal.explainers import RISE, IntegratedGradients, ScoreCAM
from foveal.models.folding import folded
from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_CHANNELS, _MASKS, _STEPS, _BATCH = 48, 48, 32, 8
_MANY = 512
"""Masks for half precision: its first 32 are sent in both precisions, to compare their ranks."""
_BOUNDS = {
    "foveal: Score-CAM": 1.10,
    "foveal: RISE": 1.10,
    "foveal: integrated gradients": 1.05,
}


def main() -> bool:
    """Print the tables; true when every promise is kept."""
    import torchvision

    kept = True
    for name, layer in {"resnet50": "layer4", "densenet121": "features.norm5"}.items():
        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
        image = torch.rand(1, 3, 224, 224)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            print(f"{name}, one image at 224, {torch.get_num_threads()} threads")
            kept = show(ratios(_forward_only(model, image, layer), rounds=5), _BOUNDS) and kept
            kept = show(ratios(_path(model, image), rounds=5), _BOUNDS) and kept
            show(ratios(_half(model, image), rounds=2), {})
    return kept


def _forward_only(model: nn.Module, image: Tensor, layer: str) -> dict[str, Callable[[], object]]:
    methods = {
        "foveal: Score-CAM": ScoreCAM(top=_CHANNELS),
        "foveal: RISE": RISE(masks=_MASKS),
    }
    calls = {
        name: lambda method=method: foveal.attribute(
            model, image, method, layers=layer, max_batch=_BATCH
        )
        for name, method in methods.items()
    }
    return {f"{_CHANNELS} bare forward passes": _bare(model, image, _CHANNELS), **calls}


def _half(model: nn.Module, image: Tensor) -> dict[str, Callable[[], object]]:
    return {
        f"{_MANY} bare forward passes": _bare(model, image, _MANY),
        "foveal: RISE, bf16": lambda: foveal.attribute(
            model, image, RISE(masks=_MANY), max_batch=_BATCH, precision="bf16"
        ),
    }


def _bare(model: nn.Module, image: Tensor, passes: int) -> Callable[[], None]:
    batch = image.expand(_BATCH, -1, -1, -1).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.no_grad(), folded(model, image, model):
            for _ in range(passes // _BATCH):
                model(batch)

    return bare


def _path(model: nn.Module, image: Tensor) -> dict[str, Callable[[], object]]:
    method = IntegratedGradients(steps=_STEPS)

    def bare() -> None:
        with folded(model, image, model):
            for _ in range(_STEPS // _BATCH):
                batch = image.expand(_BATCH, -1, -1, -1).contiguous(
                    memory_format=torch.channels_last
                )
                batch.requires_grad_()
                torch.autograd.grad(model(batch)[:, 0].sum(), batch)
            with torch.no_grad():
                model(batch[:2])  # the image and the baseline: without them there is no remainder

    calls: dict[str, Callable[[], object]] = {
        f"{_STEPS} bare forward and backward passes, and 2 forward": bare,
        "foveal: integrated gradients": lambda: foveal.attribute(
            model, image, method, target=0, max_batch=_BATCH
        ),
    }
    try:
        from captum.attr import IntegratedGradients as Captum
    except ImportError:
        return calls
    captum = Captum(model)
    calls["Captum: integrated gradients"] = lambda: captum.attribute(
        image, target=0, n_steps=_STEPS, internal_batch_size=_BATCH
    )
    return calls
