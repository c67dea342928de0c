"""CAMs against the user's plain forward pass: contiguous float32, batch 8 at 224 pixels."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import foveal
from benchmarks.timing import ratios, show
from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_SEVEN = [
    *("gradcam", "gradcam++", "xgradcam", "hirescam", "layercam"),
    *("eigencam", "eigengradcam"),
]
_LAYERS = {"resnet50": "layer4", "densenet121": "features.norm5"}
_BOUNDS = {"foveal: Grad-CAM": 0.95, "foveal: seven CAMs": 1.10}


def main() -> bool:
    """Print the table; true when every promise is kept."""
    import torchvision

    kept = True
    for name, layer in _LAYERS.items():
        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None).eval()
        batch = torch.rand(8, 3, 224, 224)
        print(f"{name}, batch 8 at 224, {torch.get_num_threads()} threads")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ratios(_calls(model, batch, layer))
        kept = show(found, _BOUNDS) and kept
    return kept


def _calls(model: nn.Module, batch: Tensor, layer: str) -> dict[str, Callable[[], object]]:
    def plain() -> None:
        with torch.no_grad():
            model(batch)

    calls: dict[str, Callable[[], object]] = {
        "plain forward": plain,
        "foveal: Grad-CAM": lambda: foveal.attribute(model, batch, "gradcam", layers=layer),
        "foveal: seven CAMs": lambda: foveal.attribute(model, batch, _SEVEN, layers=layer),
        "foveal: Grad-CAM, bf16": lambda: foveal.attribute(
            model, batch, "gradcam", layers=layer, precision="bf16"
        ),
    }
    return calls | _peers(model, batch, layer)


def _peers(model: nn.Module, batch: Tensor, layer: str) -> dict[str, Callable[[], object]]:
    """The same map by other packages, as far as they are installed."""
    part = model.get_submodule(layer)
    found: dict[str, Callable[[], object]] = {}
    try:
        from captum.attr import LayerGradCam
    except ImportError:
        pass
    else:
        captum = LayerGradCam(model, part)
        classes = model(batch).argmax(dim=1)
        found["Captum: Grad-CAM"] = lambda: captum.attribute(batch, classes)
    try:
        from pytorch_grad_cam import GradCAM
    except ImportError:
        pass
    else:
        jacobgil = GradCAM(model=model, target_layers=[part])
        found["pytorch-grad-cam: Grad-CAM"] = lambda: jacobgil(batch, None)
    try:
        from torchcam.methods import GradCAM as TorchCAM
    except ImportError:
        pass
    else:
        frgfm = TorchCAM(model, layer)

        def torchcam() -> object:
            scores = model(batch)
            return frgfm(scores.argmax(dim=1).tolist(), scores)

        found["torch-cam: Grad-CAM"] = torchcam
    return found
