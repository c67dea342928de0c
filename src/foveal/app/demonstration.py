"""Synthetic eyes as files, so that the demo takes the same path as any cohort."""

import csv
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from foveal.core import Image, Modality, StoreError
from foveal.synthetic import (
    Eye,
    FrontEye,
    OctEye,
    anterior_card,
    cohort,
    front_cohort,
    grader_card,
    oct_card,
    oct_cohort,
)

AnyEye = Eye | FrontEye | OctEye


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What is shown of one kind of image."""

    title: str
    eyes: Callable[[int, int], Iterator[AnyEye]]
    """By their count and the seed."""
    card: Path


DEMOS: Mapping[Modality, Demo] = {
    "fundus": Demo(title="Retinopathy grader on synthetic eyes", eyes=cohort, card=grader_card()),
    "slit-lamp": Demo(
        title="Keratitis and cataract in synthetic slit lamp photographs",
        eyes=front_cohort,
        card=anterior_card(),
    ),
    "oct": Demo(
        title="Drusen and fluid in synthetic sections of the macula",
        eyes=oct_cohort,
        card=oct_card(),
    ),
}

_PLAN = """\
# What `foveal demo` ran. Run it again with `foveal run plan.toml --trust`.
name = "{title}"
seed = {seed}

[[images]]
manifest = "cohort.csv"
regions = "masks/{{stem}}_{{region}}.png"
modality = "{modality}"

[[models]]
card = "model/{card}"
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


def write_demo(folder: Path, *, eyes: int, seed: int, modality: Modality = "fundus") -> Path:
    """Write eyes, masks, manifest, model card and plan; gives the plan's path.

    Raises:
        StoreError: The folder cannot be written.
    """
    shown = DEMOS[modality]
    try:
        for name in ("images", "masks", "model"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        rows = [_write_eye(eye, folder, n) for n, eye in enumerate(shown.eyes(eyes, seed), 1)]
        with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for file in _model_files(shown.card):
            shutil.copyfile(file, folder / "model" / file.name)
        plan = folder / "plan.toml"
        text = _PLAN.format(seed=seed, title=shown.title, modality=modality, card=shown.card.name)
        plan.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise StoreError(
            f"cannot write the demo into {folder}: {problem.strerror or problem}"
        ) from problem
    return plan


def _write_eye(eye: AnyEye, folder: Path, number: int) -> dict[str, object]:
    stem = f"eye{number:02d}"
    name = _write_image(eye.image, folder / "images", stem)
    for region in eye.regions:
        if region.kind == "lesion" and region.mask.any():
            code = region.name.replace(" ", "-")
            PillowImage.fromarray(region.mask).save(folder / "masks" / f"{stem}_{code}.png")
    return {
        "image": f"images/{name}",
        "patient": eye.image.patient,
        "eye": eye.image.eye,
        "laterality": eye.image.laterality,
        "grade": eye.grade if isinstance(eye, Eye) else eye.label,
    }


def _write_image(image: Image, folder: Path, stem: str) -> str:
    """Photographs as PNG; sections as DICOM, which keeps how large their pixels are."""
    pixels = np.rint(image.pixels * 255).astype(np.uint8)
    if image.modality != "oct" or image.spacing_mm is None:
        PillowImage.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{stem}.png")
        return f"{stem}.png"
    from foveal.synthetic.dicom import ophthalmic_tomography  # pydicom is slow to import

    dataset = ophthalmic_tomography(
        pixels,
        spacing_mm=image.spacing_mm,
        laterality="L" if image.laterality == "left" else "R",
        patient=image.patient or "P000",
    )
    dataset.save_as(folder / f"{stem}.dcm")
    return f"{stem}.dcm"


def _model_files(card: Path) -> list[Path]:
    """The card, its weights and the image of its check."""
    facts = tomllib.loads(card.read_text(encoding="utf-8"))
    return [card, card.with_name(facts["weights"]), card.with_name(facts["check"]["image"])]
