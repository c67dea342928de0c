"""Every method on every architecture: it works, or is refused as the documentation says."""

import tomllib
from pathlib import Path

import pytest
import torch
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from captum.attr import Saliency
from torch import Tensor
from zoo import ZOO, Animal

import foveal
from foveal.core import ModelError
from foveal.explainers import (
    LIME,
    RISE,
    TCAV,
    XRAI,
    AblationCAM,
    AbstractExplainer,
    Captum,
    ExpectedGradients,
    IntegratedGradients,
    KernelSHAP,
    Occlusion,
    ScoreCAM,
    SmoothGrad,
    SmoothGradCAMPlusPlus,
    SquareGrad,
    VarGrad,
    methods,
)

TABLE = tomllib.loads(
    (Path(__file__).parents[2] / "docs" / "methods-by-models.toml").read_text(encoding="utf-8")
)
PIXELS = "the input's, with channels"
GRIDS = {"captum-saliency": PIXELS, **{method.name: method.grid for method in methods()}}
"""What the map of each method is on, and of one that comes from Captum."""
MAYBE_EMPTY = ["guidedgradcam", "guidedgradcam++", "lime"]
"""Products with a map that may be negative everywhere, and a fit to differences in probability."""

pytestmark = [
    # Negative activations, and the choice of a layer in networks that score every pixel.
    pytest.mark.filterwarnings("ignore::foveal.core.FovealWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:captum"),
]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch):
    """XRAI cuts every plane at 224 x 224 pixels, however small it is; a quarter does here."""
    monkeypatch.setattr("foveal.explainers.regions._SIDE", 56)


def quick(images: Tensor) -> dict[str, AbstractExplainer]:
    """The methods that need settings, or send many probes, with as few as they take."""
    generator = torch.Generator().manual_seed(3)
    window = tuple(side // 2 for side in images.shape[2:])
    examples = torch.rand(30, *images.shape[1:], generator=generator)
    examples[:10, ..., : window[-1]] = 0  # a concept: the left half is dark
    made = [
        SmoothGradCAMPlusPlus(samples=2),
        ScoreCAM(top=2),
        AblationCAM(top=2),
        SmoothGrad(samples=2),
        SquareGrad(samples=2),
        VarGrad(samples=2),
        IntegratedGradients(steps=2),
        ExpectedGradients(reference=1 - images[:1], samples=2),
        Occlusion(window=window, stride=window),
        RISE(masks=4, cells=2),
        LIME(samples=4, superpixels=4),
        KernelSHAP(samples=4, superpixels=4),
        XRAI(steps=2, baselines=(0.0,)),
        TCAV(concepts={"dark": examples[:10]}, random=examples[10:], runs=2, random_sets=30),
        Captum(Saliency),
    ]
    return {explainer.name: explainer for explainer in made}


def refused(animal: Animal) -> dict[str, str]:
    """The methods that the table says are refused, and what the message says."""
    (row,) = [row for row in TABLE["row"] if str(animal) in row["models"]]
    return {name: says for why, says in TABLE["refusals"].items() for name in row.get(why, [])}


def grid_of(name: str, animal: Animal) -> tuple[int, ...]:
    """The shape of one map: that of the input, with channels or without, or that of the layer."""
    named = {PIXELS: animal.shape, "the input's": animal.shape[1:]}
    return named.get(GRIDS[name], animal.grid)


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_every_method_works_or_is_refused_as_the_documentation_says(animal):
    model, images, refusals = animal.born(), animal.images(2), refused(animal)
    few = quick(images)
    asked = {name: few.get(name, name) for name in GRIDS}
    works = {name: method for name, method in asked.items() if name not in refusals}
    meant = {"target": animal.target, "head": animal.head}
    maps = foveal.attribute(model, images, works, **meant)
    for name, says in refusals.items():
        with pytest.raises(ModelError, match=says):
            foveal.attribute(model, images, asked[name], **meant)
    assert set(maps.info) == set(works)
    for name, found in maps.items():
        assert found.shape == (2, *grid_of(name, animal)), name
        assert found.isfinite().all(), name
        if name not in MAYBE_EMPTY:
            assert maps.info[name].reasons == (None, None), name
            assert found.flatten(1).any(dim=1).all(), name
    if "tcav" in works:
        score = maps.info["tcav"].parts["concepts"]["dark"]
        assert (score.value is None) == (score.reason == "no_concept")


def test_the_table_names_every_model_once_and_no_method_or_reason_that_does_not_exist():
    named = [model for row in TABLE["row"] for model in row["models"]]
    assert sorted(named) == sorted(map(str, ZOO))
    for row in TABLE["row"]:
        reasons = row.keys() - {"models"}
        assert reasons <= TABLE["refusals"].keys()
        listed = [name for why in reasons for name in row[why]]
        assert len(set(listed)) == len(listed)
        assert set(listed) <= GRIDS.keys()
