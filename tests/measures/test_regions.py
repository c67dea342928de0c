"""Percentages by structure: partitions that add up, nested regions, and chance by turning."""

import numpy as np
import pytest

from foveal.measures import pap, region_coverage, region_shares, shares_of

ROWS, COLUMNS = np.mgrid[:80, :80] - 39.5
FIELD = ROWS**2 + COLUMNS**2 <= 40**2


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


REGIONS = {
    "vessels": np.abs(ROWS - 4) < 2,
    "macula": disc(0, -10, 12),
    "optic disc": disc(0, 22, 8),
    "optic cup": disc(0, 22, 4),
    "hard exudates": disc(4, -10, 5),
}


@pytest.fixture
def blob() -> np.ndarray:
    return np.exp(-((ROWS - 4) ** 2 + (COLUMNS + 8) ** 2) / 80) - 0.1


def test_shares_by_hand():
    values = np.array([[4.0, 3.0, 2.0, 1.0, 0.0, -1.0]])
    masks = {"drusen": np.array([[1, 0, 0, 0, 0, 0]]), "optic disc": np.array([[1, 1, 0, 0, 0, 1]])}
    score = region_shares(values, masks, rule="fixed", fraction=0.5)  # 4, 3 and 2
    third = pytest.approx(100 / 3)
    assert score.parts["shares"] == {"drusen": third, "optic disc": third, "background": third}
    assert score.value == third
    assert score.chance == pytest.approx(100 / 6)
    assert score.parts["enrichment"] == pytest.approx(2)
    both = region_shares(values, masks, rule="fixed", fraction=0.5, overlapping=True)
    assert both.parts["shares"]["optic disc"] == pytest.approx(200 / 3)
    assert (score.params["additive"], both.params["additive"]) == (True, False)


@pytest.mark.parametrize("rule", ["quantile", "fixed", "otsu", "mode_kstd"])
def test_rows_add_up_to_a_hundred(blob, rule):
    found = shares_of(blob, REGIONS, field=FIELD, rule=rule)
    assert not isinstance(found, str)
    assert sum(found.shares.values()) == pytest.approx(100)
    assert sum(found.field_shares.values()) == pytest.approx(100)
    for draw in zip(*found.null.values(), strict=True):
        assert sum(draw) == pytest.approx(100)


def test_lesions_come_before_disc_before_macula_before_vessels(blob):
    found = shares_of(blob, REGIONS, field=FIELD)
    assert not isinstance(found, str)
    assert list(found.shares) == [
        "hard exudates", "optic cup", "optic disc", "macula", "vessels", "background",
    ]  # fmt: skip
    exudates = REGIONS["hard exudates"] & FIELD
    assert found.field_shares["hard exudates"] == pytest.approx(100 * exudates.sum() / FIELD.sum())
    rest = REGIONS["macula"] & ~exudates & FIELD
    assert found.field_shares["macula"] == pytest.approx(100 * rest.sum() / FIELD.sum())


ORDERS = [
    pytest.param(
        ("vitreous", "choroid", "inl", "ONL", "RPE", "fluid"),
        ("fluid", "RPE", "ONL", "inl", "choroid", "vitreous"),
        id="section by OCT",
    ),
    pytest.param(
        ("conjunctiva", "cornea", "pupil", "lens", "lens nucleus", "corneal ulcer"),
        ("corneal ulcer", "lens nucleus", "lens", "pupil", "cornea", "conjunctiva"),
        id="front of the eye",
    ),
]


@pytest.mark.parametrize(("given", "owners"), ORDERS)
def test_what_lies_within_owns_the_pixels_that_several_hold(blob, given, owners):
    """Nested discs about one centre, the largest named first."""
    around = {name: disc(4, -8, 30 - 5 * place) for place, name in enumerate(given)}
    found = shares_of(blob, around, field=FIELD)
    assert not isinstance(found, str)
    assert tuple(found.shares)[:-1] == owners
    sizes = [(disc(4, -8, 5 + 5 * place) & FIELD).sum() for place in range(6)]
    rings = np.diff([0, *sizes]) / FIELD.sum() * 100
    assert [found.field_shares[name] for name in owners] == pytest.approx(list(rings))


