"""Every row of the table is reached by scores made by hand, in order, and at its limits."""

from collections.abc import Mapping

import pytest

from foveal.analysis import ROWS, diagnose_map, frequencies, variance_limit
from foveal.core import FINDINGS, Finding, Score
from foveal.store import Measured

LESIONS = "all lesions"
ON_LESIONS = ("dice", "dice_over_max", "mass_lift", "lesion_drop", "lesion_hit_rate")
INF = float("inf")


def score(name: str, value: float | None, **more: object) -> Measured:
    region = more.pop("region", LESIONS if name in ON_LESIONS else None)
    reason = more.pop("reason", None)
    made = Score(
        name=name, value=value, reason=reason, direction="context", range=(-INF, INF), **more
    )  # type: ignore[arg-type]
    return Measured(score=made, region=region)  # type: ignore[arg-type]


def drop(name: str, *, high: bool) -> Measured:
    return score(name, 0.3 if high else 0.0, parts={"percentile": 1.0 if high else 0.4})


HEALTHY = {
    "out_of_fov_mass": score("out_of_fov_mass", 0.001),
    "hfpr": score("hfpr", 0.1, params={"grid": [16, 16]}),
    "grad_sparsity": score("grad_sparsity", 0.5),
    "avg_sensitivity": score("avg_sensitivity", 0.1),
    "ebc": score("ebc", 0.8),
    "mean_attribution_area": score("mean_attribution_area", 0.1),
    "lesion_hit_rate": score("lesion_hit_rate", 0.5, parts={"median_diameter_px": 20.0}),
}
GOOD = {"dice": score("dice", 0.6), "dice_over_max": score("dice_over_max", 0.8, chance=0.1)}
POOR = {"dice": score("dice", 0.05), "dice_over_max": score("dice_over_max", 0.1, chance=0.1)}
BETWEEN = {"dice": score("dice", 0.3), "dice_over_max": score("dice_over_max", 0.4, chance=0.1)}
GATE = score("mprt", 0.1, parts={"passed": True, "auroc_interval": [0.4, 0.55]}).score
FAILED = score("mprt", 0.9, parts={"passed": False, "auroc_interval": [0.8, 0.95]}).score


def drops(*, map: bool, lesions: bool) -> dict[str, Measured]:
    return {
        "excess_drop": drop("excess_drop", high=map),
        "lesion_drop": drop("lesion_drop", high=lesions),
    }


def diagnose(*tables: Mapping[str, Measured], **more: object) -> Finding:
    joined = {name: one for table in tables for name, one in table.items()}
    return diagnose_map(list(joined.values()), **{"gate": GATE, **more})  # type: ignore[arg-type]


REACHED = {
    "EMPTY": diagnose(HEALTHY, {"ebc": score("ebc", None, reason="zero_map")}),
    "BACKGROUND": diagnose(HEALTHY, {"out_of_fov_mass": score("out_of_fov_mass", 0.06)}),
    "METHOD_INSENSITIVE": diagnose(HEALTHY, gate=FAILED),
    "NOISY": diagnose(
        HEALTHY, {"hfpr": score("hfpr", 0.8), "grad_sparsity": score("grad_sparsity", 0.97)}
    ),
    "DIFFUSE": diagnose(HEALTHY, {"ebc": score("ebc", 0.3)}),
    "PASS": diagnose(HEALTHY, GOOD, drops(map=True, lesions=True)),
    "PLAUSIBLE_NOT_FAITHFUL": diagnose(HEALTHY, GOOD, drops(map=False, lesions=True)),
    "SHORTCUT_SUSPECTED": diagnose(HEALTHY, POOR, drops(map=True, lesions=False)),
    "MISLEADING_MAP": diagnose(HEALTHY, POOR, drops(map=False, lesions=True)),
    "MIXED_EVIDENCE": diagnose(HEALTHY, POOR, drops(map=True, lesions=True)),
    "REDUNDANT_OR_OOD": diagnose(HEALTHY, POOR, drops(map=False, lesions=False)),
    "REVIEW": diagnose(HEALTHY, BETWEEN, drops(map=True, lesions=False)),
    "UNVERIFIED_FOCUS": diagnose(HEALTHY),
}


@pytest.mark.parametrize("label", FINDINGS)
def test_every_row_is_reached_and_says_what_to_do_next(label: str):
    found = REACHED[label]
    assert found.label == label
    assert found.next_step
    assert found.evidence


def test_the_rows_stand_in_the_order_of_the_findings():
    assert [row.label for row in ROWS] == list(FINDINGS)


