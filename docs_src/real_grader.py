"""A grader of diabetic retinopathy trained from scratch on real photographs, as a model to explain.

    python docs_src/real_grader.py GRADED LABELS LESIONS OUT

GRADED is a folder of photographs and LABELS a CSV with the columns file (within GRADED),
retinopathy_grade (0 to 4) and split (train or test). LESIONS is a folder of photographs with
outlined lesions, on which the model's explanations will be judged: what shows one of them is left
out altogether, and what shows a test photograph is left out of training. OUT gets the weights, a
model card, and what was left out and measured on the test photographs.
"""

import argparse
import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tomlkit
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, grid_sample

from foveal.analysis import (
    Estimate,
    accuracy,
    auc,
    confusion_matrix,
    grades,
    quadratic_kappa,
    rates,
    units_of,
)
from foveal.images import prepare, read
from foveal.synthetic.models import Grader

CLASSES = ["No DR", "Mild", "Moderate", "Severe", "Proliferative"]
REFERABLE = 2
"""Moderate retinopathy or worse."""
PREPARE = [{"step": "field-of-view", "square": True}, {"step": "resize", "aspect": "pad"}]
GRID = 128
"""Numbers on a side of a photograph's fingerprint."""
SAME_EYE = 0.5
"""Likeness from which two photographs are of one eye. Of IDRiD's, those of other eyes reach 0.41,
second photographs of one eye have 0.57 to 0.85, and the same one in another size more than 0.96."""
BATCH, RATE, DECAY = 16, 2e-3, 5e-2


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs as the model will see them."""

    files: np.ndarray
    sha256: np.ndarray
    """Of each file's bytes."""
    pixels: np.ndarray
    """Photograph, channel, row and column in 8 bit, to save memory."""

    def chosen(self, rows: np.ndarray) -> "Photographs":
        """Some of them."""
        return Photographs(self.files[rows], self.sha256[rows], self.pixels[rows])


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A photograph that is not used, and the one that it repeats."""

    file: str
    repeats: str
    likeness: float
    """As `likeness` says; 1 for files with the same bytes."""
    why: str


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    with options.labels.open(newline="") as file:
        table = list(csv.DictReader(file))
    truth = np.array([int(row["retinopathy_grade"]) for row in table])
    is_test = np.array([row["split"] == "test" for row in table])
    graded = photographs(
        options.graded, [row["file"] for row in table], options.size, options.out / "graded.npz"
    )
    outlined = sorted(path.name for path in options.lesions.iterdir() if path.is_file())
    lesions = photographs(options.lesions, outlined, options.size, options.out / "lesions.npz")
    training, test, left_out = split(graded, is_test, lesions)
    for one in left_out:
        print(f"left out {one.file}: {one.why} as {one.repeats} (likeness {one.likeness:.3f})")
    print(f"{len(training)} photographs to train on, {len(test)} to test on", flush=True)
    pixels = graded.pixels[training]
    colour = colour_of(pixels)
    model = trained(pixels, truth[training], colour, epochs=options.epochs, seed=options.seed)
    write_model(options.out, model, options.size, colour)
    probabilities = predicted(model, graded.pixels[test], colour)
    settings = {name: getattr(options, name) for name in ("seed", "size", "epochs")}
    counts = {"training_grades": _counts(truth[training]), "test_grades": _counts(truth[test])}
    found = measured(truth[test], probabilities, graded.files[test])
    report = {**settings, **counts, **found, "left_out": [asdict(one) for one in left_out]}
    text = json.dumps(report, indent=1)
    (options.out / "grader.json").write_text(text + "\n")
    print(text)


def split(
    graded: Photographs, is_test: np.ndarray, lesions: Photographs
) -> tuple[np.ndarray, np.ndarray, list[LeftOut]]:
    """Places of the photographs to train on and to test on, and what is in neither.

    No picture is on two sides. Two eyes of one patient may be, where nothing says whose they are.
    """
    outlined = repeated(graded, lesions, "among the lesion photographs")
    kept = ~np.isin(graded.files, [one.file for one in outlined])
    training, test = np.flatnonzero(kept & ~is_test), np.flatnonzero(kept & is_test)
    again = repeated(graded.chosen(training), graded.chosen(test), "among the test photographs")
    training = training[~np.isin(graded.files[training], [one.file for one in again])]
    return training, test, [*outlined, *again]


def repeated(photographs: Photographs, others: Photographs, why: str) -> list[LeftOut]:
    """Those that are one of the others: the same bytes, or another picture of the same eye."""
    same_bytes = photographs.sha256[:, None] == others.sha256[None, :]
    alike = np.where(same_bytes, 1.0, likeness(photographs.pixels, others.pixels))
    nearest = alike.argmax(axis=1)
    return [
        LeftOut(file=str(file), repeats=str(others.files[near]), likeness=float(row[near]), why=why)
        for file, near, row in zip(photographs.files, nearest, alike, strict=True)
        if row[near] >= SAME_EYE
    ]


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation in [-1, 1] of each first photograph's vessels with each second one's.

    The largest over all shifts; it hardly changes with size, compression and light.
    """
    ours, theirs = (np.fft.rfft2(fingerprint(pixels)) for pixels in (first, second))
    return np.stack(
        [np.fft.irfft2(one * theirs.conj(), s=(GRID, GRID)).max(axis=(1, 2)) for one in ours]
    )


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """Fine structure in green light at equal contrast everywhere, of norm 1.

    Disc and bright lesions count no more than faint vessels, and the rim of the field hardly.
    """
    green = torch.from_numpy(pixels[:, 1]).float()
    small = adaptive_avg_pool2d(green[:, None], GRID)[:, 0].numpy()
    fine = small - gaussian_filter(small, sigma=(0, 3, 3))
    fine /= np.sqrt(gaussian_filter(fine**2, sigma=(0, 6, 6))) + 1
    fine *= np.outer(np.hanning(GRID), np.hanning(GRID))
    fine -= fine.mean(axis=(1, 2), keepdims=True)
    return fine / np.linalg.norm(fine, axis=(1, 2), keepdims=True).clip(min=1e-12)


