"""Makes a small synthetic classifier anew: renders eyes, trains, measures, writes its files.

    python tools/train_classifier.py anterior --cache FOLDER
    python tools/train_classifier.py oct --cache FOLDER

As `train_grader.py`: first the features learn which cells of the last grid hold which kind of
lesion, that output is thrown away, and then the head is a logistic regression from the mean
features to the class. Rendering and training take a few minutes each on one core; the cache keeps
the rendered eyes. The same machine, thread count and versions of NumPy, SciPy and PyTorch give the
same weights.
"""

import argparse
import json
import multiprocessing
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tomlkit
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from foveal.core import Image
from foveal.images import mask_to_prepared, prepare, read
from foveal.synthetic import (
    FrontEye,
    OctEye,
    anterior_card,
    draw_oct,
    draw_slitlamp,
    oct_card,
    render_oct,
    render_slitlamp,
    without_front,
    without_oct,
)
from foveal.synthetic.models import Grader
from foveal.synthetic.oct_draw import OCT_KINDS
from foveal.synthetic.slitlamp_lesions import FRONT_KINDS

TRAINING = range(4_000_000_000, 4_000_001_500)
HELD_OUT = range(4_210_000_000, 4_210_000_400)
CHECK_SEED = 4_300_000_000
CELL = 16
"""Pixels to a cell of the last feature grid."""
BATCH, RATE, RIDGE, SPARSITY = 32, 4e-3, 1e-5, 0.02


AnyEye = FrontEye | OctEye


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is classified."""

    card: Path
    kinds: tuple[str, ...]
    pair: Callable[[int], tuple[AnyEye, AnyEye]]
    """An eye of a seed, and the same eye without its lesions."""
    passes: int
    """How often the features see each eye."""

    @property
    def input(self) -> dict[str, Any]:
        return tomllib.loads(self.card.read_text())["input"]


def fronts(seed: int) -> tuple[AnyEye, AnyEye]:
    """The size of the picture varies, so that the classifier depends on none."""
    spec, size = draw_slitlamp(seed), (256, 384, 512)[seed % 3]
    return render_slitlamp(spec, size=size), render_slitlamp(without_front(spec), size=size)


def sections(seed: int) -> tuple[AnyEye, AnyEye]:
    spec, half = draw_oct(seed), 1 + seed % 2
    grid = {"rows": 496 // half, "columns": 512 // half}
    return render_oct(spec, **grid), render_oct(without_oct(spec), **grid)


TASKS = {
    "anterior": Task(card=anterior_card(), kinds=FRONT_KINDS, pair=fronts, passes=10),
    "oct": Task(card=oct_card(), kinds=OCT_KINDS, pair=sections, passes=5),
}


@dataclass(frozen=True)
class Eyes:
    """What the classifier learns from or is measured on."""

    pixels: np.ndarray
    """Eye, channel, row and column, as the card prepares them, in 8 bit to save memory."""
    labels: np.ndarray
    cells: np.ndarray
    """Eye, kind of lesion, row and column of the last feature grid: whether there is any."""
    cleared: np.ndarray
    """The pixels of the same eyes without their lesions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--cache", type=Path, required=True, help="folder for the rendered eyes")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    task = TASKS[options.task]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    card = tomllib.loads(task.card.read_text())
    model = Grader(**card["arguments"]).to(memory_format=torch.channels_last)
    training = rendered(options.task, TRAINING, options.cache, options.processes)
    train_features(model.features, training, task)
    fit_head(model, training, task)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    task.card.with_name(card["weights"]).write_bytes(save(weights))
    write_check(model, task)
    held_out = rendered(options.task, HELD_OUT, options.cache, options.processes)
    text = json.dumps(measured(model, held_out, task), indent=1)
    task.card.with_suffix(".json").write_text(text + "\n")
    print(text)


def train_features(features: nn.Sequential, eyes: Eyes, task: Task) -> None:
    """Teaches the features to tell the kinds of lesions apart, cell by cell.

    Every other picture is mirrored, and all vary in colour.
    """
    random = np.random.default_rng(0)
    width = tomllib.loads(task.card.read_text())["arguments"]["channels"][-1]
    told_apart = nn.Conv2d(width, len(task.kinds), 1)
    nn.init.constant_(told_apart.bias, -3.0)  # most cells hold no lesion
    learned = [*features.parameters(), *told_apart.parameters()]
    steps = task.passes * (len(eyes.labels) // BATCH)
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.2)
    features.train()
    for step in range(steps):
        chosen = random.integers(len(eyes.labels), size=BATCH)
        flipped = slice(None, None, 1 - 2 * (step % 2))
        colour = 1 + 0.12 * random.standard_normal((BATCH, eyes.pixels.shape[1], 1, 1))
        pixels = np.clip(eyes.pixels[chosen][..., flipped] * colour, 0, 255)
        cells = torch.from_numpy(eyes.cells[chosen][..., flipped].copy()).float()
        seen = features(normalised(pixels, task))
        loss = binary_cross_entropy_with_logits(told_apart(seen), cells) + SPARSITY * seen.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step} of {steps}: {loss.item():.4f}", flush=True)