BAD = [
    {"ebc": score("ebc", None, reason="zero_map")},
    {"out_of_fov_mass": score("out_of_fov_mass", 0.5)},
    {},
    {"hfpr": score("hfpr", 0.8), "avg_sensitivity": score("avg_sensitivity", 0.9)},
    {"mean_attribution_area": score("mean_attribution_area", 0.6)},
]


@pytest.mark.parametrize("first", range(5))
def test_the_first_row_that_holds_wins_over_all_later_ones(first: int):
    """Everything from this row on is wrong at once."""
    wrong = {name: one for table in reversed(BAD[first:]) for name, one in table.items()}
    gate = FAILED if first <= 2 else GATE
    shortcut = {**POOR, **drops(map=True, lesions=False)}
    assert diagnose(HEALTHY, shortcut, wrong, gate=gate).label == ROWS[first].label


@pytest.mark.parametrize(
    ("table", "label"),
    [
        ({"out_of_fov_mass": score("out_of_fov_mass", 0.05)}, "UNVERIFIED_FOCUS"),
        ({"out_of_fov_mass": score("out_of_fov_mass", 0.0501)}, "BACKGROUND"),
        ({"ebc": score("ebc", 0.4)}, "UNVERIFIED_FOCUS"),
        ({"ebc": score("ebc", 0.3999)}, "DIFFUSE"),
        ({"mean_attribution_area": score("mean_attribution_area", 0.3)}, "UNVERIFIED_FOCUS"),
        ({"mean_attribution_area": score("mean_attribution_area", 0.3001)}, "DIFFUSE"),
        ({"hfpr": score("hfpr", 0.51)}, "UNVERIFIED_FOCUS"),
        ({"hfpr": score("hfpr", 0.51), "grad_sparsity": score("grad_sparsity", 0.95)},
         "UNVERIFIED_FOCUS"),
        ({"hfpr": score("hfpr", 0.51), "grad_sparsity": score("grad_sparsity", 0.951)}, "NOISY"),
        ({"hfpr": score("hfpr", 0.51), "avg_sensitivity": score("avg_sensitivity", 0.31)}, "NOISY"),
        ({**drops(map=True, lesions=False), "dice": score("dice", 0.5)}, "PASS"),
        ({**drops(map=True, lesions=False), "dice": score("dice", 0.2)}, "REVIEW"),
        ({**drops(map=True, lesions=False), "dice": score("dice", 0.1999)}, "SHORTCUT_SUSPECTED"),
    ],
)  # fmt: skip
def test_limits_hold_to_the_letter(table: Mapping[str, Measured], label: str):
    assert diagnose(HEALTHY, table).label == label


def test_evidence_spilt_over_the_edge_by_a_coarse_layer_is_a_warning_only():
    spilt = score("out_of_fov_mass", 0.2, parts={"far_mass": 0.01})
    found = diagnose(HEALTHY, {"out_of_fov_mass": spilt})
    assert found.label == "UNVERIFIED_FOCUS"
    assert any("20.0 %" in warning for warning in found.warnings)


@pytest.mark.parametrize(("mass", "warned"), [(0.005, False), (0.0051, True)])
def test_the_warning_band_begins_at_half_a_percent(mass: float, warned: bool):
    found = diagnose(HEALTHY, {"out_of_fov_mass": score("out_of_fov_mass", mass)})
    assert bool(found.warnings) is warned


def test_a_variance_above_the_models_limit_is_a_sign_of_noise():
    calm = {"repeat_variance": score("repeat_variance", 2.0), "hfpr": score("hfpr", 0.8)}
    assert diagnose(HEALTHY, calm, variance_limit=1.9).label == "NOISY"
    assert diagnose(HEALTHY, calm, variance_limit=2.0).label == "UNVERIFIED_FOCUS"


def test_the_models_limit_is_its_95th_percentile_and_needs_twenty_maps():
    assert variance_limit(range(101)) == pytest.approx(95)
    assert variance_limit(range(19)) is None


def test_what_all_maps_of_a_small_cohort_lack_is_said():
    few = score("mprt", 0.3, parts={"passed": False, "auroc_interval": [0.45, 0.8]}).score
    found = diagnose(HEALTHY, GOOD, drops(map=True, lesions=True), gate=few)
    assert found.label == "PASS"
    assert any("METHOD_INSENSITIVE not ruled out: too few" in one for one in found.unchecked)


def test_one_drawing_for_every_image_is_insensitive_whatever_its_auroc():
    parts = {"passed": False, "unchanged": True, "auroc_interval": [0.45, 0.55]}
    fixed = score("mprt", 1.0, parts=parts).score
    assert diagnose(HEALTHY, gate=fixed).label == "METHOD_INSENSITIVE"


