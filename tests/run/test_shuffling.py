"""Maps of different patients, compared: what the stability of maps is held against."""

import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from skimage.transform import resize

import foveal
from foveal.analysis.records import Place
from foveal.analysis.shuffled import shuffled_kept
from foveal.core import Attribution
from foveal.measures import map_pearson, map_spearman, map_ssim, topk_iou
from foveal.models import load
from foveal.run import open_job, read_plan, remeasure, run
from foveal.run.gating import Witness
from foveal.run.measuring import Yardstick
from foveal.run.shuffling import LIKENESS, shuffled_of
from foveal.store import Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

SIDE = 64
DISC = np.hypot(*(np.indices((SIDE, SIDE)) - 31.5)) < 30
FUNCTIONS = {one.__name__: one for one in (map_ssim, map_pearson, map_spearman, topk_iou)}
PLACES = [Place("grader", "predicted", "a", measure, None) for measure in LIKENESS]


def witness(number: int, map: np.ndarray, field: np.ndarray = DISC, **more: np.ndarray) -> Witness:
    drawn = {
        ("predicted", key): Attribution(map=one.astype(np.float32), method=key)
        for key, one in {"a": map, **more}.items()
    }
    pixels = np.zeros((3, SIDE, SIDE), np.float32)
    return Witness(patient=f"P-{number}", pixels=pixels, field=field, target=None, drawn=drawn)


def means(witnesses: list[Witness]) -> dict[str, float]:
    found = shuffled_of("grader", witnesses, PLACES)
    assert {len(values) for values in found.values()} == {len(witnesses)}
    return {place.measure: fmean(values) for place, values in found.items()}


def test_a_method_that_draws_one_map_for_every_image_has_a_chance_of_one():
    map = np.random.default_rng(0).random((8, 8))
    found = means([witness(number, map) for number in range(4)])
    assert found == pytest.approx(dict.fromkeys(FUNCTIONS, 1.0))


def test_maps_that_have_nothing_to_do_with_each_other_come_near_the_closed_forms():
    random = np.random.default_rng(1)
    found = means([witness(number, random.random((SIDE, SIDE))) for number in range(12)])
    # The mean of 12 correlations over n pixels has a standard error of 1 / sqrt(12 n).
    slack = 4 / np.sqrt(12 * DISC.sum())
    assert found["map_pearson"] == pytest.approx(0, abs=slack)
    assert found["map_spearman"] == pytest.approx(0, abs=slack)
    assert found["topk_iou"] == pytest.approx(0.1 / 1.9, abs=0.01)


def test_each_map_is_compared_with_that_of_the_next_patient_on_its_own_field():
    random = np.random.default_rng(2)
    maps = [random.standard_normal((4, 4)) for _ in range(3)]
    fields = [DISC, np.roll(DISC, 9, axis=0), np.roll(DISC, -9, axis=1)]
    found = shuffled_of(
        "grader", [witness(n, m, f) for n, (m, f) in enumerate(zip(maps, fields, strict=True))],
        PLACES,
    )  # fmt: skip
    large = [resize(map, (SIDE, SIDE), order=1, mode="edge") for map in maps]
    for place, values in found.items():
        expected = [
            FUNCTIONS[place.measure](large[one], large[other], field=fields[one]).value
            for one, other in ((0, 1), (1, 2), (2, 0))
        ]
        assert values == pytest.approx(expected, abs=1e-3), place.measure


def test_a_constant_map_makes_no_pair_and_a_missing_one_passes_the_turn():
    random = np.random.default_rng(3)
    first, second, third = (random.random((SIDE, SIDE)) for _ in range(3))
    flat = np.zeros((SIDE, SIDE))
    drawn = [witness(0, first, b=first), witness(1, flat), witness(2, second, b=third)]
    of_b = [place._replace(key="b") for place in PLACES]
    found = shuffled_of("grader", drawn, [*PLACES, *of_b])
    assert {len(found[place]) for place in PLACES} == {1}
    assert {len(found[place]) for place in of_b} == {2}
    pearson = map_pearson(second, first, field=DISC).value
    assert found[PLACES[1]] == pytest.approx((pearson,), abs=1e-6)
    assert shuffled_of("grader", [witness(0, flat), witness(1, first)], PLACES) == {}


