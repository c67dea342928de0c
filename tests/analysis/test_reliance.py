"""What an AI does to readers: counts by hand, a twin that loops, and how often intervals hold."""

from dataclasses import replace

import numpy as np
import pytest

from foveal.analysis import Bootstrap, Reading, interval, reliance, reliance_model, units_of
from foveal.analysis.reliance import Gap

QUICK = Bootstrap(resamples=200, kind="percentile")
NONE = np.nan
RIGHT = np.array([True, True, True, False, False, True])
BEFORE = Reading(
    confidence=np.array([50.0, 60, 70, 40, 80, NONE]),
    correct=np.array([0.0, 1, 0, 1, 1, 1]),
    seconds=np.array([30.0, 40, 50, 60, 20, 10]),
)
AFTER = Reading(
    confidence=np.array([80.0, 70, 90, 60, 70, 50]),
    correct=np.array([1.0, 1, 0, 0, 1, NONE]),
    seconds=np.array([20.0, 20, 50, 90, 20, 10]),
)
EACH = units_of(list("ABCDEF"))


def study(seed, *, patients=50, readers=4, gap=10.0):
    """Readers of one level each; a patient's cases are alike in how far they convince."""
    random = np.random.default_rng(seed)
    patient, reader = (grid.ravel() for grid in np.indices((patients, readers)))
    right = (np.arange(patients) % 4 != 0)[patient]
    level = np.array([-8.0, -3, 3, 8])[reader % 4]
    change = gap * right + level + random.normal(0, 4, patients)[patient]
    change = change + random.normal(0, 5, len(change))
    before = Reading(confidence=np.full(len(change), 50.0), correct=np.ones(len(change)))
    after = replace(before, confidence=(50 + change).clip(0, 100))
    return before, after, right, reader, units_of([f"P{one}" for one in patient])


def test_the_change_is_split_by_whether_the_ai_was_right():
    found = reliance(BEFORE, AFTER, RIGHT, EACH, how=QUICK)
    # Right: +30, +10, +20, and one without a number; wrong: +20, -10.
    assert found.when_right.estimate == pytest.approx(20)
    assert found.when_wrong.estimate == pytest.approx(5)
    assert found.gap.estimate == pytest.approx(15)
    assert (found.when_right.n_units, found.when_wrong.n_units, found.gap.n_units) == (3, 2, 5)
    for told in (RIGHT.astype(int), RIGHT.astype(float), RIGHT.tolist(), [1, 1, 1, 0, 0, 1]):
        assert reliance(BEFORE, AFTER, told, EACH, how=QUICK) == found


def test_answers_and_times_are_compared_row_by_row():
    found = reliance(BEFORE, AFTER, RIGHT, EACH, how=QUICK)
    # Of five rows with both answers one became right and one wrong.
    assert found.accuracy.estimate == pytest.approx(0)
    assert found.to_right.estimate == pytest.approx(1 / 2)
    assert found.to_wrong.estimate == pytest.approx(1 / 3)
    assert found.seconds is not None
    assert found.seconds.estimate == pytest.approx((-10 - 20 + 30) / 6)
    unsigned = [replace(one, seconds=one.seconds.astype(np.uint16)) for one in (BEFORE, AFTER)]
    assert reliance(*unsigned, RIGHT, EACH, how=QUICK).seconds == found.seconds
    assert reliance(replace(BEFORE, seconds=None), AFTER, RIGHT, EACH, how=QUICK).seconds is None


def test_the_gap_by_patient_is_that_of_repeated_patients():
    random = np.random.default_rng(0)
    values = np.where(random.random(40) < 0.1, NONE, random.normal(size=40))
    kind, codes = random.random(40) < 0.6, np.arange(40) // 4
    gap = Gap(values, kind)
    weights = random.integers(0, 4, size=(5, 10)).astype(float)
    twin = []
    for drawn in weights.astype(int):
        rows = [
            row
            for patient in range(10)
            for _ in range(drawn[patient])
            for row in range(4 * patient, 4 * patient + 4)
            if np.isfinite(values[row])
        ]
        first = [values[row] for row in rows if kind[row]]
        second = [values[row] for row in rows if not kind[row]]
        twin.append(np.mean(first) - np.mean(second))
    assert gap(weights[:, codes]) == pytest.approx(twin)
    assert gap.by_unit(codes, gap.valid)(weights) == pytest.approx(twin)