def test_without_a_gate_the_finding_says_that_it_was_not_run():
    found = diagnose(HEALTHY, GOOD, drops(map=True, lesions=True), gate=None)
    assert found.label == "PASS"
    assert found.unchecked == ("METHOD_INSENSITIVE not ruled out: mprt was not measured",)


def test_the_likeness_of_one_image_alone_is_no_gate():
    one = {"mprt": score("mprt", 0.95, parts={"passed": False})}
    assert diagnose(HEALTHY, one, gate=None).label == "UNVERIFIED_FOCUS"


def test_without_drops_a_well_placed_map_is_unverified_and_says_what_is_missing():
    found = diagnose(HEALTHY, GOOD)
    assert found.label == "UNVERIFIED_FOCUS"
    assert found.cause is not None
    assert "lies on the marked lesions" in found.cause
    wanted = "PASS, PLAUSIBLE_NOT_FAITHFUL not ruled out: excess_drop on all lesions was not"
    assert any(one.startswith(wanted) for one in found.unchecked)


def test_nothing_measured_is_unverified_with_every_check_open():
    found = diagnose_map([])
    assert found.label == "UNVERIFIED_FOCUS"
    told = " ".join(found.unchecked)
    assert all(row.label in told for row in ROWS[1:-1])


def test_an_image_without_a_lesion_says_so():
    none = {"dice": score("dice", None, reason="empty_mask")}
    assert diagnose(HEALTHY, none).cause == "no lesion is marked"


def test_without_outlines_the_enrichment_of_structures_is_the_evidence():
    disc = score("region_shares", 40.0, region="optic disc", chance=4.0)
    found = diagnose(HEALTHY, {"disc": disc})
    shares = [e for e in found.evidence if e.measure == "region_shares"]
    assert [(e.region, e.value, e.chance) for e in shares] == [("optic disc", 40, 4)]


@pytest.mark.parametrize(
    ("lift", "label"),
    [
        (score("mass_lift", 3.0, null=(0.5, 1.0, 1.5) * 7), "PASS"),
        (score("mass_lift", 1.2, null=(0.5, 1.0, 1.5) * 7), "MIXED_EVIDENCE"),
        (score("mass_lift", 1.2, parts={"interval": [1.05, 1.4]}), "PASS"),
        (score("mass_lift", 1.2, parts={"interval": [0.9, 1.4]}), "MIXED_EVIDENCE"),
        (score("mass_lift", 0.9, null=(0.1,) * 20), "MIXED_EVIDENCE"),
        (score("mass_lift", 3.0), "MIXED_EVIDENCE"),
    ],
    ids=["above null", "within null", "interval above", "interval over 1", "below 1", "no null"],
)
def test_a_lift_surely_above_one_is_a_good_place(lift: Measured, label: str):
    table = {**POOR, "mass_lift": lift, **drops(map=True, lesions=True)}
    assert diagnose(HEALTHY, table).label == label


def test_a_lesion_over_most_of_the_field_is_not_well_hit_by_chance():
    wide = {"dice": score("dice", 0.1), "dice_over_max": score("dice_over_max", 0.6, chance=0.7)}
    assert diagnose(HEALTHY, wide, drops(map=True, lesions=False)).label == "SHORTCUT_SUSPECTED"
    half = {"dice": score("dice", 0.55, chance=0.6)}
    assert diagnose(HEALTHY, half, drops(map=True, lesions=False)).label == "REVIEW"


def test_a_drop_nobody_would_notice_does_not_matter_however_rare_it_is():
    tiny = {"excess_drop": score("excess_drop", 5e-4, parts={"percentile": 1.0})}
    assert diagnose(HEALTHY, GOOD, tiny).label == "PLAUSIBLE_NOT_FAITHFUL"


def test_a_drop_at_the_lesions_own_size_goes_before_the_one_at_five_percent():
    table = {
        **GOOD,
        "matched": score("excess_drop", 0.3, region=LESIONS, parts={"percentile": 1.0}),
        "five": score("excess_drop", 0.0, parts={"percentile": 0.4}),
    }
    assert diagnose(HEALTHY, table).label == "PASS"


