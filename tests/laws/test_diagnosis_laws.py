"""What more evidence may change of a finding, and what it may not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.analysis import ROWS, diagnose_map
from foveal.core import Finding, Score
from foveal.store import Measured

LABELS = [row.label for row in ROWS]
NAMES = (
    "out_of_fov_mass", "hfpr", "grad_sparsity", "avg_sensitivity", "repeat_variance", "ebc",
    "mean_attribution_area", "gsi", "dice", "dice_over_max", "mass_lift", "excess_drop",
    "lesion_drop", "masked_roi_drop", "early_auc",
)  # fmt: skip
VALUES = st.floats(0, 1) | st.sampled_from([0.05, 0.2, 0.3, 0.4, 0.5, 0.95])
REASONS = st.sampled_from(["zero_map", "constant_map", "nan_map", "empty_mask", "too_few"])
REGIONS = {"dice", "dice_over_max", "mass_lift", "lesion_drop"}


# Plain values: nouns check their types by chance, which a strategy may not.
ROW = st.tuples(st.sampled_from(NAMES), st.none() | VALUES, REASONS, st.floats(0, 1))
TABLES = st.lists(ROW, max_size=12, unique_by=lambda row: row[0])
GATES = st.sampled_from([True, False, None])
Row = tuple[str, float | None, str, float]


def measured(row: Row) -> Measured:
    name, value, reason, percentile = row
    score = Score(
        name=name,
        value=value,
        reason=reason if value is None else None,
        direction="context",
        range=(0, 1),
        parts={"percentile": percentile},
    )
    return Measured(score=score, region="all lesions" if name in REGIONS else None)


def diagnose(table: list[Row], passed: bool | None) -> Finding:
    gate = Score(name="mprt", value=0.5, direction="lower", range=(-1, 1), parts={"passed": passed})
    return diagnose_map(
        [measured(row) for row in table], gate=None if passed is None else gate, variance_limit=0.5
    )


@settings(max_examples=200, deadline=None)
@given(table=TABLES, more=TABLES, passed=GATES, later=GATES)
def test_no_evidence_fills_an_empty_map(
    table: list[Row], more: list[Row], passed: bool | None, later: bool | None
):
    known = {one[0] for one in table}
    joined = [*table, *(one for one in more if one[0] not in known)]
    if diagnose(table, passed).label == "EMPTY":
        assert diagnose(joined, later).label == "EMPTY"


@settings(max_examples=200, deadline=None)
@given(table=TABLES, passed=GATES)
def test_the_order_of_the_scores_does_not_matter(table: list[Row], passed: bool | None):
    assert diagnose(table, passed) == diagnose(table[::-1], passed)


@settings(max_examples=200, deadline=None)
@given(table=TABLES, passed=GATES)
def test_a_map_passes_only_where_it_is_on_lesions_and_matters(
    table: list[Row], passed: bool | None
):
    found = diagnose(table, passed)
    if found.label == "PASS":
        values = {(e.measure, e.region): e.value for e in found.evidence}
        assert values["excess_drop", None] is not None
        overlaps = [values.get((name, "all lesions")) for name in ("dice", "dice_over_max")]
        assert any(one is not None for one in (*overlaps, values["mass_lift", "all lesions"]))


@settings(max_examples=200, deadline=None)
@given(table=TABLES, passed=GATES)
def test_no_check_is_both_open_and_the_finding(table: list[Row], passed: bool | None):
    found = diagnose(table, passed)
    told = {name for line in found.unchecked for name in line.split(" not ruled")[0].split(", ")}
    assert told <= set(LABELS[: LABELS.index(found.label)])


@settings(max_examples=200, deadline=None)
@given(table=TABLES)
def test_a_failed_gate_leaves_nothing_to_be_read(table: list[Row]):
    assert diagnose(table, False).label in {"EMPTY", "BACKGROUND", "METHOD_INSENSITIVE"}
