"""Deletion and insertion against the bare forward passes that they need."""

import torch

from benchmarks.timing import ratios, show
from foveal.explainers.request import MAX_BATCH
from foveal.measures import deletion_auc, insertion_auc, removal_curves
from foveal.models import load
from foveal.run.measuring import Yardstick, measuring
from foveal.run.one_image import look
from foveal.synthetic import fundus
from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_PASSES = 26
_BOUNDS = {"foveal: deletion and insertion": 1.10}


def main() -> bool:
    """Print the table; true when every promise is kept."""
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    card = {
        "name": "resnet18",
        "task": "multiclass",
        "classes": [f"class {number}" for number in range(1000)],
        "input": {"size": [224, 224], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    model = load(card, module=network)
    seen = look(model, fundus(1).image)
    by = measuring(seen, model.target("predicted"), Yardstick(names=("deletion_auc",)))
    saliency = seen.image.pixels.mean(axis=0)
    batch = seen.bound(MAX_BATCH)
    channels_last = seen.pixels.repeat(batch, 1, 1, 1).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.inference_mode():
            for first in range(0, _PASSES, batch):
                network(channels_last[: min(batch, _PASSES - first)])

    def curves() -> None:
        asking = by.asking
        settings = asking.curve_settings
        made = removal_curves(asking.score, asking.image, saliency, field=by.field, **settings)
        for measure in (deletion_auc, insertion_auc):
            measure(asking.score, asking.image, saliency, curves=made, **settings)

    print(f"resnet18, one image at 224, {_PASSES} passes, {torch.get_num_threads()} threads")
    found = ratios({"bare forward passes": bare, "foveal: deletion and insertion": curves})
    return show(found, _BOUNDS)
