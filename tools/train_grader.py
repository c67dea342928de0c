"""Makes the synthetic grader anew: renders eyes, trains, measures, writes the package's files.

    python tools/train_grader.py --cache FOLDER

First the features learn, on small patches, which cells of the last grid hold which kind of lesion;
that output is thrown away afterwards. Then the head is a logistic regression from the mean features
of whole photographs to the grade. Rendering takes about half an hour on two cores, training a
quarter; the cache keeps the rendered eyes. The same machine, thread count and versions of NumPy,
SciPy and PyTorch give the same weights.
"""

import argparse
import json
import multiprocessing
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import PIL.Image
import tomlkit
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from foveal.core import Image
from foveal.images import mask_to_prepared, prepare, read
from foveal.synthetic import draw_fundus, fundus, render, without
from foveal.synthetic.grading import GRADES
from foveal.synthetic.models import Grader
from foveal.synthetic.spec import LesionKind

PACKAGE = Path(__file__).parents[1] / "src" / "foveal" / "synthetic"
TRAINING = range(3_000_000_000, 3_000_004_000)
HELD_OUT = range(3_210_000_000, 3_210_001_000)
COUNTERFACTUAL = HELD_OUT[:250]
CHECK_SEED, CHECK_SIZE = 3_300_000_003, 384
CARD = PACKAGE / "grader.toml"
INPUT = tomllib.loads(CARD.read_text())["input"]
PREPARE = [
    {**step, "size": INPUT["size"]} if step["step"] == "resize" else step
    for step in INPUT["prepare"]
]
CELL, CELLS, WINDOW = 16, INPUT["size"][0] // 16, 8
"""Pixels to a cell of the last feature grid, cells to a photograph and to a patch."""
STEPS, BATCH, RATE, RIDGE = 1500, 64, 3e-3, 3e-6
SPARSITY = 0.05
"""Weight of the mean feature in the loss: where there is no lesion, features shall be silent."""
KINDS = get_args(LesionKind)


@dataclass(frozen=True)
class Eyes:
    """What the grader learns from or is measured on."""

    pixels: np.ndarray
    """Eye, channel, row and column, as the card prepares them, in 8 bit to save memory."""
    grades: np.ndarray
    cells: np.ndarray
    """Eye, kind of lesion, row and column of the last feature grid: whether there is any."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the rendered eyes")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.processes)
    torch.manual_seed(0)
    model = Grader().to(memory_format=torch.channels_last)
    training = rendered(TRAINING, options.cache, options.processes)
    train_features(model.features, training)
    fit_head(model, training)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    (PACKAGE / "grader.safetensors").write_bytes(save(weights))
    write_check(model)
    held_out = rendered(HELD_OUT, options.cache, options.processes)
    report = measured(model, held_out, options.processes)
    text = json.dumps(report, indent=1)
    (PACKAGE / "grader.json").write_text(text + "\n")
    print(text)


def train_features(features: nn.Module, eyes: Eyes) -> None:
    """Teaches the features to tell the kinds of lesions apart, cell by cell."""
    random = np.random.default_rng(0)
    told_apart = nn.Conv2d(96, len(KINDS), 1)
    nn.init.constant_(told_apart.bias, -3.0)  # most cells hold no lesion
    learned = [*features.parameters(), *told_apart.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS, pct_start=0.2)
    found = [np.argwhere(eyes.cells[:, kind]) for kind in range(len(KINDS))]
    features.train()
    for step in range(STEPS):
        pixels, cells = patches(eyes, found, random)
        seen = features(pixels)
        loss = binary_cross_entropy_with_logits(told_apart(seen), cells) + SPARSITY * seen.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: {loss.item():.4f}", flush=True)


def patches(
    eyes: Eyes, found: list[np.ndarray], random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A batch of patches: of eight, one around each kind of lesion and two anywhere.

    Patches are mirrored, turned and vary in colour.
    """
    pixels, cells, last = [], [], CELLS - WINDOW
    for index in range(BATCH):
        around = found[index % 8] if index % 8 < len(KINDS) else []
        if len(around):
            eye, *place = around[random.integers(len(around))]
            corner = np.clip(place - random.integers(1, WINDOW - 1, 2), 0, last)
        else:
            eye, corner = random.integers(len(eyes.grades)), random.integers(0, last + 1, 2)
        (top, left), (bottom, right) = corner, corner + WINDOW
        patch = eyes.pixels[eye, :, CELL * top : CELL * bottom, CELL * left : CELL * right]
        seen = eyes.cells[eye, :, top:bottom, left:right]
        turns, mirrored = random.integers(4), random.integers(2)
        for kept, turned in ((pixels, patch), (cells, seen)):
            turned = np.rot90(turned, turns, axes=(1, 2))
            kept.append(turned[..., ::-1] if mirrored else turned)
    colour = 1 + 0.1 * random.standard_normal((BATCH, 3, 1, 1))
    batch = normalised(np.clip(np.stack(pixels) * colour, 0, 255))
    return batch, torch.from_numpy(np.stack(cells)).float()


def fit_head(model: Grader, eyes: Eyes) -> None:
    """Logistic regression with a little ridge.

    All features are scaled alike: one that hardly varies shall not be blown up to count as much as
    the others.
    """
    means = averaged(model, eyes.pixels)
    centre, scale = means.mean(dim=0), means.std(dim=0).max()
    grades = torch.tensor(eyes.grades)
    head = nn.Linear(means.shape[1], len(GRADES))
    nn.init.zeros_(head.weight)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        missed = cross_entropy(head((means - centre) / scale), grades)
        penalised = missed + RIDGE * (head.weight**2).sum()
        penalised.backward()
        return penalised

    optimizer.step(loss)
    with torch.no_grad():
        model.head.weight.copy_(head.weight / scale)
        model.head.bias.copy_(head.bias - head.weight @ (centre / scale))
    model.eval()