def fit_head(model: Grader, eyes: Eyes, task: Task) -> None:
    """Logistic regression with a little ridge on the eyes and on the same eyes without lesions."""
    means = averaged(model, np.concatenate([eyes.pixels, eyes.cleared]), task)
    centre, scale = means.mean(dim=0), means.std(dim=0).max()
    labels = torch.from_numpy(np.concatenate([eyes.labels, 0 * eyes.labels]))
    head = nn.Linear(means.shape[1], model.head.out_features)
    nn.init.zeros_(head.weight)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        missed = cross_entropy(head((means - centre) / scale), labels)
        penalised = missed + RIDGE * (head.weight**2).sum()
        penalised.backward()
        return penalised

    optimizer.step(loss)
    with torch.no_grad():
        model.head.weight.copy_(head.weight / scale)
        model.head.bias.copy_(head.bias - head.weight @ (centre / scale))
    model.eval()


@torch.no_grad()
def averaged(model: Grader, pixels: np.ndarray, task: Task) -> Tensor:
    """The mean features of each picture."""
    model.eval()
    batches = (normalised(pixels[k : k + 20], task) for k in range(0, len(pixels), 20))
    return torch.cat([model.features(batch).mean(dim=(2, 3)) for batch in batches])


@torch.no_grad()
def probabilities(model: Grader, pixels: np.ndarray, task: Task) -> np.ndarray:
    return model.head(averaged(model, pixels, task)).softmax(dim=1).numpy()


def normalised(pixels: np.ndarray, task: Task) -> Tensor:
    settings = task.input
    mean, std = (torch.tensor(settings[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
    scaled = (torch.from_numpy(pixels.astype(np.float32)) / 255 - mean) / std
    return scaled.contiguous(memory_format=torch.channels_last)


def rendered(name: str, seeds: range, cache: Path, processes: int) -> Eyes:
    """Eyes of these seeds with their classes drawn evenly; from the cache where they are there."""
    parts = ("pixels", "labels", "cells", "cleared")
    files = [cache / f"{name}-{seeds[0]}-{len(seeds)}-{part}.npy" for part in parts]
    if not all(file.is_file() for file in files):
        cache.mkdir(parents=True, exist_ok=True)
        with multiprocessing.Pool(processes) as pool:
            examples = pool.imap(partial(example, name), seeds, chunksize=8)
            for file, column in zip(files, zip(*examples, strict=True), strict=True):
                np.save(file, np.stack(column))
    return Eyes(*(np.load(file) for file in files))


def example(name: str, seed: int) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    task = TASKS[name]
    eye, without = task.pair(seed)
    image = prepared(eye.image, task)
    rows, columns = (side // CELL for side in image.grid)
    cells = np.zeros((len(task.kinds), rows, columns), bool)
    for region in eye.regions:
        if region.kind == "lesion":
            mask = mask_to_prepared(region.mask, image.steps)
            tiles = mask.reshape(rows, CELL, columns, CELL)
            cells[task.kinds.index(region.name)] = tiles.any(axis=(1, 3))
    return levels(image), eye.label, cells, levels(prepared(without.image, task))


def prepared(image: Image, task: Task) -> Image:
    settings = task.input
    steps = [
        {**step, "size": settings["size"]} if step["step"] == "resize" else step
        for step in settings["prepare"]
    ]
    return prepare(image, steps)[0]


def measured(model: Grader, eyes: Eyes, task: Task) -> dict[str, object]:
    """How well it does on eyes it has not seen, and on the same eyes without lesions."""
    classes = tomllib.loads(task.card.read_text())["classes"]
    predicted = probabilities(model, eyes.pixels, task).argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (eyes.labels, predicted), 1)
    ill = eyes.labels > 0
    healthy = probabilities(model, eyes.cleared[ill], task).argmax(axis=1) == 0
    return {
        "about": f"the classifier {task.card.stem} on synthetic eyes of seeds it has not seen, "
        "made by tools/train_classifier.py; nothing here says how it does on patients",
        "classes": classes,
        "training": {"first_seed": TRAINING[0], "eyes": len(TRAINING)},
        "held_out": {"first_seed": HELD_OUT[0], "eyes": len(HELD_OUT)},
        "check_seed": CHECK_SEED,
        "accuracy": round(float((predicted == eyes.labels).mean()), 4),
        "recall": [round(float(row[k] / row.sum()), 4) for k, row in enumerate(confusion)],
        "confusion_rows_are_true_classes": confusion.tolist(),
        "without_lesions": {
            "eyes": int(ill.sum()),
            "called_healthy": round(float(healthy.mean()), 4),
        },
    }


def write_check(model: Grader, task: Task) -> None:
    """A picture, and into the card what the classifier says about it."""
    card = tomlkit.parse(task.card.read_text())
    file = task.card.with_name(str(card["check"]["image"]))
    shown = levels(task.pair(CHECK_SEED)[0].image).transpose(1, 2, 0).squeeze()
    PIL.Image.fromarray(shown).save(file, optimize=True)
    image = prepared(read(file), task)
    (expected,) = probabilities(model, 255 * image.pixels[np.newaxis], task)
    card["check"]["expected"] = [round(float(value), 5) for value in expected]
    task.card.write_text(tomlkit.dumps(card))


def levels(image: Image) -> np.ndarray:
    return np.round(image.pixels * 255).astype(np.uint8)


if __name__ == "__main__":
    main()