@pytest.mark.parametrize(
    ("matched", "five", "lesions", "label"),
    [
        (False, True, False, "SHORTCUT_SUSPECTED"),
        (True, False, False, "SHORTCUT_SUSPECTED"),
        (False, False, False, "REDUNDANT_OR_OOD"),
        (False, True, True, "MISLEADING_MAP"),
        (True, False, True, "MIXED_EVIDENCE"),
    ],
)
def test_where_the_lesions_do_not_matter_a_larger_region_of_the_map_is_asked_for(
    matched: bool, five: bool, lesions: bool, label: str
):
    """Beside lesions that do matter, areas stay equal."""
    table = {
        **POOR,
        "matched": score(
            "excess_drop", 0.2, region=LESIONS, parts={"percentile": 1.0 if matched else 0.4}
        ),
        "five": score("excess_drop", 0.3, parts={"percentile": 1.0 if five else 0.4}),
        "lesion_drop": drop("lesion_drop", high=lesions),
    }
    found = diagnose(HEALTHY, table)
    assert found.label == label
    told = [one.region for one in found.evidence if one.measure == "excess_drop"]
    assert told == ([LESIONS] if lesions else [LESIONS, None])


def test_evidence_is_told_once():
    found = diagnose(HEALTHY, POOR, drops(map=True, lesions=False))
    assert [one.measure for one in found.evidence].count("excess_drop") == 1


CAUSES = {
    "resolution_limited": {
        "hfpr": score("hfpr", 0.1, params={"grid": [8, 8]}),
        "lesion_hit_rate": score(
            "lesion_hit_rate", 0.5, params={"grid": [256, 256]}, parts={"median_diameter_px": 15.9}
        ),
    },
    "weak_evidence": {
        "masked_roi_drop": score(
            "masked_roi_drop", 0.0, params={"scale": "log-odds"}, parts={"score": 0.49}
        ),
        "excess_drop": drop("excess_drop", high=False),
    },
    "saturated": {"gsi": score("gsi", 0.31)},
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_diffuse_map_is_told_why(cause: str):
    diffuse = {"ebc": score("ebc", 0.3)}
    found = diagnose(HEALTHY, diffuse, CAUSES[cause])
    assert found.label == "DIFFUSE"
    assert found.cause is not None
    assert found.cause.startswith(cause)


def test_dead_gradients_under_a_linear_head_are_no_cause():
    head = {"gsi": score("gsi", 0.9, parts={"gap_linear_head": True}), "ebc": score("ebc", 0.3)}
    assert diagnose(HEALTHY, head).cause is None


def test_a_cell_of_two_lesions_is_fine_enough():
    hits = score(
        "lesion_hit_rate", 0.5, params={"grid": [256, 256]}, parts={"median_diameter_px": 16.0}
    )
    table = {**CAUSES["resolution_limited"], "lesion_hit_rate": hits, "ebc": score("ebc", 0.3)}
    assert diagnose(HEALTHY, table).cause is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [("nan_map", "not numbers"), ("constant_map", "same value"), ("zero_map", "negative evidence")],
)
def test_an_empty_map_is_told_why(reason: str, words: str):
    found = diagnose_map([], reason=reason)
    assert found.label == "EMPTY"
    assert found.cause is not None
    assert words in found.cause


def test_a_map_with_all_its_evidence_outside_the_eye_is_empty_and_says_where_it_is():
    table = {
        "ebc": score("ebc", None, reason="zero_map"),
        "out_of_fov_mass": score("out_of_fov_mass", 1.0),
    }
    assert diagnose(table).cause == "all evidence lies outside the eye"


def test_a_finding_outside_the_eye_names_its_number_and_its_limit():
    far = score("out_of_fov_mass", 0.2, chance=0.3, parts={"far_mass": 0.073})
    found = diagnose(HEALTHY, {"out_of_fov_mass": far})
    assert found.cause == (
        "far_mass: 7.3 % of the evidence lies more than 5 % of the eye's diameter outside it; the "
        "limit is 5 %"
    )


@pytest.mark.parametrize("label", FINDINGS)
def test_of_a_map_made_elsewhere_no_method_is_blamed(label: str):
    (row,) = (row for row in ROWS if row.label == label)
    told = row.elsewhere or row.next_step
    assert "--method" not in told or label == "METHOD_INSENSITIVE"  # which asks our methods alone


def test_a_missing_region_is_no_empty_map():
    none = {"relevance_mass": score("relevance_mass", None, reason="empty_mask", region=LESIONS)}
    assert diagnose(HEALTHY, none).label == "UNVERIFIED_FOCUS"


def test_frequencies_count_in_the_order_of_the_table():
    found = [REACHED["PASS"], REACHED["EMPTY"], REACHED["PASS"]]
    assert list(frequencies(found).items()) == [("EMPTY", 1), ("PASS", 2)]
