"""Images, masks and maps that are missing, empty or wrong: docs/bad-input.md, row by row."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.analysis import units_of
from foveal.core import Attribution, Image, PlanError, Region
from foveal.run import LEVELS, open_job, plan_from, read_plan, run
from foveal.run.measuring import Measuring, Yardstick
from foveal.run.placing import place_of
from foveal.store import ALL_LESIONS, Case, Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def worked(base, **images: object) -> Run:
    table = read_plan(base / "plan.toml").model_dump(by_alias=True, exclude_none=True)
    table["images"] = [images or table["images"][0]]
    table["models"] = [{"card": "model.toml", "targets": ["Severe"]}]
    table["methods"] = [{"name": "gradcam"}]
    (base / "eyes" / "Dora-Muster_L.jpg").unlink(missing_ok=True)
    return run(open_job(plan_from({**table, "level": "quick"}), base, trust=True)).run


def by_initial(base, kept: Run) -> dict[str, Case]:
    names = json.loads((base / "out.key.json").read_text())["names"]
    return {names[case.id].removeprefix("eyes/")[0]: case for case in kept.cases()}


def reasons(case: Case, region: str | None) -> set[str | None]:
    """Of all numbers on a region; what share of the map an empty one has is known to be none."""
    (explained,) = case.views[0].explained
    scores = [m.score for m in explained.scores if m.region == region]
    return {score.reason for score in scores if score.name != "region_shares"}


def test_masks_that_are_missing_empty_or_outside_take_away_their_own_numbers_only(cohort_folder):
    masks = cohort_folder / "masks"
    for mask in masks.glob("Bert*"):
        mask.unlink()
    empty, outside = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    outside[:3, :3] = 255
    PillowImage.fromarray(empty).save(masks / "Carla-Exempel_R_MA.png")
    PillowImage.fromarray(outside).save(masks / "Carla-Exempel_R_EX.png")

    kept = worked(cohort_folder)

    assert kept.failures() == {}
    eyes = by_initial(cohort_folder, kept)
    assert reasons(eyes["A"], "microaneurysms") == {None}
    assert eyes["B"].views[0].regions == ()
    assert {m.region for e in eyes["B"].views[0].explained for m in e.scores} == {None}
    told = [event["text"] for event in kept.events() if event["event"] == "warning"]
    assert [text.partition(":")[0] for text in told] == ["there is no mask of this image"]
    for region in ("microaneurysms", "hard exudates", "all lesions"):
        assert reasons(eyes["C"], region) == {"empty_mask"}
    assert reasons(eyes["C"], None) == {None}
    losses = {loss.region: loss for loss in eyes["C"].views[0].losses}
    assert losses["microaneurysms"].lesions == 0
    assert (losses["hard exudates"].lesions, losses["hard exudates"].lesions_lost) == (1, 1)


def test_masks_of_unknown_names_are_measured_alone_and_told(cohort_folder):
    for mask in (cohort_folder / "masks").glob("*_EX.png"):
        mask.rename(mask.with_name(mask.name.replace("_EX", "_scar")))
    for mask in (cohort_folder / "masks").glob("*_MA.png"):
        mask.rename(mask.with_name(mask.name.replace("_MA", "_corneal_ulcer")))

    kept = worked(cohort_folder)

    eye = by_initial(cohort_folder, kept)["A"]
    kinds = {region.name: region.kind for region in eye.views[0].regions}
    assert kinds == {"scar": "unknown", "corneal ulcer": "lesion"}
    (explained,) = eye.views[0].explained
    hit = {m.region for m in explained.scores if m.score.name == "lesion_hit_rate"}
    assert hit == {"corneal ulcer", ALL_LESIONS}
    told = [event["text"] for event in kept.events() if event["event"] == "warning"]
    assert len(told) == len(list(kept.cases()))
    assert all("lesions or structures: scar;" in text for text in told)


FIELD = np.zeros((16, 16), bool)
FIELD[2:14, 2:14] = True
LESION = np.zeros((16, 16), bool)
LESION[4:7, 4:7] = True
MAP = np.random.default_rng(0).random((16, 16)).astype(np.float32)
FLAT = np.full((16, 16), 2.0, np.float32)
WHOLE = {"out_of_fov_mass", "mean_attribution_area", "ebc", "gini", "map_entropy"}
OVERLAP = {"iou", "dice", "dice_over_max", "pap", "region_coverage", "region_shares"}
SHARES = {"relevance_mass", "mass_lift", "lesion_hit_rate", "false_highlight_rate"}
RANKS = {"pointing_game", "relevance_rank_accuracy"}
PLACED = [
    pytest.param(0 * MAP, LESION, "nan_map", set(), id="NaN in the map"),
    pytest.param(0 * MAP, LESION, "zero_map", set(), id="zero map"),
    pytest.param(
        -MAP, LESION, "zero_map", {"lesion_hit_rate", "cnr", "snr_roi"}, id="nothing positive"
    ),
    pytest.param(
        FLAT,
        LESION,
        "constant_map",
        WHOLE | OVERLAP | {"relevance_mass", "mass_lift", "pixel_ap", "pixel_auc"},
        id="constant map",
    ),
    pytest.param(
        MAP, LESION & False, "empty_mask", WHOLE | {"region_shares", "negative_image_profile"},
        id="empty mask",
    ),
    pytest.param(
        MAP, ~FIELD, "empty_mask", WHOLE | {"region_shares", "negative_image_profile"},
        id="mask outside the field",
    ),
    pytest.param(
        MAP, FIELD, "full_mask", WHOLE | OVERLAP | SHARES | RANKS, id="mask over the whole field"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("values", "mask", "reason", "numbers"), PLACED)
def test_what_cannot_be_measured_has_its_reason_and_no_number(values, mask, reason, numbers):
    image = Image(pixels=np.full((3, 16, 16), 0.5, np.float32))
    place = place_of(image, FIELD, [Region(name="drusen", mask=mask, kind="lesion")])
    by = Measuring(place, Yardstick(names=LEVELS["quick"]))
    told = reason if reason.endswith("_map") else None  # as the engine tells of such a map
    given = Attribution(map=values, method="gradcam", reason=told)
    found = list(by.measure(given))
    assert {m.score.name for m in found if m.score.value is not None} == numbers
    # Where a lesion fills the field, nothing is left over.
    told_of = [m for m in found if m.region != "background"]
    assert {m.score.reason for m in told_of if m.score.value is None} == {reason}


def manifest(base, *rows: str) -> dict[str, object]:
    (base / "cohort.csv").write_text("\n".join(rows))
    return {"manifest": "cohort.csv", "regions": "masks/{stem}_{region}.png"}


def test_an_image_that_is_named_twice_is_refused_before_the_run(cohort_folder):
    rows = ("image,patient", "eyes/Anna-Muster_R.png,1", "./eyes/Anna-Muster_R.png,2")
    with pytest.raises(PlanError, match="in the plan twice"):
        worked(cohort_folder, **manifest(cohort_folder, *rows))


@pytest.mark.parametrize(
    ("columns", "unit", "count"),
    [
        pytest.param(("patient", "7", "7"), "patient", 1, id="patients"),
        pytest.param(("eye", "a", "b"), "eye", 2, id="eyes"),
        pytest.param(("visit", "1", "1"), "image", 2, id="neither"),
    ],
)
def test_what_counts_as_one_is_what_the_manifest_names(cohort_folder, columns, unit, count):
    head, first, second = columns
    rows = (
        f"image,{head}",
        f"eyes/Anna-Muster_R.png,{first}",
        f"eyes/Bert-Beispiel_L.png,{second}",
    )
    cases = list(worked(cohort_folder, **manifest(cohort_folder, *rows)).cases())
    told = units_of([c.patient for c in cases], [c.eye for c in cases], [c.id for c in cases])
    assert (told.unit, told.count) == (unit, count)
    assert any("no patient ids" in note for note in told.notes) == (unit != "patient")


def test_an_image_that_fails_keeps_what_the_manifest_says_of_it(cohort_folder):
    head = "image,patient,eye,visit,grade"
    rows = ("eyes/Anna-Muster_R.png,7,R,1,2", "eyes/Bert-Beispiel_L.png,7,L,2,1")
    (cohort_folder / "eyes" / "Bert-Beispiel_L.png").write_text("no picture")
    kept = worked(cohort_folder, **manifest(cohort_folder, head, *rows))
    names = json.loads((cohort_folder / "out.key.json").read_text())["names"]
    told = {
        case.failure is None: (names[case.patient], names[case.eye], names[case.visit], case.labels)
        for case in kept.cases()
    }
    assert told[True] == ("7", "7/right", "1", {"grade": "2"})
    assert told[False] == ("7", "7/left", "2", {"grade": "1"})
    assert {case.laterality for case in kept.cases()} == {"right", "left"}