def trained(
    pixels: np.ndarray, truth: np.ndarray, colour: "Colour", *, epochs: int, seed: int
) -> nn.Module:
    """A residual network of 406 thousand parameters from random weights; the last epoch counts."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = Grader().to(memory_format=torch.channels_last).train()
    batches = len(truth) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs * batches)
    for epoch in range(epochs):
        losses = []
        for rows in random.permutation(len(truth))[: batches * BATCH].reshape(batches, BATCH):
            images = normalised(varied(as_units(pixels[rows]), random), colour)
            loss = ordinal_loss(model(images), torch.from_numpy(truth[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    return model.eval()


def ordinal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of "grade k or more", averaged over k: a miss by two costs more than by one.

    These questions are better balanced than the grades themselves.
    """
    logs = logits.log_softmax(dim=1)
    answers = [
        torch.where(truth >= k, logs[:, k:].logsumexp(dim=1), logs[:, :k].logsumexp(dim=1))
        for k in range(1, logits.shape[1])
    ]
    return -torch.stack(answers).mean()


def varied(images: Tensor, random: np.random.Generator) -> Tensor:
    """Turned, mirrored, a little nearer or farther, in another light."""
    count = len(images)
    angle, zoom = random.uniform(0, 2 * np.pi, count), random.uniform(0.9, 1.1, count)
    mirror = random.choice([-1.0, 1.0], count)
    cosine, sine, none = zoom * np.cos(angle), zoom * np.sin(angle), np.zeros(count)
    turns = np.stack([[mirror * cosine, -sine, none], [mirror * sine, cosine, none]])
    place = torch.from_numpy(turns).permute(2, 0, 1).float()
    grid = affine_grid(place, list(images.shape), align_corners=False)
    light = random.normal(1, 0.1, (count, 1, 1, 1)) * random.normal(1, 0.05, (count, 3, 1, 1))
    return grid_sample(images, grid, align_corners=False) * torch.from_numpy(light).float()