def test_one_patient_or_another_model_has_none():
    map = np.random.default_rng(4).random((SIDE, SIDE))
    assert shuffled_of("grader", [witness(0, map)], PLACES) == {}
    assert shuffled_of("another", [witness(0, map), witness(1, map)], PLACES) == {}


def with_measures(base: Path, *names: str, folder: str = "out") -> Run:
    plan = read_plan(base / "plan.toml")
    measures = plan.measures.model_copy(update={"names": names})
    output = plan.output.model_copy(update={"folder": folder})
    plan = plan.model_copy(update={"measures": measures, "output": output})
    return run(open_job(plan, base, trust=True)).run


@pytest.fixture
def two_eyes(cohort_folder: Path) -> Path:
    (cohort_folder / "eyes" / "Carla-Exempel_R.png").unlink()
    return cohort_folder


def test_a_run_of_two_patients_holds_the_pairs_of_each_question_and_method(two_eyes):
    made = with_measures(two_eyes, "map_pearson")
    kept = made.header["shuffled"]
    assert [(one["model"], one["target"], one["key"], one["measure"]) for one in kept] == [
        ("tiny", question, key, "map_pearson")
        for question in ("predicted", "grade >= 2")
        for key in ("gradcam", "occlusion-8")
    ]
    first, second = (case.views[0] for case in made.cases() if case.failure is None)
    for number, one in enumerate(kept):
        assert one["mean"] == fmean(one["values"])
        pair = [
            resize(view.explained[number].attribution.map, (32, 32), order=1, mode="edge")
            for view in (first, second)
        ]
        expected = [
            map_pearson(*pair, field=first.field).value,
            map_pearson(*pair, field=second.field).value,
        ]
        assert one["values"] == pytest.approx(expected, abs=1e-3)


def test_it_is_the_same_however_often_the_run_is_taken_up(cohort_folder):
    made = with_measures(cohort_folder, "map_ssim", "mprt")
    before = (made.folder / "run.json").read_bytes()
    assert len(json.loads(before)["shuffled"]) == 4
    with_measures(cohort_folder, "map_ssim", "mprt")
    assert (made.folder / "run.json").read_bytes() == before


def test_without_a_measure_of_likeness_or_a_second_patient_there_is_none(two_eyes):
    assert "shuffled" not in with_measures(two_eyes, "max_sensitivity", folder="other").header
    (two_eyes / "eyes" / "Bert-Beispiel_L.png").unlink()
    assert with_measures(two_eyes, "map_ssim", folder="alone").header["shuffled"] == []


def test_measuring_a_finished_run_adds_what_planning_it_would_have_given(two_eyes):
    planned = with_measures(two_eyes, "map_spearman", folder="planned")
    later = with_measures(two_eyes, "gini", folder="later")
    model = load(two_eyes / "model.toml", trust=True)
    yardstick = Yardstick(names=("map_spearman",), seed=3, perturbations=4, costly=True)
    remeasure(later, yardstick, models=[model])
    assert Run.open(later.folder).header["shuffled"] == planned.header["shuffled"]
    remeasure(later, Yardstick(names=("topk_iou",), perturbations=4), models=[model])
    measures = [one["measure"] for one in later.header["shuffled"]]
    assert measures == ["map_spearman"] * 4 + ["topk_iou"] * 2, "occlusion was not asked again"


def test_a_result_in_memory_has_it_shows_it_and_saves_it(two_eyes, tmp_path):
    model = foveal.load_model(two_eyes / "model.toml", trust=True)
    eyes = [foveal.read(path) for path in sorted((two_eyes / "eyes").glob("*.png"))]
    result = foveal.explain(model, eyes, "gradcam", out=tmp_path / "saved")
    foveal.measure(result, measures=["map_pearson"])
    ((place, values),) = result.shuffled.items()
    assert place == Place("tiny", "predicted", "gradcam", "map_pearson", None)
    planned = shuffled_kept(with_measures(two_eyes, "map_pearson").header)
    assert values == pytest.approx(planned[place], abs=1e-5)
    (measured,) = result.case(0).views[0].explained[0].scores
    assert measured.score.chance == fmean(values)
    assert shuffled_kept(Run.open(tmp_path / "saved").header) == result.shuffled
