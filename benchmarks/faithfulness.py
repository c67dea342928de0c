"""Removal curves against the bare forward passes that they need, and against Quantus.

Quantus needs an older NumPy and so an environment of its own; where it is missing it is left out.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from benchmarks.timing import ratios, show
from foveal.explainers.request import MAX_BATCH
from foveal.measures import aopc, deletion_auc, insertion_auc, removal_curves, srg
from foveal.models import Model, load
from foveal.run import LEVELS
from foveal.run.measuring import Asking, Yardstick
from foveal.run.one_image import Look, look
from foveal.run.perturbing import PERTURBING, PerturbedMap
from foveal.run.placing import place_of
from foveal.run.plan import RANDOM
from foveal.synthetic import cohort
from tools import torchvision_operators  # noqa: F401 (torchvision can be imported after this)

_IMAGES, _PASSES, _STEPS = 8, 26, 32
_EXPLAINERS = 6
_BOUNDS = {"foveal: deletion, insertion, AOPC, SRG": 1.10}
_MOST_PASSES = 1.3


def main() -> bool:
    """Print the tables; true when every promise is kept."""
    model = _resnet18()
    seen = [look(model, eye.image, eye.regions) for eye in cohort(_IMAGES, 0)]
    threads = torch.get_num_threads()
    print(f"resnet18, {_IMAGES} images at 224, {_PASSES} passes each, {threads} threads")
    calls = {
        "bare forward passes": lambda: _bare(model, seen, _PASSES),
        "foveal: deletion, insertion, AOPC, SRG": lambda: _curves(seen),
    }
    kept = show(ratios(calls, rounds=5), _BOUNDS)
    peer = _quantus(model, seen)
    if peer:
        print(f"one deletion curve of {_STEPS} steps, the same images")
        own = {
            "bare forward passes": lambda: _bare(model, seen, _STEPS + 1),
            "foveal": lambda: _one_curve(seen),
        }
        show(ratios({**own, **peer}, rounds=3), {})
    return _counted(max(seen, key=_lesions)) and kept


def _resnet18() -> Model:
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    card = {
        "name": "resnet18",
        "task": "multiclass",
        "classes": [f"class {number}" for number in range(1000)],
        "input": {"size": [224, 224], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    return load(card, module=network)


def _bare(model: Model, seen: list[Look], passes: int) -> None:
    batch = seen[0].bound(MAX_BATCH)
    with torch.inference_mode():
        for one in seen:
            probes = one.pixels.repeat(batch, 1, 1, 1).contiguous(memory_format=torch.channels_last)
            for first in range(0, passes, batch):
                model.module(probes[: min(batch, passes - first)])


def _asking(one: Look) -> Asking:
    return Asking(one, one.model.target("predicted"), Yardstick(names=("srg",)))


def _curves(seen: list[Look]) -> None:
    for one in seen:
        by = _asking(one).perturbing(place_of(one.image, one.field.mask, ()))
        ask, settings = (by.score, by.image, _map(one)), by.curve_settings("blur")
        made = removal_curves(*ask, field=by.field, subject=by.subject("blur"), **settings)
        for measure in (deletion_auc, insertion_auc, aopc, srg):
            measure(*ask, curves=made, **settings)


def _one_curve(seen: list[Look]) -> None:
    """Deletion to black in even steps; half of the passes of both curves are the other one's."""
    for one in seen:
        asking = _asking(one)
        fractions = tuple(step / (_STEPS // 2) for step in range(_STEPS // 2 + 1))
        batch = one.bound(MAX_BATCH)
        deletion_auc(asking.score, asking.image, _map(one), baseline="black", fractions=fractions,
                     max_batch=batch)  # fmt: skip


def _map(one: Look) -> np.ndarray:
    return one.image.pixels.mean(axis=0)


def _quantus(model: Model, seen: list[Look]) -> Mapping[str, Callable[[], object]]:
    try:
        import quantus
    except ImportError:
        return {}
    images = np.concatenate([one.pixels.numpy() for one in seen])
    maps = np.stack([_map(one)[None] for one in seen])
    labels = np.zeros(len(seen), int)
    metric = quantus.PixelFlipping(
        features_in_step=224 * 224 // _STEPS, perturb_baseline="black", disable_warnings=True
    )
    ask = {"x_batch": images, "y_batch": labels, "a_batch": maps, "device": "cpu"}
    return {"Quantus: PixelFlipping": lambda: metric(model=model.module, **ask)}


def _counted(one: Look) -> bool:
    """Passes of the level `standard` for several maps of one image, against what its measures cost.

    After caching a map needs 26 for its curves under each of three baselines, 21 for its drop at
    each of two sizes and 1 for what is kept; the image each patch alone, 100 random sets, 21 for
    the drop of its lesions, and the curves of all controls under each baseline.
    """
    orders, regions = RANDOM["standard"]
    names = LEVELS["standard"]
    yardstick = Yardstick(names=names, random_orders=orders, random_regions=regions)
    asking = Asking(one, one.model.target("predicted"), yardstick)
    place = place_of(one.image, one.field.mask, one.regions)
    sent: list[int] = []

    def score(batch: torch.Tensor) -> torch.Tensor:
        sent.append(len(batch))
        return asking.score(batch)

    by = asking.perturbing(place)
    by.score = score
    random = np.random.default_rng(0)
    maps = [PerturbedMap(by, n, random.random(place.field.shape)) for n in range(_EXPLAINERS)]
    for made in maps:
        for name in names:
            if name in PERTURBING:
                list(PERTURBING[name](made))
    lesions = _lesions(one) > 0
    patches = by.effects.patches.count
    controls = 3 * 24 * (orders + 3 + lesions)
    needed = _EXPLAINERS * (3 * _PASSES + 21 * (1 + lesions) + 1) + patches + 100 + 21 * lesions
    needed += controls
    ratio = sum(sent) / needed
    kept = ratio <= _MOST_PASSES
    print(f"level standard, {_EXPLAINERS} maps of one image: {sum(sent)} passes to perturb it,")
    print(
        f"  {controls} of them for controls; {needed} needed: ratio {ratio:.2f}, "
        f"promised: at most {_MOST_PASSES}{'' if kept else '  BROKEN'}; "
        f"of {needed - controls} needed without controls: {sum(sent) / (needed - controls):.2f}"
    )
    return kept


def _lesions(one: Look) -> int:
    return sum(region.kind == "lesion" and bool(region.mask.any()) for region in one.regions)