@torch.no_grad()
def predicted(model: nn.Module, pixels: np.ndarray, colour: "Colour") -> np.ndarray:
    """Probabilities of the grades, a row for each photograph."""
    batches = (as_units(pixels[k : k + BATCH]) for k in range(0, len(pixels), BATCH))
    outputs = [model(normalised(images, colour)) for images in batches]
    return torch.cat(outputs).softmax(dim=1).numpy()


def measured(truth: np.ndarray, probabilities: np.ndarray, files: np.ndarray) -> dict[str, object]:
    """How good the grader is, with 95 % intervals; each photograph counts as a patient of its own.

    The grade is the likeliest one; referable is what has more than an even chance of it.
    """
    units = units_of([None] * len(files), images=files.tolist())
    graded = grades(truth.tolist(), probabilities.argmax(axis=1).tolist(), range(len(CLASSES)))
    referable, chance = truth >= REFERABLE, probabilities[:, REFERABLE:].sum(axis=1)
    found = rates(referable, chance > 0.5, units)
    return {
        "quadratic_weighted_kappa": _told(quadratic_kappa(graded, units)),
        "accuracy": _told(accuracy(graded, units)),
        "referable_auc": _told(auc(referable, chance, units)),
        "referable_sensitivity": _told(found["sensitivity"]),
        "referable_specificity": _told(found["specificity"]),
        "confusion_rows_are_true_grades": confusion_matrix(graded).tolist(),
    }


def write_model(out: Path, model: nn.Module, size: int, colour: "Colour") -> None:
    """Weights, and the card that says how photographs are prepared for them."""
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, out / "grader.safetensors")
    card = {
        "name": "photograph-grader",
        "loader": "python",
        "factory": "foveal.synthetic.models:Grader",
        "weights": "grader.safetensors",
        "task": "ordinal",
        "head": "softmax",
        "classes": CLASSES,
        "input": {"size": [size, size], "mean": colour[0], "std": colour[1], "prepare": PREPARE},
        "explain": {"layers": ["features"]},
    }
    (out / "grader.toml").write_text(tomlkit.dumps(card))


def photographs(folder: Path, files: Sequence[str], size: int, cache: Path) -> Photographs:
    """Photographs as the model sees them; decoded once, then from the cache."""
    sha256 = np.array([hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files])
    if cache.is_file():
        with np.load(cache) as kept:
            if np.array_equal(kept["sha256"], sha256) and kept["pixels"].shape[2] == size:
                return Photographs(np.array(files), sha256, kept["pixels"])
    pixels = np.stack([decoded(folder / file, size) for file in files])
    np.savez(cache, sha256=sha256, pixels=pixels)
    return Photographs(np.array(files), sha256, pixels)


def decoded(path: Path, size: int) -> np.ndarray:
    crop, resize = PREPARE
    image, _ = prepare(read(path, modality="fundus"), [crop, {**resize, "size": [size, size]}])
    return np.round(255 * image.pixels).astype(np.uint8)


Colour = tuple[list[float], list[float]]
"""Mean and deviation of each channel, in display units."""


def colour_of(pixels: np.ndarray) -> Colour:
    every_fourth = pixels[:, :, ::4, ::4] / 255
    mean, deviation = (part(every_fourth, axis=(0, 2, 3)) for part in (np.mean, np.std))
    return mean.round(4).tolist(), deviation.round(4).tolist()


def as_units(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).float() / 255


def normalised(images: Tensor, colour: Colour) -> Tensor:
    mean, deviation = (torch.tensor(values).reshape(3, 1, 1) for values in colour)
    return ((images - mean) / deviation).contiguous(memory_format=torch.channels_last)


def _counts(truth: np.ndarray) -> list[int]:
    return np.bincount(truth, minlength=len(CLASSES)).tolist()


def _told(estimate: Estimate) -> dict[str, object]:
    named = ("estimate", "low", "high", "n_units", "method", "notes", "reason")
    return {name: asdict(estimate)[name] for name in named}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("graded", "labels", "lesions", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--size", type=int, default=256, help="pixels on a side (256)")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
