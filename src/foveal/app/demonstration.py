"""Synthetic eyes as files, so that the demo takes the same path as any cohort."""

import csv
import shutil
import tomllib
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from foveal.core import StoreError
from foveal.synthetic import Eye, cohort, grader_card

_PLAN = """\
# What `foveal demo` ran. Run it again with `foveal run plan.toml --trust`.
name = "Retinopathy grader on synthetic eyes"
seed = {seed}

[[images]]
manifest = "cohort.csv"
regions = "masks/{{stem}}_{{region}}.png"
modality = "fundus"

[[models]]
card = "model/grader.toml"
targets = ["predicted"]

[[methods]]
name = "gradcam"

[[methods]]
name = "layercam"

[[methods]]
name = "integratedgradients"
steps = 16
baseline = "blur"

[measures]             # without names, a level's: level = "standard" takes far longer
names = [
    "relevance_mass", "mass_lift", "pointing_game", "dice", "dice_over_max", "lesion_hit_rate",
    "false_highlight_rate", "region_shares", "negative_image_profile",
    "mean_attribution_area", "ebc", "hfpr", "out_of_fov_mass",
    "deletion_auc", "insertion_auc", "masked_roi_drop", "excess_drop", "lesion_drop",
]
random_orders = 2
random_regions = 10

[output]
folder = "run"
"""


def write_demo(folder: Path, *, eyes: int, seed: int) -> Path:
    """Write eyes, masks, manifest, model card and plan; gives the plan's path.

    Raises:
        StoreError: The folder cannot be written.
    """
    try:
        for name in ("images", "masks", "model"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        rows = [_write_eye(eye, folder, n) for n, eye in enumerate(cohort(eyes, seed), start=1)]
        with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for file in _model_files():
            shutil.copyfile(file, folder / "model" / file.name)
        plan = folder / "plan.toml"
        plan.write_text(_PLAN.format(seed=seed), encoding="utf-8")
    except OSError as problem:
        raise StoreError(
            f"cannot write the demo into {folder}: {problem.strerror or problem}"
        ) from problem
    return plan


def _write_eye(eye: Eye, folder: Path, number: int) -> dict[str, object]:
    stem = f"eye{number:02d}"
    pixels = np.rint(eye.image.pixels * 255).astype(np.uint8).transpose(1, 2, 0)
    PillowImage.fromarray(pixels).save(folder / "images" / f"{stem}.png")
    for region in eye.regions:
        if region.kind == "lesion" and region.mask.any():
            name = region.name.replace(" ", "-")
            PillowImage.fromarray(region.mask).save(folder / "masks" / f"{stem}_{name}.png")
    return {
        "image": f"images/{stem}.png",
        "patient": eye.image.patient,
        "eye": eye.image.eye,
        "laterality": eye.image.laterality,
        "grade": eye.grade,
    }


def _model_files() -> list[Path]:
    """The card, its weights and the image of its check."""
    card = grader_card()
    facts = tomllib.loads(card.read_text(encoding="utf-8"))
    return [card, card.with_name(facts["weights"]), card.with_name(facts["check"]["image"])]
