"""A real segmenter on real photographs: is the way there and back right, and where does it look?

    python docs_src/disc_and_cup.py WEIGHTS PHOTOGRAPHS MASKS

WEIGHTS is a disc-and-cup W-Net of AutoMorph (`model_checkpoint.pth`), PHOTOGRAPHS and MASKS are
folders of the IDRiD segmentation set. For each photograph the predicted disc is carried back onto
the original pixels and compared with the expert's; then Grad-CAM says where the evidence for disc
rim and cup lies, and whether its hottest point on the original is on the true disc.
"""

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

import foveal
from foveal.images import map_to_original, mask_to_original

CARD = """
name = "disc-and-cup"
loader = "python"
factory = "wnet:build"
arguments = {{ widths = [8, 16, 32], classes = 3 }}
weights = "{weights}"
task = "segmentation"
classes = ["background", "disc rim", "cup"]

[input]
size = [512, 512]
prepare = [{{ step = "field-of-view", square = true }}, {{ step = "resize", aspect = "pad" }}]
"""


@dataclass(frozen=True)
class Photograph:
    """What came of one photograph."""

    name: str
    dice: float
    """Of the predicted with the true disc, on the original pixels."""
    on_disc: dict[str, bool]
    """Whether the hottest point of each class's map lies on the true disc."""


def write_card(folder: Path, weights: Path) -> Path:
    """The model card and the network's code beside it."""
    card = folder / "disc-and-cup.toml"
    card.write_text(CARD.format(weights=weights.resolve().as_posix()))
    code = Path(__file__).with_name("wnet.py").read_text()
    (folder / "wnet.py").write_text(code)
    return card


def trial(card: Path, photographs: Path, masks: Path) -> Iterator[Photograph]:
    """Each photograph in turn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", foveal.FovealWarning)  # no check, a U-Net's chosen layer
        model = foveal.load_model(card, trust=True)
        for path in sorted(photographs.glob("*.jpg")):
            image = foveal.read(path, modality="fundus")
            (disc,) = foveal.read_regions(masks / f"{path.stem}_OD.png", image=image)
            maps = {
                name: foveal.explain(model, image, "gradcam", target=name)
                for name in ("disc rim", "cup")
            }
            seen = maps["cup"].readings[0].seen
            steps = seen.image.steps
            predicted = mask_to_original(seen.output[0].argmax(dim=0).numpy() > 0, steps)
            both = 2 * (predicted & disc.mask).sum()
            yield Photograph(
                name=path.stem,
                dice=float(both / (predicted.sum() + disc.mask.sum())),
                on_disc={
                    name: _hottest(map_to_original(result.attributions[0].map, steps), disc.mask)
                    for name, result in maps.items()
                },
            )


def _hottest(values: np.ndarray, mask: np.ndarray) -> bool:
    return bool(mask[np.unravel_index(values.argmax(), values.shape)])


def main() -> None:
    weights, photographs, masks = map(Path, sys.argv[1:])
    card = write_card(Path(), weights)
    found = []
    for photograph in trial(card, photographs, masks):
        found.append(photograph)
        print(f"{photograph.name}  Dice {photograph.dice:.3f}  on the disc: {photograph.on_disc}")
    print(f"median Dice {median(p.dice for p in found):.3f}")
    for name in ("disc rim", "cup"):
        print(
            f"hottest point for {name} on the true disc: {sum(p.on_disc[name] for p in found)}"
            f" of {len(found)}"
        )


if __name__ == "__main__":
    main()
