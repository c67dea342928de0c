"""The four decisions without outlines: numbers of the map alone, tried against the masks."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from foveal.analysis.confidence import conf_loc_corr
from foveal.analysis.records import read_records
from foveal.analysis.resampling import Bootstrap
from foveal.core import Prediction
from foveal.report import schema, write_audit, write_page
from foveal.report.proof import proof_of
from foveal.report.proof.performance import judged
from foveal.report.proof.place import Sure, placed
from foveal.report.words import measure_name
from foveal.store import Measured

CLASSES = ("No DR", "Severe")
CHANCE = 0.4


@pytest.fixture(scope="module")
def write_eyes(make_case, make_view, make_map, make_score, make_run):
    """Two eyes a patient: half of the maps on the lesions, with what is asked for beside it."""

    def written(
        measured=("out_of_fov_mass",), *, patients=20, mass=None, noise=0.02, area=lambda n: CHANCE
    ):
        random = np.random.default_rng(3)
        masses = random.uniform(0.1, 0.7, 2 * patients) if mass is None else [mass] * 2 * patients
        numbers = {
            "out_of_fov_mass": lambda m: score("out_of_fov_mass", 0.5 - 0.5 * m, "lower"),
            "avg_sensitivity": lambda m: score("avg_sensitivity", random.uniform(), "lower"),
            "optic disc": lambda m: score("mass_lift", 3 - 3 * m, "higher", region="optic disc"),
        }

        def score(name, value, way, region=None, **more):
            value = float(np.clip(value + noise * random.normal(), 0, None))
            made = make_score(name=name, value=value, direction=way, range=(0, np.inf), **more)
            return Measured(score=made, region=region)

        def case(number, mass):
            chance = float(random.uniform(0.5, 1))
            grade = int(random.integers(2))
            own = [numbers[name](mass) for name in measured]
            place = make_score(value=float(mass), chance=area(number))
            explained = make_map(scores=(Measured(score=place, region="all lesions"), *own))
            said = Prediction(
                label=CLASSES[1], index=1, values={"No DR": 1 - chance, "Severe": chance}
            )
            return make_case(
                f"I-{number:02d}", patient=f"P-{number // 2}", eye=f"E-{number}",
                labels={"grade": str(grade)},
                views=(make_view(prediction=said, explained=(explained,), regions=(), losses=()),),
            )  # fmt: skip

        header = {"models": [{**MODEL, "classes": list(CLASSES)}]}
        return make_run([case(*one) for one in enumerate(masses)], **header)

    return written


MODEL = {
    "name": "grader", "task": "binary", "head": "softmax", "unit": None, "fingerprint": "a" * 64,
    "input": {"size": [20, 20], "color": "rgb", "mean": [0.5], "std": [0.25]}, "gives": ["scores"],
    "check": "no check", "notes": [], "layers": [], "parameters": 1,
}  # fmt: skip


def columns(run):
    """By image: its number of the map alone, and whether the map is on the lesions."""
    cases = sorted(run.cases(), key=lambda case: case.id)
    views = [case.views[0] for case in cases]
    scores = [[one.score.value for one in view.explained[0].scores] for view in views]
    return np.array(scores)[:, 1], np.array(scores)[:, 0] > CHANCE


def told(page):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page)).replace("’", "'")


def test_a_proxy_is_chosen_on_some_patients_and_judged_on_the_others(write_eyes):
    run = write_eyes()
    (found,) = proof_of(run).trusts
    (proxy,) = found.placed[0].proxies
    outside, there = columns(run)
    choose, judge = found.parts.choose, found.parts.judge
    # The best cut, tried one by one: at most so much mass outside counts as on the lesions.
    youden = {
        cut: (outside[choose & there] <= cut).mean() - (outside[choose & ~there] <= cut).mean()
        for cut in outside[choose]
    }
    assert youden[proxy.check.threshold] == max(youden.values())
    says = outside <= proxy.check.threshold
    assert proxy.check.sensitivity.estimate == pytest.approx(says[judge & there].mean())
    assert proxy.check.specificity.estimate == pytest.approx((~says)[judge & ~there].mean())
    alike = (says == there)[judge]
    assert proxy.check.same_decision.estimate == pytest.approx(alike.mean())
    assert proxy.check.same_decision.n_units == 10
    assert proxy.images == judge.sum() == 20
    assert (proxy.higher, proxy.check.trusted, proxy.reason) == (False, True, None)


def test_the_side_of_a_structure_is_learned_and_noise_may_not_stand_in(write_eyes):
    run = write_eyes(("optic disc", "avg_sensitivity"))
    proxies = {proxy.measure: proxy for proxy in proof_of(run).trusts[0].placed[0].proxies}
    disc = proxies["mass_lift"]
    assert (disc.region, disc.higher, disc.check.trusted) == ("optic disc", False, True)
    assert not proxies["avg_sensitivity"].check.trusted


def test_the_page_says_who_chose_and_judged_and_that_no_regulator_did(write_eyes):
    run = write_eyes(("out_of_fov_mass", "avg_sensitivity"))
    page = told(write_page(run, max_cases=0).read_text(encoding="utf-8"))
    (found,) = proof_of(run).trusts
    assert found.parts.words.startswith("chosen on 10 patients, about half, seed 7; judged on")
    assert f"was {found.parts.words}; it is this run's own choice, and no regulator's." in page
    assert "no regulator has set or approved any." in page
    outside = found.placed[0].proxies[0]
    row = page.partition(f"{measure_name('out_of_fov_mass')} at most")[2][:400]
    assert f"{outside.check.sensitivity.estimate:.3g}" in row
    assert "20 maps 10 patients yes" in row
    assert (
        page.partition(f"{measure_name('avg_sensitivity')} at most")[2].partition("patients ")[2][
            :2
        ]
        == "no"
    )


WITHOUT = [
    pytest.param({"measured": ()}, "the run measured none of them: mass outside", id="no numbers"),
    pytest.param({"patients": 1}, "one patient only: no threshold", id="one patient"),
    pytest.param(
        {"mass": 0.6}, "of 20 maps of the patients that choose the threshold every one is on",
        id="all on the lesions",
    ),
    pytest.param(
        {"mass": 0.2}, "of 20 maps of the patients that choose the threshold none is on",
        id="none on the lesions",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), WITHOUT)
def test_where_no_proxy_can_be_judged_the_reason_is_there(write_eyes, changes, says):
    run = write_eyes(**changes)
    assert says in told(write_page(run, max_cases=0).read_text(encoding="utf-8"))


def test_the_audit_file_holds_what_was_tried_and_no_number_without_a_threshold(write_eyes):
    for mass, threshold in ((None, True), (0.6, False)):
        made = json.loads(write_audit(write_eyes(mass=mass)).read_text(encoding="utf-8"))
        Draft202012Validator(schema()).validate(made)
        (proxy,) = made["proof"]["trust"][0]["place"][0]["proxies"]
        assert (proxy["threshold"] is not None) == threshold
        assert (proxy["sensitivity"]["estimate"] is not None) == threshold
        assert (proxy["reason"] is None) == threshold


def test_image_quality_is_held_still_beside_the_lesion_area(write_eyes):
    run = write_eyes(area=lambda number: 0.2 + 0.01 * (7 * number % 40))
    records = read_records(run)
    random = np.random.default_rng(5)
    (model,) = run.header["models"]
    one = judged(records, model)
    told = random.permutation(len(records.images)).astype(float)
    how = Bootstrap(resamples=100)
    sure = Sure(told + random.normal(size=len(told)), None, np.ones(len(told), bool))
    found = {}
    for name, texts in (("none", ()), ("numbers", told), ("words", ["good"] * len(told))):
        facts = {**records.facts, **({"quality": tuple(map(str, texts))} if len(texts) else {})}
        found[name] = next(iter(placed(one, replace(records, facts=facts), sure, None, how)))
    assert found["numbers"].held == ("lesion area", "image quality")
    assert found["none"].held == found["words"].held == ("lesion area",)
    mass = records.scores.column(
        next(p for p in records.scores.places if p.measure == "relevance_mass")
    )
    controls = (mass.chance, told)
    expected = conf_loc_corr(
        sure.confidence, mass.value, records.units, controls=controls, how=how
    ).partial
    assert found["numbers"].correlation.partial == expected
