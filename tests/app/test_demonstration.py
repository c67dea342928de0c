"""What the demo writes for each kind of image is a cohort like any other."""

import csv

import pytest

from foveal.app.demonstration import DEMOS, write_demo
from foveal.images import read, read_regions
from foveal.models import load
from foveal.run import read_plan
from foveal.run.knowledge import scale_for


@pytest.mark.parametrize("modality", ["oct", "slit-lamp"])
def test_the_demo_s_plan_names_a_cohort_with_masks_and_a_model_that_knows_its_classes(
    modality, tmp_path
):
    plan = read_plan(write_demo(tmp_path, eyes=3, seed=0, modality=modality))
    assert [table.modality for table in plan.images] == [modality]
    with (tmp_path / "cohort.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["grade"] for row in rows) == ["0", "1", "2"]
    for row in rows:
        picture = read(tmp_path / row["image"])
        assert len(picture.pixels) == (1 if modality == "oct" else 3)
        assert (picture.spacing_mm is not None) == (modality == "oct")
        masks = list((tmp_path / "masks").glob(f"{(tmp_path / row['image']).stem}_*.png"))
        assert bool(masks) == (row["grade"] != "0")
    (mask, *_) = sorted((tmp_path / "masks").iterdir())
    (file,) = (tmp_path / "images").glob(f"{mask.stem.partition('_')[0]}.*")
    image = read(file)
    (region, *_) = read_regions(mask, image=image)
    assert region.kind == "lesion"
    model = load(tmp_path / "model" / DEMOS[modality].card.name, trust=True)
    scale = scale_for(model.card.classes)
    assert scale is not None
    assert modality in scale.modalities