@torch.no_grad()
def averaged(model: Grader, pixels: np.ndarray) -> Tensor:
    """The mean features of each photograph."""
    model.eval()
    batches = (pixels[k : k + 20] for k in range(0, len(pixels), 20))
    return torch.cat([model.features(normalised(batch)).mean(dim=(2, 3)) for batch in batches])


@torch.no_grad()
def probabilities(model: Grader, pixels: np.ndarray) -> np.ndarray:
    return model.head(averaged(model, pixels)).softmax(dim=1).numpy()


def normalised(pixels: np.ndarray) -> Tensor:
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (INPUT["mean"], INPUT["std"]))
    scaled = (torch.from_numpy(pixels.astype(np.float32)) / 255 - mean) / std
    return scaled.contiguous(memory_format=torch.channels_last)


def rendered(seeds: range, cache: Path, processes: int) -> Eyes:
    """Eyes of these seeds with their grades drawn evenly; from the cache where they are there."""
    names = ("pixels", "grades", "cells")
    files = [cache / f"{seeds[0]}-{len(seeds)}-{name}.npy" for name in names]
    if not all(file.is_file() for file in files):
        cache.mkdir(parents=True, exist_ok=True)
        with multiprocessing.Pool(processes) as pool:
            columns = zip(*pool.imap(example, seeds, chunksize=8), strict=True)
            for file, column in zip(files, columns, strict=True):
                np.save(file, np.stack(column))
    return Eyes(*(np.load(file, mmap_mode="r") for file in files))


def example(seed: int) -> tuple[np.ndarray, int, np.ndarray]:
    eye = fundus(seed)
    cells = np.zeros((len(KINDS), CELLS, CELLS), bool)
    image, _ = prepare(eye.image, PREPARE)
    for region in eye.regions:
        if region.kind == "lesion":
            mask = mask_to_prepared(region.mask, image.steps)
            tiles = mask.reshape(CELLS, CELL, CELLS, CELL)
            cells[KINDS.index(region.name)] = tiles.any(axis=(1, 3))
    return as_levels(image), eye.grade, cells


def measured(model: Grader, eyes: Eyes, processes: int) -> dict[str, object]:
    """How well the grader does on eyes it has not seen, and on the same eyes without lesions."""
    predicted = probabilities(model, eyes.pixels).argmax(axis=1)
    confusion = np.zeros((len(GRADES), len(GRADES)), int)
    np.add.at(confusion, (eyes.grades, predicted), 1)
    with multiprocessing.Pool(processes) as pool:
        cleared = np.stack(pool.map(healthy, COUNTERFACTUAL, chunksize=8))
    ill = eyes.grades[: len(COUNTERFACTUAL)] > 0
    graded_healthy = probabilities(model, cleared[ill]).argmax(axis=1) == 0
    return {
        "about": "the synthetic grader on eyes rendered from seeds it has not seen, made by "
        "tools/train_grader.py; nothing here says how it does on photographs of patients",
        "classes": GRADES,
        "training": {"first_seed": TRAINING[0], "eyes": len(TRAINING)},
        "held_out": {"first_seed": HELD_OUT[0], "eyes": len(HELD_OUT)},
        "check_seed": CHECK_SEED,
        "accuracy": round(float((predicted == eyes.grades).mean()), 4),
        "recall": [round(float(row[k] / row.sum()), 4) for k, row in enumerate(confusion)],
        "quadratic_weighted_kappa": round(weighted_kappa(confusion), 4),
        "confusion_rows_are_true_grades": confusion.tolist(),
        "without_lesions": {
            "eyes": int(ill.sum()),
            "graded_healthy": round(float(graded_healthy.mean()), 4),
        },
    }


def weighted_kappa(confusion: np.ndarray) -> float:
    """Cohen 1968 with quadratic weights."""
    grade = np.arange(len(confusion))
    weights = (grade[:, None] - grade) ** 2
    by_chance = np.outer(confusion.sum(axis=1), confusion.sum(axis=0)) / confusion.sum()
    return 1 - float((weights * confusion).sum() / (weights * by_chance).sum())


def write_check(model: Grader) -> None:
    """A photograph, and into the card what the grader says about it."""
    card = tomlkit.parse(CARD.read_text())
    pixels = fundus(CHECK_SEED, size=CHECK_SIZE).image.pixels
    levels = np.round(pixels * 255).astype(np.uint8).transpose(1, 2, 0)
    PIL.Image.fromarray(levels).save(PACKAGE / "check.png", optimize=True)
    image, _ = prepare(read(PACKAGE / "check.png"), PREPARE)
    (expected,) = probabilities(model, 255 * image.pixels[np.newaxis])
    card["check"]["expected"] = [round(float(value), 5) for value in expected]
    CARD.write_text(tomlkit.dumps(card))


def healthy(seed: int) -> np.ndarray:
    """The prepared photograph of the eye without its lesions."""
    image, _ = prepare(render(without(draw_fundus(seed))).image, PREPARE)
    return as_levels(image)


def as_levels(image: Image) -> np.ndarray:
    return np.round(image.pixels * 255).astype(np.uint8)


if __name__ == "__main__":
    main()
