"""What a run says of its cohort: against scikit-learn and by hand, and what bad tables give."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from sklearn import metrics

from foveal.analysis.calibration import ece
from foveal.analysis.calibrator_file import read_calibrator
from foveal.analysis.calibrators import Temperature
from foveal.analysis.deferral import Deferral
from foveal.analysis.estimate import Estimate
from foveal.analysis.fitting import Fitting, fit_calibrator
from foveal.analysis.recalibrated import split_by_patient
from foveal.analysis.records import Place, read_records
from foveal.analysis.resampling import Bootstrap
from foveal.app.calibrating import calibrate
from foveal.core import ModelError, Prediction, StoreError
from foveal.report import schema, write_audit, write_page
from foveal.report.proof import proof_of
from foveal.report.proof.chapter import plots
from foveal.report.proof.performance import judged
from foveal.report.proof.say import (
    debiased_in_words,
    estimate_in_words,
    limits_in_words,
    methods_in_words,
    null_in_words,
    p_in_words,
)
from foveal.report.proof.trust import trust
from foveal.report.summary import map_label
from foveal.store import Case, Measured

CLASSES = ("No DR", "Mild", "Severe")
METHODS = ("gradcam", "layercam", "lrp")
MASS, CURVE = "relevance_mass", "deletion_auc"


@pytest.fixture(scope="session")
def write_cohort(make_case, make_view, make_map, make_score, make_run):
    """A run of eyes whose numbers are known: probabilities, grades, and two scores a map."""

    def written(eyes: int = 60, **changes):
        random = np.random.default_rng(11)
        truth = random.integers(3, size=eyes)
        logits = 1.5 * np.eye(3)[truth] + random.normal(size=(eyes, 3))
        table = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
        mass = np.clip(random.normal(0.4, 0.1, (eyes, 1)) + 0.05 * np.arange(3), 0.01, 0.99)
        cases = [
            one_case(number, truth[number], table[number], mass[number], **changes)
            for number in range(eyes)
        ]
        cases += changes.get("more", [])
        return make_run(*changes.get("shards", [cases]), models=[MODEL])

    def one_case(number, truth, chances, mass, **changes):
        made = []
        for place, key in enumerate(METHODS):
            down = [0.9, 0.6 - 0.1 * place, 0.2]
            parts = {
                "fractions": [0.0, 0.5, 1.0], "scores": down,
                "null_scores": [[0.9, 0.8, 0.2], [0.9, 0.7, 0.2]],
                "control_scores": {"edges": [0.9, 0.65, 0.2]},
            }  # fmt: skip
            settings = {"value": float(mass[place]), "chance": 0.3}
            if changes.get("without_number") == (number, key):
                settings = {"value": None, "reason": "zero_map"}
            scores = (
                Measured(score=make_score(name=MASS, **settings), region="all lesions"),
                Measured(score=make_score(name=CURVE, value=0.5, direction="lower", parts=parts)),
            )
            made.append(make_map(key=key, scores=scores))
        said = Prediction(
            label=CLASSES[int(chances.argmax())],
            index=int(chances.argmax()),
            values=dict(zip(CLASSES, chances.tolist(), strict=True)),
        )
        label = changes.get("label", lambda grade: str(grade))(int(truth))
        labels = {} if label is None else {"grade": label}
        labels |= {"device": "AB"[number // 2 % 2], "age": str(30 + number), "site": "one"}
        return make_case(
            f"I-{number:03d}",
            patient=changes.get("patient", lambda n: f"P-{n // 2}")(number),
            eye=changes.get("eye", lambda n: f"E-{n}")(number),
            laterality="right" if number % 2 else "left",
            labels=labels,
            views=(make_view(prediction=said, explained=tuple(made), regions=(), losses=()),),
        )

    return written


MODEL = {
    "name": "grader", "task": "ordinal", "head": "softmax", "classes": list(CLASSES), "unit": None,
    "input": {"size": [20, 20], "color": "rgb", "mean": [0.5], "std": [0.25]},
    "fingerprint": "a" * 64, "gives": ["scores"], "check": "no check", "notes": [], "layers": [],
    "parameters": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def cohort(write_cohort):
    run = write_cohort()
    return run, read_records(run), proof_of(run)


def columns(records):
    answers = records.answers["grader"]
    return np.array(records.facts["grade"], int), answers.predicted, answers.probability


def test_tables_come_back_as_columns_in_the_order_of_the_run(cohort):
    run, records, _ = cohort
    cases = list(run.cases())
    assert records.images == tuple(case.id for case in cases)
    assert records.units.count == 30
    place = Place("grader", "predicted", "lrp", MASS, "all lesions")
    expected = [case.views[0].explained[2].scores[0].score.value for case in cases]
    np.testing.assert_array_equal(records.scores.column(place).value, expected)
    assert records.scores.directions == {MASS: "higher", CURVE: "lower"}
    nowhere = records.scores.column(place._replace(measure="iou"))
    assert np.isnan(nowhere.value).all()
    assert nowhere.missing == {}
    own = [list(case.views[0].prediction.values.values()) for case in cases]
    np.testing.assert_array_equal(records.answers["grader"].probability, own)


def test_performance_is_that_of_scikit_learn(cohort):
    _, records, proof = cohort
    truth, said, chances = columns(records)
    (found,) = proof.performances
    values = {name: value.estimate for name, _, value in found.numbers}
    assert values["Accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    kappa = metrics.cohen_kappa_score(truth, said, weights="quadratic")
    assert values["Quadratic weighted kappa"] == pytest.approx(kappa)
    assert values["Mean distance"] == pytest.approx(np.abs(truth - said).mean())
    assert values["Macro F1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    area = metrics.roc_auc_score(truth, chances, multi_class="ovr")
    assert values["Macro AUC"] == pytest.approx(area)
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(truth, said))
    for cut, first in zip(found.cuts, (1, 2), strict=True):
        assert cut.positives == (truth >= first).sum()
        area = metrics.roc_auc_score(truth >= first, chances[:, first:].sum(axis=1))
        assert cut.auc.estimate == pytest.approx(area)
        sensitivity = metrics.recall_score(truth >= first, said >= first)
        assert cut.rates["sensitivity"].estimate == pytest.approx(sensitivity)
    assert all(value.n_units == 30 for _, _, value in found.numbers)


def test_confidence_is_that_of_the_named_class(cohort):
    _, records, proof = cohort
    truth, said, chances = columns(records)
    (found,) = proof.trusts
    (reading,) = found.readings
    values = {name: value.estimate for name, _, value in reading.numbers}
    assert values["Log loss"] == pytest.approx(metrics.log_loss(truth, chances))
    squares = ((chances - np.eye(3)[truth]) ** 2).sum(axis=1).mean()
    assert values["Brier score"] == pytest.approx(squares)
    sure, wrong = chances.max(axis=1), said != truth
    falling = wrong[np.argsort(-sure)]
    risk = np.cumsum(falling) / np.arange(1, 61)
    np.testing.assert_allclose(found.curve.risk, risk)
    assert found.areas[0][2].estimate == pytest.approx(risk.mean())
    accuracy = {share: value.estimate for share, value in found.accuracy}
    assert accuracy[0.8] == pytest.approx(1 - risk[47])


def test_thresholds_are_judged_on_patients_that_they_were_not_chosen_on(cohort):
    _, _, proof = cohort
    by_coverage, guaranteed = proof.trusts[0].kept
    assert "chosen on 15 patients, about half" in by_coverage.chosen
    assert by_coverage.chosen.endswith("judged on the other 15")
    assert by_coverage.deferral.rows == 30
    assert by_coverage.coverage.n_units == 15
    assert guaranteed.deferral.rule == "sgr"
    assert (guaranteed.risk is None) == (guaranteed.deferral.threshold is None)


def test_a_threshold_from_the_calibrator_says_on_whom_it_was_chosen_and_is_judged_on_all(cohort):
    _, records, _ = cohort
    given = Deferral(threshold=0.6, rule="coverage", asked=0.8, coverage=0.8, risk=0.1, rows=40)
    found = trust(judged(records, MODEL), records, Bootstrap(resamples=100), given, None)
    assert found.kept[0].coverage.n_units == 30
    assert "before the run, on 40 images of those that judged the calib" in found.kept[0].chosen
    assert "judged on all of this run's 30 patients. Where patients are in" in found.kept[0].chosen
    assert all(sum(one.decisions.values()) == 60 for one in found.placed)


def test_decisions_are_counted_by_confidence_and_place(cohort):
    run, records, proof = cohort
    chances = columns(records)[2].max(axis=1)
    truth = columns(records)[0]
    (found,) = proof.trusts
    # The threshold comes from half of the patients, so only the others are counted.
    judges = ~split_by_patient(records.units, seed=run.header["seed"], strata=truth)
    assert judges.sum() == 30
    for one, key in zip(found.placed, METHODS, strict=True):
        mass = records.scores.column(Place("grader", "predicted", key, MASS, "all lesions")).value
        sure, there = chances >= found.threshold, mass > 0.3
        assert list(one.decisions.values()) == [
            (judges & sure & there).sum(),
            (judges & sure & ~there).sum(),
            (judges & ~sure & there).sum(),
            (judges & ~sure & ~there).sum(),
        ]


def test_removal_curves_are_means_and_their_controls_are_named(cohort):
    _, _, proof = cohort
    (found,) = proof.removals
    half = len(found.fractions) // 2
    assert [curve.mean[half] for curve in found.methods] == pytest.approx([0.6, 0.5, 0.4])
    controls = {curve.name: curve.mean[half] for curve in found.controls}
    assert controls == {"random orders": pytest.approx(0.75), "edges": pytest.approx(0.65)}
    assert found.images == 60


def test_groups_are_the_columns_with_a_few_values(cohort):
    _, records, proof = cohort
    truth, said, _ = columns(records)
    accuracy = {t.column: t for t in proof.groups.tables if t.number == "accuracy"}
    assert set(accuracy) == {"laterality", "grade", "device", "age"}
    assert proof.groups.skipped == {"site": "one value only: nothing to compare"}
    for row in accuracy["device"].rows:
        inside = np.array(records.facts["device"]) == row.name
        assert row.estimate.estimate == pytest.approx((said == truth)[inside].mean())
        assert (row.images, row.patients) == (inside.sum(), inside.sum() // 2)
    assert [row.name for row in accuracy["age"].rows] == [
        "below 40", "40 to below 60", "60 to below 75", "75 and above",
    ]  # fmt: skip


def test_the_gallery_follows_its_rules(cohort):
    run, records, proof = cohort
    truth, said, chances = columns(records)
    random, worst, wrong = proof.picks
    assert len(set(random.images)) == 4
    assert proof_of(run).picks == proof.picks
    mass = np.mean(
        [
            np.argsort(np.argsort(records.scores.column(
                Place("grader", "predicted", key, MASS, "all lesions")).value))
            for key in METHODS
        ],
        axis=0,
    )  # fmt: skip
    tenth = np.array(records.images)[mass <= np.quantile(mass, 0.1)]
    assert set(worst.images) <= set(tenth)
    order = np.argsort(-np.where(said != truth, chances.max(axis=1), -1))
    assert wrong.images == tuple(np.array(records.images)[order[:4]])


def test_the_page_shows_every_plot_with_its_words(cohort):
    run, _, proof = cohort
    page = write_page(run, max_cases=0).read_text(encoding="utf-8")
    drawn = list(plots(proof, lambda key: map_label(run.header, key)))
    assert {plot.name for plot in drawn} == {
        "methods-0", "boxes-0", "curves-0", "confusion-0", "reliability-0", "risk-0", "place-0",
    }  # fmt: skip
    for plot in drawn:
        assert plot.uri in page
    for image in {name for pick in proof.picks for name in pick.images}:
        assert f'class="fv-case" id="{anchor_of(page, image)}"' in page
    accuracy = estimate_in_words(proof.performances[0].numbers[0][2])
    assert f"<dd>{accuracy}, on 60 labelled images</dd>" in page
    wide = [one for one in re.findall("<figure[^>]*fv-plot[^>]*>", page) if "fv-one" not in one]
    assert len(wide) == 4
    assert all('tabindex="0"' in one for one in wide), "what scrolls is reached without a mouse"


def test_the_audit_file_tells_the_same_numbers(cohort):
    run, _, proof = cohort
    told = json.loads(write_audit(run).read_text(encoding="utf-8"))
    Draft202012Validator(schema()).validate(told)
    (found,) = told["proof"]["performance"]
    assert found["numbers"]["Accuracy"]["estimate"] == proof.performances[0].numbers[0][2].estimate
    assert found["confusion"] == proof.performances[0].confusion.tolist()
    pairs = [pair for row in proof.matches[0].rows for pair in row.contest.pairs]
    rows = told["proof"]["matches"][0]["measures"]
    assert [pair["p"] for row in rows for pair in row["pairs"]] == [pair.p for pair in pairs]
    assert len(told["proof"]["means"]) == len(proof.intervals)


def anchor_of(page, image):
    return re.search(rf'href="#(case-\w+)">{image}<', page)[1]


TROUBLE = [
    pytest.param({"patient": lambda n: "P-1"}, "One patient only", id="one patient"),
    pytest.param(
        {"patient": lambda n: None},
        "The eye is the unit, since no patient is named: 16 eyes.",
        id="no patients",
    ),
    pytest.param(
        {"patient": lambda n: None, "eye": lambda n: None},
        "The image is the unit, since neither patients nor eyes are named: 16 images.",
        id="no patients and no eyes",
    ),
    pytest.param(
        {"patient": lambda n: f"P-{n // 2}" if n < 4 else None},
        "The patient is the unit, and where no patient is named each eye or image counts as one: "
        "14 units, each drawn",
        id="patients of some",
    ),
    pytest.param({"label": lambda grade: "1"}, "every image is of one class, Mild", id="one class"),
    pytest.param({"label": lambda grade: None}, "the run has no labels", id="no labels"),
    pytest.param(
        {"label": lambda grade: "nan" if grade else "0"}, "have no truth or no answer",
        id="labels that are no number",
    ),
    pytest.param(
        {"label": lambda grade: "unclear"}, "no explained image has a grade that is a class",
        id="labels that are no class",
    ),
    pytest.param(
        {"without_number": (3, "lrp")}, "1: the map has no positive value inside the field",
        id="a constant map",
    ),
    pytest.param({"eyes": 1}, "One patient only", id="one image"),
    pytest.param(
        {"eyes": 0, "more": [Case(id="I-9", failure="dark")]}, "no image could be explained",
        id="nothing explained",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), TROUBLE)
def test_every_trouble_has_its_answer_in_words(write_cohort, changes, says):
    run = write_cohort(**{"eyes": 16, **changes})
    page = write_page(run, max_cases=0).read_text(encoding="utf-8")
    told = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page)).replace("’", "'")
    assert says.lower() in told.lower()
    assert not re.findall(r">\s*nan\s*<", page.partition('<section id="cases"')[0])


def test_images_that_failed_are_no_units(write_cohort):
    failed = [Case(id=f"I-9{number}", failure="dark") for number in range(5)]
    proof = proof_of(write_cohort(eyes=16, more=failed))
    assert proof.units == "The patient is the unit: 8 patients, each drawn with all images."
    assert not any("patient id" in note for note in proof.notes)


def test_an_image_that_is_there_twice_is_refused(write_cohort, make_case):
    run = write_cohort(shards=[[make_case("I-0")], [make_case("I-0")]])
    with pytest.raises(StoreError, match="holds the image I-0 twice"):
        proof_of(run)


def test_a_calibrator_comes_from_some_patients_and_is_judged_on_others(cohort):
    _, records, _ = cohort
    fitted, made = fit_calibrator(records, MODEL, Fitting(coverage=0.8))
    assert isinstance(fitted.calibrator, Temperature)
    assert (fitted.rows, fitted.units, fitted.unit) == (30, 15, "patient")
    assert fitted.measured["log loss"] == (made.raw[0], made.calibrated[0])
    assert fitted.deferral.rows == 30
    assert fitted.deferral.coverage >= 0.8
    assert fit_calibrator(records, MODEL, Fitting(coverage=0.8))[0] == fitted


UNFIT = [
    pytest.param({"label": lambda grade: None}, "has no labelled answers", id="no labels"),
    pytest.param({"label": lambda grade: "1"}, "30 images of 15 patients.*one class", id="class"),
    pytest.param({"patient": lambda n: "P"}, "the run has 1 patient with", id="one patient"),
    pytest.param({"eyes": 38}, "10 others to be judged on, but the run has 19", id="few patients"),
]


@pytest.mark.parametrize(("changes", "says"), UNFIT)
def test_what_cannot_be_fitted_is_refused_with_what_is_needed(write_cohort, changes, says):
    with pytest.raises(ModelError, match=says):
        fit_calibrator(read_records(write_cohort(**changes)), MODEL, Fitting())


def test_too_few_on_one_side_and_answers_that_are_all_right_are_refused(cohort):
    _, records, _ = cohort
    with pytest.raises(ModelError, match=r"leaves 24 patients to fit .* and 6 patients to judge"):
        fit_calibrator(records, MODEL, Fitting(share=0.8))
    answers = records.answers["grader"]
    right = replace(answers, predicted=np.array(records.facts["grade"], int))
    with pytest.raises(ModelError, match=r"30 images of 15 patients .* are all answered right"):
        fit_calibrator(replace(records, answers={"grader": right}), MODEL, Fitting())


def test_the_command_refuses_a_calibrator_that_is_worse_on_the_others(cohort, tmp_path):
    card = tmp_path / "dr.toml"
    card.write_text('name = "grader"')
    asked = [str(cohort[0].folder), "--card", str(card), "--method", "platt"]
    made = fit_calibrator(cohort[1], MODEL, Fitting(method="platt"))[1]
    assert made.calibrated[0] > made.raw[0]
    done = CliRunner().invoke(calibrate, asked)
    assert isinstance(done.exception, ModelError)
    assert "fitted on 30 images of 15 patients, judged on 30 images of 15 patients" in done.output
    assert "note: to judge: only 15 patients: fewer than 30, so be wary" in done.output
    assert "to use it" not in done.output
    assert not (tmp_path / "dr.calibrator.json").exists()


def test_the_command_writes_beside_the_card_what_the_function_fits(cohort, tmp_path):
    run, records, _ = cohort
    card = tmp_path / "dr.toml"
    card.write_text('name = "grader"')
    asked = [str(run.folder), "--card", str(card), "--risk", "0.4", "--seed", "1"]
    done = CliRunner().invoke(calibrate, asked, catch_exceptions=False)
    fitted, _ = fit_calibrator(records, MODEL, Fitting(risk=0.4, seed=1))
    assert read_calibrator(tmp_path / "dr.calibrator.json") == fitted
    assert 'calibrator = "dr.calibrator.json"' in done.output
    assert "log loss: " in done.output
    card.write_text('name = "another"')
    with pytest.raises(ModelError, match="the run has no model 'another'"):
        CliRunner().invoke(calibrate, asked, catch_exceptions=False)


def test_a_segmentation_has_no_calibrator(cohort):
    with pytest.raises(ModelError, match="is a segmentation model"):
        fit_calibrator(cohort[1], {**MODEL, "task": "segmentation"}, Fitting())


SETTINGS = [
    pytest.param({"share": 1.0}, "share must lie between", id="share"),
    pytest.param({"risk": 0.0}, "risk must lie between", id="risk"),
    pytest.param({"risk": 0.1, "coverage": 0.8}, "by coverage or by risk", id="both"),
]


@pytest.mark.parametrize(("settings", "says"), SETTINGS)
def test_a_fit_is_checked_at_birth(settings, says):
    with pytest.raises(ValueError, match=says):
        Fitting(**settings)


def test_small_p_values_are_told_by_their_bound():
    assert [p_in_words(p) for p in (0.0004, 0.0316, 1.0)] == ["p < 0.001", "p = 0.032", "p > 0.99"]


def test_a_limit_next_to_nothing_is_0_and_each_way_to_an_interval_is_told_once():
    made = {"n_units": 9, "unit": "patient"}
    wide = Estimate(estimate=0.5, low=9.63e-8, high=1.0, method="bootstrap", **made)
    small = Estimate(estimate=2e-8, low=1e-8, high=3e-8, method="Wilson", **made)
    assert limits_in_words(wide) == "0 to 1"
    assert limits_in_words(small).startswith("1\u202f×\u202f10⁻⁸ to 3")
    numbers = [("Accuracy", "", small), ("Macro F1", "", wide), ("Macro AUC", "", wide)]
    assert methods_in_words(numbers[1:]) == "bootstrap"
    assert methods_in_words(numbers) == "Wilson (Accuracy); bootstrap (Macro F1 and Macro AUC)"


def test_sure_answers_have_a_null_whose_mean_is_above_its_95th_percentile_and_it_is_said():
    sure = ece(np.full(8, 0.995), np.ones(8, bool), bins=3)
    # Of 8 answers all are right 96 times in 100, with a gap of 0.005; else it is 0.12 or more.
    assert sure.null_high == pytest.approx(0.005)
    assert sure.null_mean > sure.null_high
    assert "lifts the average" in null_in_words(sure)
    assert "lifts the average" not in null_in_words(ece(np.full(99, 0.6), np.arange(99) < 60))


def test_a_debiased_error_that_was_cut_at_0_says_so():
    found = ece(np.full(20, 0.52), np.arange(20) < 10, bins=1)
    assert found.debiased_squared < 0
    assert "0, cut: its square is −0.0128" in debiased_in_words(found)
    far = ece(np.full(20, 0.9), np.arange(20) < 10, bins=1)
    assert debiased_in_words(far) == "0.383"