def test_fields_of_a_grid_take_nothing_from_the_structures_below_them(blob):
    halves = {
        "superior-nasal": ROWS < 0,
        "ETDRS centre": disc(0, -10, 3),
        "clock hour 3": ROWS >= 0,
    }
    alone = shares_of(blob, REGIONS, field=FIELD)
    below = shares_of(blob, {**halves, **REGIONS}, field=FIELD)
    assert not isinstance(alone, str)
    assert not isinstance(below, str)
    assert {name: below.shares[name] for name in REGIONS} == {n: alone.shares[n] for n in REGIONS}
    assert sum(below.shares.values()) == pytest.approx(100)
    assert below.shares["background"] == 0


def test_a_map_on_a_structure_is_enriched_beyond_most_of_its_turns(blob):
    score = region_shares(blob, REGIONS, of="hard exudates", field=FIELD)
    assert score.null is not None
    assert len(score.null) == 20
    assert score.value > 2 * np.mean(score.null)
    assert score.parts["percentile"] == np.mean(np.array(score.null) < score.value) >= 0.85
    assert score.parts["enrichment"] > 3
    again = region_shares(blob, REGIONS, of="hard exudates", field=FIELD)
    assert again.null == score.null
    other = region_shares(blob, REGIONS, of="hard exudates", field=FIELD, seed=1)
    assert other.null != score.null


def test_a_ring_about_the_centre_is_no_better_than_its_turns():
    ring = np.exp(-((np.hypot(ROWS, COLUMNS) - 20) ** 2) / 20)
    score = region_shares(ring, {"ring": disc(0, 0, 24) & ~disc(0, 0, 16)}, field=FIELD)
    assert score.parts["enrichment"] > 2, "by area alone it looks like agreement"
    assert np.mean(score.null) == pytest.approx(score.value, rel=0.03)


def test_what_lies_within_another_region_holds_no_more_than_it(blob):
    cup, outer = REGIONS["optic cup"], REGIONS["optic disc"]
    spread = blob + 0.5 * np.exp(-((ROWS) ** 2 + (COLUMNS - 22) ** 2) / 60)
    for rule in ("quantile", "fixed", "otsu", "mode_kstd"):
        inner = pap(spread, cup, field=FIELD, rule=rule).value
        assert inner <= pap(spread, outer, field=FIELD, rule=rule).value


def test_pap_and_coverage_are_precision_and_recall():
    values = np.array([[4.0, 3.0, 2.0, 0.0, 0.0]])
    mask = np.array([[1, 0, 0, 1, 0]])
    precision = pap(values, mask, rule="fixed", fraction=0.5)
    recall = region_coverage(values, mask, rule="fixed", fraction=0.5)
    assert (precision.value, recall.value) == (pytest.approx(100 / 3), pytest.approx(50))
    assert (precision.chance, recall.chance) == (pytest.approx(40), pytest.approx(60))
    assert (precision.ceiling, recall.ceiling) == (pytest.approx(200 / 3), pytest.approx(100))


def test_zeros_are_not_activated_however_many_a_rule_asks_for():
    values = np.zeros((10, 10))
    values[0, :2] = 1
    assert pap(values, values > 0, quantile=0.5).value == 100


@pytest.mark.parametrize("measure", [pap, region_coverage])
def test_what_is_undefined_gives_a_reason(measure, blob):
    assert measure(blob, np.zeros((80, 80), bool)).reason == "empty_mask"
    assert measure(-np.abs(blob), FIELD).reason == "zero_map"
    assert measure(blob * np.nan, FIELD).reason == "nan_map"
    with pytest.raises(ValueError, match="must not be topk_area"):
        measure(blob, FIELD, rule="topk_area")


def test_shares_without_evidence_or_structures(blob):
    assert region_shares(-np.abs(blob), REGIONS).reason == "zero_map"
    assert region_shares(blob, {}).value == 100
    assert region_shares(blob, REGIONS, draws=0).null is None
    nowhere = region_shares(blob, {"drusen": np.zeros((80, 80), bool)})
    assert (nowhere.reason, nowhere.chance) == ("empty_mask", None)
    hidden = region_shares(
        blob, {"drusen": FIELD, "vessels": REGIONS["vessels"]}, of="vessels", field=FIELD
    )
    assert (hidden.reason, hidden.parts["shares"]["vessels"]) == ("empty_mask", 0)


def test_a_wrong_call_says_what_was_wrong(blob):
    with pytest.raises(ValueError, match=r"of must be one of hard exudates, .*, background"):
        region_shares(blob, REGIONS, of="iris")
    with pytest.raises(ValueError, match="cannot be called 'background'"):
        region_shares(blob, {"background": FIELD})
    with pytest.raises(ValueError, match="draws must not be negative"):
        region_shares(blob, REGIONS, draws=-1)
