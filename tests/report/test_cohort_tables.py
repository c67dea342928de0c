"""All images together: means by hand, nothing dropped, questions kept apart."""

import numpy as np
import pytest

from foveal.core import Region
from foveal.report.cohort import Cohort, beats_chance, missing_in_words, pooled_target
from foveal.store import Case, Measured

BEATS = [
    pytest.param({"value": 0.5, "chance": 0.25}, True, id="higher"),
    pytest.param({"value": 0.25, "chance": 0.25}, False, id="equal is not better"),
    pytest.param({"value": 0.5, "chance": 0.25, "direction": "lower"}, False, id="lower wanted"),
    pytest.param({"value": 0.1, "chance": 0.25, "direction": "lower"}, True, id="lower"),
    pytest.param({"value": 0.5, "chance": 0.2, "null": (0.1, 0.3)}, True, id="every draw"),
    pytest.param({"value": 0.25, "chance": 0.2, "null": (0.1, 0.3)}, False, id="not every draw"),
    pytest.param({"value": 0.2001, "chance": 0.2, "null": (0.2,)}, False, id="unnoticed"),
    pytest.param({"value": 0.1, "chance": 0.25, "direction": "context"}, False, id="neither way"),
    pytest.param({"value": 0.5}, False, id="no chance level"),
    pytest.param({"value": None, "reason": "empty_mask"}, False, id="no number"),
]


@pytest.mark.parametrize(("settings", "expected"), BEATS)
def test_better_than_chance_goes_by_the_direction(make_score, settings, expected):
    assert beats_chance(make_score(**settings)) == expected


@pytest.fixture
def pool_of(make_case, make_view, make_map):
    """The pools of cases with one map each, whose scores are given."""

    def made(*scores, headline: bool = False, regions=(), target="Severe"):
        cohort = Cohort()
        for number, own in enumerate(scores):
            one = make_map(scores=own, target=target)
            cohort.add(
                make_case(f"I-{number}", views=(make_view(explained=(one,), regions=regions),))
            )
        return cohort.headline() if headline else cohort.pools()

    return made


def test_means_medians_and_chances_are_taken_over_what_is_there(pool_of, make_score):
    scores = [
        make_score(value=1.0, chance=0.25),
        make_score(value=0.125, chance=0.75),
        make_score(value=0.0),
        make_score(value=None, reason="zero_map"),
        make_score(value=None, reason="empty_mask"),
        make_score(value=None, reason="empty_mask"),
    ]
    (pool,) = pool_of(*[[Measured(score=score, region="drusen")] for score in scores])
    assert pool.place == ("grader", "Severe", "gradcam", "relevance_mass", "drusen")
    assert (pool.valid, pool.mean, pool.median) == (3, 0.375, 0.125)
    assert pool.missing == {"empty_mask": 2, "zero_map": 1}
    assert (pool.chance, pool.better, pool.compared) == (0.5, 1, 2)
    assert missing_in_words(pool.missing) == (
        "2: the mask has no pixel inside the field; 1: the map has no positive value inside the "
        "field"
    )


def test_without_a_number_there_is_no_mean(pool_of, make_score):
    (pool,) = pool_of([Measured(score=make_score(value=None, reason="zero_map"))])
    assert (pool.mean, pool.median, pool.chance, pool.valid) == (None, None, None, 0)


def test_a_number_that_is_neither_good_nor_bad_is_not_compared(pool_of, make_score):
    (pool,) = pool_of([Measured(score=make_score(value=0.5, chance=0.1, direction="context"))])
    assert (pool.chance, pool.compared) == (0.1, 0)


def test_whatever_class_was_predicted_the_question_is_why_the_prediction():
    assert pooled_target("predicted: Severe") == pooled_target("predicted: Mild") == "predicted"
    assert pooled_target("Severe") == "Severe"
    assert pooled_target("grade >= 2") == "grade >= 2"


def lesion(name: str, kind: str = "lesion") -> Region:
    return Region(name=name, mask=np.eye(20, dtype=bool), kind=kind)  # type: ignore[arg-type]


HEADLINES = [
    pytest.param(["drusen", "scars", "all lesions", "disc"], 0.3, id="all lesions together"),
    pytest.param(["drusen", "disc"], 0.1, id="one kind of lesion"),
    pytest.param([None], 0.5, id="no region needed"),
]


@pytest.mark.parametrize(("measured", "expected"), HEADLINES)
def test_a_headline_counts_an_image_once_on_its_lesions(pool_of, make_score, measured, expected):
    values = {"drusen": 0.1, "scars": 0.2, "all lesions": 0.3, "disc": 0.4, None: 0.5}
    scores = [Measured(score=make_score(value=values[name]), region=name) for name in measured]
    kinds = {"disc": "anatomy"}
    regions = [
        lesion(name, kinds.get(name, "lesion"))
        for name in measured
        if name not in (None, "all lesions")
    ]
    (pool,) = pool_of(scores, headline=True, regions=tuple(regions))
    assert (pool.valid, pool.mean, pool.place.region) == (1, pytest.approx(expected), None)


def test_an_eye_without_lesions_counts_only_where_no_region_is_asked_for(pool_of, make_score):
    scores = [
        Measured(score=make_score(value=0.9), region="disc"),
        Measured(score=make_score(name="srg", value=0.5)),
    ]
    (pool,) = pool_of(scores, headline=True, regions=(lesion("disc", "anatomy"),))
    assert (pool.place.measure, pool.valid) == ("srg", 1)


def test_images_patients_answers_and_passes_are_counted(make_case, make_view, make_map):
    cohort = Cohort()
    cohort.add(make_case("I-0"))
    cohort.add(make_case("I-1", eye="P-1/left"))
    empty = make_map(reason="zero_map", key="layercam", cost={"forward": 3})
    cohort.add(make_case("I-2", patient=None, eye=None, views=(make_view(explained=(empty,)),)))
    against = make_map([[-1.0]])
    cohort.add(make_case("I-3", views=(make_view(explained=(against,)),)))
    cohort.add(Case(id="I-9", failure="dark", patient="P-2"))
    assert (cohort.images, cohort.explained, cohort.maps) == (5, 4, 4)
    assert cohort.failures == {"I-9": "dark"}
    assert (cohort.patients, cohort.eyes) == ({"P-1", "P-2"}, {"P-1/right", "P-1/left"})
    assert cohort.predictions == {"grader": {"Severe": 4}}
    assert cohort.without_map == {"zero_map": 2}
    assert cohort.passes["gradcam"] == {"maps": 3, "forward": 6, "backward": 3}
    assert cohort.passes["layercam"] == {"maps": 1, "forward": 3, "backward": 0}