def test_the_interval_draws_patients_with_all_their_readers():
    held = []
    for seed in range(200):
        before, after, right, _, units = study(seed)
        found = interval(Gap(after.confidence - before.confidence, right), units, QUICK)
        held.append(found.low < 10 < found.high)
    assert found.n_units == 50
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)
    assert reliance(before, after, right, units, how=QUICK).gap == found


def test_a_mixed_model_takes_the_levels_of_the_readers_out():
    before, after, right, reader, units = study(0)
    found = reliance_model(before, after, right, reader.tolist(), units)
    assert (found.first, found.second) == ("AI wrong", "AI right")
    plain = reliance(before, after, right, units, how=QUICK).gap
    # All readers read all cases, so that the estimate is the same.
    assert found.difference.estimate == pytest.approx(plain.estimate, abs=1e-4)
    assert found.difference.n_units == 50
    uneven = (reader > 1) | right  # two readers saw no case on which the AI was wrong
    parts = [
        replace(part, confidence=part.confidence[uneven], correct=part.correct[uneven])
        for part in (before, after)
    ]
    kept, names = units.chosen(uneven), reader[uneven].tolist()
    told = reliance_model(*parts, right[uneven], names, kept).difference
    naive = reliance(*parts, right[uneven], kept, how=QUICK).gap
    assert told.low < 10 < told.high
    assert naive.estimate < 7  # cautious readers are the ones on the right side


def test_readers_of_one_image_are_not_independent():
    random = np.random.default_rng(2)
    patient, image, reader = (grid.ravel() for grid in np.indices((20, 2, 4)))
    right, image = image == 0, 2 * patient + image
    # What an image does to all its readers is large; the AI changes nothing.
    shared = random.normal(0, 8, 20)[patient] + random.normal(0, 8, 40)[image]
    change = shared + random.normal(0, 2, len(image))
    before = Reading(confidence=np.full(len(image), 50.0), correct=np.ones(len(image)))
    after = replace(before, confidence=50 + change)
    units, names = units_of([f"P{one}" for one in patient]), reader.tolist()
    naive = reliance_model(before, after, right, names, units).difference
    found = reliance_model(before, after, right, names, units, images=image.tolist()).difference
    per_image = change.reshape(20, 2, 4).mean(axis=2)
    paired = per_image[:, 0] - per_image[:, 1]
    half = 1.96 * paired.std(ddof=1) / np.sqrt(20)
    assert found.estimate == pytest.approx(paired.mean(), abs=0.01)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.01)
    assert naive.high - naive.low < 0.75 * (found.high - found.low)


def test_an_ai_that_is_hardly_ever_wrong_shows_no_reliance():
    right = np.arange(6) > 0
    found = reliance(BEFORE, AFTER, right, EACH, how=QUICK)
    assert "the AI was wrong in 17% of the readings" in " ".join(found.gap.notes)
    none = reliance(BEFORE, AFTER, np.ones(6, bool), EACH, how=QUICK)
    assert none.gap.estimate is None
    assert "none where it was wrong" in str(none.gap.reason)


WRONG = [
    pytest.param(
        lambda: replace(BEFORE, confidence=np.full(6, 101.0)), "0 to 100", id="confidence"
    ),
    pytest.param(lambda: replace(BEFORE, correct=np.full(6, 2.0)), "1 for a right", id="correct"),
    pytest.param(lambda: replace(BEFORE, seconds=np.ones(5)), "one length", id="seconds"),
    pytest.param(
        lambda: reliance(BEFORE, AFTER, RIGHT[:5], EACH), "the same rows", id="other rows"
    ),
    pytest.param(
        lambda: reliance(BEFORE, AFTER, [1, 1, NONE, 0, 0, 1], EACH),
        "row 2 says nan",
        id="not known",
    ),
    pytest.param(
        lambda: reliance_model(BEFORE, AFTER, [1, 1, 1, 0, 2, 1], list("rrrsss"), EACH),
        "row 4 says 2",
        id="neither right nor wrong",
    ),
    pytest.param(
        lambda: reliance_model(BEFORE, AFTER, RIGHT, list("rrsss"), EACH),
        "needs its reader",
        id="a reader is missing",
    ),
    pytest.param(
        lambda: reliance_model(BEFORE, AFTER, RIGHT | True, list("rrrsss"), EACH),
        "two methods",
        id="always right",
    ),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_readings_that_cannot_be_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
