"""A study of preparation: what is compared, and that its numbers are right."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.core import Image, ImageError
from foveal.images import intensity_cv
from foveal.protocols import prepare_study, variants_of
from foveal.protocols.study_files import study_table, write_study

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


class Net(nn.Module):
    """Two classes from one convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.look = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.look(images)).mean(dim=(2, 3)))


def model(**table: object) -> foveal.Model:
    card = {
        "name": "net",
        "task": "multiclass",
        "classes": ["healthy", "ill"],
        "input": {
            "size": [32, 32],
            "mean": [0.4, 0.4, 0.4],
            "std": [0.2, 0.2, 0.2],
            "prepare": [{"step": "field-of-view"}, {"step": "resize"}],
            **table,
        },
    }
    return foveal.load_model(card, module=Net())


def eye(seed: int) -> Image:
    """A round field, brighter on one side."""
    rows, columns = np.mgrid[:48, :48] - 23.5
    light = 0.3 + 0.5 * (columns + 24) / 48 + 0.02 * np.random.default_rng(seed).random((48, 48))
    pixels = np.where(rows**2 + columns**2 < 20**2, light, 0.0)
    return Image(
        pixels=np.stack([pixels] * 3).astype(np.float32), modality="fundus", patient=f"Maria {seed}"
    )


def eyes(count: int = 3):
    return [(f"image {seed}", eye(seed), ()) for seed in range(count)]


ILLUMINATION = {"step": "illumination", "method": "background"}


def test_the_cards_own_steps_are_left_out_one_by_one_and_others_go_before_the_resize():
    variants = variants_of(model(), [ILLUMINATION, {"step": "normalisation"}])
    names = [variant.name for variant in variants]
    assert names == [
        "field-of-view (in the card)",
        "illumination method background",
        "z-score instead of [0, 1]",
    ]
    own, light, scaled = variants
    assert [step["step"] for step in own.before.card.input.prepare] == ["resize"]
    assert [step["step"] for step in light.after.card.input.prepare] == [
        "field-of-view", "illumination", "resize",
    ]  # fmt: skip
    assert scaled.before.card.input.mean == (0.0,)
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(scaled.before.forward(images), scaled.before.module(images))
    torch.testing.assert_close(
        scaled.after.forward(images), scaled.after.module((images - 0.4) / 0.2)
    )


def test_a_card_with_nothing_to_leave_out_needs_steps():
    bare = model(prepare=[{"step": "resize"}])
    with pytest.raises(ValueError, match="name the steps to be tried"):
        variants_of(bare)


@pytest.fixture(scope="module")
def study():
    return prepare_study(variants_of(model(), [ILLUMINATION]), eyes())


def test_the_evenness_of_the_light_is_that_of_the_prepared_pixels(study):
    variant = variants_of(model(), [ILLUMINATION])[1]
    rows = [r for r in study.rows if r.measure == "intensity_cv" and r.variant == variant.name]
    assert len(rows) == 3
    for row, (_, image, _) in zip(rows, eyes(), strict=True):
        for side, value in ((variant.before, row.before), (variant.after, row.after)):
            prepared, field = side.prepare(image)
            assert value == pytest.approx(intensity_cv(prepared.pixels, field.mask), rel=1e-5)
        assert row.before is not None
        assert row.after is not None
        assert row.after < 0.5 * row.before, "the light was uneven by construction"


def test_what_a_step_changes_is_compared_by_patient_and_adjusted_over_all(study):
    change = next(
        c
        for c in study.changes
        if c.measure == "intensity_cv" and c.variant.startswith("illumination")
    )
    values = [r for r in study.rows if (r.variant, r.measure) == (change.variant, change.measure)]
    assert change.before is not None
    assert change.before[1] == pytest.approx(np.median([row.before for row in values]))
    assert change.compared.difference.unit == "patient"
    assert change.compared.p == pytest.approx(0.25), "three signs: the smallest p is 2 / 2^3"
    assert change.compared.p_adjusted is not None
    assert change.compared.p_adjusted >= change.compared.p


def test_both_sides_explain_the_class_predicted_before_the_step(study):
    measures = {row.measure for row in study.rows}
    assert {"intensity_cv", "first_layer_grad_rms", "out_of_fov_mass", "hfpr", "map_ssim"} <= (
        measures
    )
    assert study.method == "gradcam"
    assert set(study.changed_answers) == {c.variant for c in study.changes}


def test_an_image_that_cannot_be_used_is_named_and_the_others_go_on():
    black = replace(eye(0), pixels=np.zeros((3, 48, 48), np.float32))
    images = [("image 1", ImageError("is empty"), ()), ("image 2", black, ()), *eyes(2)]
    study = prepare_study(variants_of(model()), images)
    assert study.failures["image 1"] == "is empty"
    assert "no field of view" in study.failures["image 2, field-of-view (in the card)"]
    assert len({row.image for row in study.rows}) == 2
    with pytest.raises(ImageError, match="no image could be studied: is empty"):
        prepare_study(variants_of(model()), images[:1])


def test_the_files_hold_every_number_and_no_name(study, tmp_path):
    page = write_study(study, tmp_path / "out")
    text = (tmp_path / "out" / "study.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert [float(row["before"]) for row in rows] == [row.before for row in study.rows]
    told = json.loads((tmp_path / "out" / "study.json").read_text(encoding="utf-8"))
    assert len(told["changes"]) == len(study.changes)
    for file in (tmp_path / "out").iterdir():
        assert "Maria" not in file.read_text(encoding="utf-8")
    assert "illumination method background" in page.read_text(encoding="utf-8")
    assert "intensity_cv" in study_table(study)


def test_a_card_without_a_z_score_has_none_to_compare():
    plain = model(mean=[0.0], std=[1.0])
    with pytest.raises(ValueError, match="there is no z-score to compare"):
        variants_of(plain, [{"step": "normalisation"}])


def several(task: str, classes: list[str]) -> foveal.Model:
    card = {
        "name": "net",
        "task": task,
        "classes": classes,
        "input": {"size": [32, 32], "prepare": [{"step": "field-of-view"}, {"step": "resize"}]},
    }
    return foveal.load_model(card, module=Net())


def test_of_several_findings_the_likeliest_before_the_step_is_explained_on_both_sides():
    found = several("multilabel", ["drusen", "haemorrhage"])
    prepared, _ = found.prepare(eye(0))
    values = found.predict(found.tensor(prepared)).values
    made = prepare_study(variants_of(found, [ILLUMINATION]), eyes(1))
    assert made.target == max(values, key=lambda name: values[name])


def test_a_model_of_values_changes_no_class():
    made = prepare_study(variants_of(several("regression", ["age", "length"])), eyes(1), target=0)
    assert set(made.changed_answers.values()) == {0}
