"""Maps against those of other packages where these follow the same definition.

`pip install -r benchmarks/requirements.txt` installs the others; what is missing is left out.
"""

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import foveal
from foveal.explainers import IntegratedGradients, Occlusion
from foveal.explainers.grid import resize
from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_LAYER, _SIDE, _TARGET = "layer4", 96, 3
_TOLERANCE = 1e-3
"""Largest difference as a share of the other map's largest value."""

Row = tuple[str, str, Callable[[], Tensor], Callable[[], Tensor]]


def main() -> bool:
    """Print the table; true when every pair agrees."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    for part in model.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False  # Captum and pytorch-grad-cam ask for it
    batch = torch.rand(2, 3, _SIDE, _SIDE)
    print(f"resnet18, random weights, two images at {_SIDE}: largest difference, relative")
    kept = True
    for name, peer, ours, theirs in (*_captum(model, batch), *_grad_cam(model, batch)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            difference = _difference(ours(), theirs())
        kept = kept and difference < _TOLERANCE
        print(f"  {name:24} {peer:18} {difference:.1e}{'' if difference < _TOLERANCE else '  !'}")
    return kept


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _ours(model: nn.Module, batch: Tensor, method: object) -> Tensor:
    maps = foveal.attribute(model, batch, method, target=_TARGET, layers=_LAYER)  # type: ignore[arg-type]
    (values,) = maps.values()
    return values


def _captum(model: nn.Module, batch: Tensor) -> Iterator[Row]:
    try:
        from captum import attr
    except ImportError:
        return
    layer = model.get_submodule(_LAYER)

    def row(name: str, method: object, theirs: Callable[[], Tensor]) -> Row:
        return name, "Captum", lambda: _ours(model, batch, method), lambda: theirs().detach()

    def asked(attribution: type, **settings: object) -> Callable[[], Tensor]:
        made = attribution(model)
        return lambda: made.attribute(batch, target=_TARGET, **settings)

    yield row("Grad-CAM", "gradcam", lambda: attr.LayerGradCam(model, layer).attribute(
        batch, target=_TARGET, attr_dim_summation=True)[:, 0])  # fmt: skip
    yield row("vanilla gradient", "saliency", asked(attr.Saliency, abs=False))
    yield row("input x gradient", "inputxgradient", asked(attr.InputXGradient))
    yield row("integrated gradients", IntegratedGradients(steps=200), asked(
        attr.IntegratedGradients, n_steps=200))  # fmt: skip
    window = (3, 24, 24)
    occlusion = attr.Occlusion(model)
    yield row("occlusion", Occlusion(window=24, stride=24), lambda: occlusion.attribute(
        batch, window, strides=window, target=_TARGET)[:, 0])  # fmt: skip
    yield row("guided backpropagation", "guidedbackprop", asked(attr.GuidedBackprop))
    yield row("deconvolution", "deconvolution", asked(attr.Deconvolution))
    guided = attr.GuidedGradCam(model, layer)
    yield row("Guided Grad-CAM", "guidedgradcam", lambda: guided.attribute(
        batch, target=_TARGET, interpolate_mode="bilinear"))  # fmt: skip


def _grad_cam(model: nn.Module, batch: Tensor) -> Iterator[Row]:
    """Its maps are rectified, scaled to [0, 1] and enlarged: so are ours here."""
    try:
        import pytorch_grad_cam as peer
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        return
    layer = model.get_submodule(_LAYER)
    targets = [ClassifierOutputTarget(_TARGET)] * len(batch)
    names = {"gradcam": "GradCAM", "hirescam": "HiResCAM", "xgradcam": "XGradCAM",
             "layercam": "LayerCAM"}  # fmt: skip

    def drawn(method: str) -> Tensor:
        return _scaled(resize(_scaled(_ours(model, batch, method).clamp(min=0)), batch.shape[2:]))

    def theirs(name: str) -> Tensor:
        with getattr(peer, name)(model=model, target_layers=[layer]) as cam:
            return torch.as_tensor(cam(input_tensor=batch, targets=targets))

    for method, name in names.items():
        yield (
            name,
            "pytorch-grad-cam",
            lambda method=method: drawn(method),
            lambda name=name: theirs(name),
        )


def _scaled(maps: Tensor) -> Tensor:
    flat = maps.flatten(1)
    low, high = flat.amin(dim=1), flat.amax(dim=1)
    return (maps - low[:, None, None]) / (high - low)[:, None, None].clamp(min=1e-12)
