"""Tables that cannot be true are flagged, and those that can are not."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from foveal.analysis import ClassLine, OverlapLine, check_class_report, check_overlap_table

GRADES = [
    ClassLine(label="No DR", precision=90.1, recall=92.3, f1=91.2, support=1258),
    ClassLine(label="Mild", precision=78.5, recall=70.4, f1=74.2, support=781),
    ClassLine(label="Moderate", precision=85.6, recall=88.9, f1=87.2, support=1022),
    ClassLine(label="Severe", precision=83.2, recall=81.5, f1=82.3, support=455),
    ClassLine(label="Proliferative", precision=92.8, recall=95.0, f1=93.9, support=389),
]
REGIONS = [
    OverlapLine(region="hard exudates", dice=0.72, salient_share=68),
    OverlapLine(region="microaneurysms", dice=0.41, salient_share=22),
    OverlapLine(region="vasculature", dice=0.18, salient_share=31),
    OverlapLine(region="optic disc", dice=0.05, salient_share=3),
    OverlapLine(region="background", salient_share=39),
]


def test_a_report_whose_accuracy_macro_f1_and_counts_contradict_its_rows_is_flagged():
    recall, accuracy, macro, counts = check_class_report(GRADES, accuracy=87.4, macro_f1=86.1)
    # 369 of 389 print as 94.9 %, 370 as 95.1 %.
    assert recall == "Proliferative: no number of 389 cases gives a recall of 95.0 %"
    assert "87.4 %" in accuracy
    assert "86.04 %" in accuracy
    assert "86.1 %" in macro
    assert "85.76 %" in macro
    assert "3905 cases" in counts


def test_the_same_rows_agree_with_the_accuracy_and_macro_f1_that_follow_from_them():
    found = " ".join(check_class_report(GRADES, accuracy=86.0, macro_f1=85.8))
    assert "accuracy" not in found
    assert "macro-F1" not in found


@pytest.mark.parametrize("seed", range(20))
def test_a_true_report_rounded_for_print_is_never_flagged(seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, size=random.integers(40, 2000))
    said = np.where(random.random(truth.size) < 0.6, truth, random.integers(0, 4, truth.size))
    rows = zip(*precision_recall_fscore_support(truth, said), strict=True)
    lines = [
        ClassLine(
            label=str(place),
            precision=round(100 * p, 1),
            recall=round(100 * r, 1),
            f1=round(100 * f, 1),
            support=int(n),
        )
        for place, (p, r, f, n) in enumerate(rows)
    ]
    macro = round(100 * f1_score(truth, said, average="macro"), 1)
    assert not check_class_report(
        lines, accuracy=round(100 * accuracy_score(truth, said), 1), macro_f1=macro
    )


LINES = [
    pytest.param({"f1": 60.0}, "harmonic mean", id="F1"),
    pytest.param({"recall": 55.0, "f1": 52.4}, "no number of 10 cases", id="recall of 10 cases"),
]


@pytest.mark.parametrize(("wrong", "message"), LINES)
def test_a_single_line_is_checked(wrong, message):
    line = {"label": "a", "precision": 50.0, "recall": 50.0, "f1": 50.0, "support": 10, **wrong}
    assert any(message in text for text in check_class_report([ClassLine(**line)]))


def test_a_class_that_is_never_right_is_possible():
    lines = [
        ClassLine(label="a", precision=50.0, recall=100.0, f1=66.7, support=5),
        ClassLine(label="b", precision=0.0, recall=0.0, f1=0.0, support=5),
    ]
    assert check_class_report(lines, accuracy=50.0, macro_f1=33.3) == []


def test_a_table_of_overlaps_that_exceeds_the_image_and_its_own_precision_is_flagged():
    total, pair, bound = check_overlap_table(REGIONS)
    assert "163 %" in total
    assert "hard exudates (68 %) and background (39 %)" in pair
    assert "microaneurysms" in bound
    assert "cannot exceed 0.36" in bound


def test_a_partition_with_possible_overlaps_is_not_flagged():
    lines = [
        OverlapLine(region="lesion", dice=0.5, salient_share=60),
        OverlapLine(region="background", salient_share=40),
    ]
    assert check_overlap_table(lines) == []


@pytest.mark.parametrize("seed", range(5))
def test_overlaps_of_real_masks_are_never_flagged(seed):
    random = np.random.default_rng(seed)
    regions, salient = random.integers(0, 3, size=(40, 40)), random.random((40, 40)) < 0.3
    lines = []
    for region in range(3):
        inside = (regions == region) & salient
        dice = 2 * inside.sum() / ((regions == region).sum() + salient.sum())
        share = round(100 * inside.sum() / salient.sum())
        lines.append(OverlapLine(region=str(region), dice=round(dice, 2), salient_share=share))
    assert check_overlap_table(lines) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda: check_class_report([]), "no lines", id="empty report"),
        pytest.param(lambda: check_overlap_table([]), "no lines", id="empty table"),
        pytest.param(
            lambda: check_overlap_table([OverlapLine(region="a", dice=7.2)]), "Dice in", id="Dice"
        ),
        pytest.param(
            lambda: check_class_report(
                [ClassLine(label="a", precision=190, recall=1, f1=1, support=1)]
            ),
            "percentages lie in",
            id="percent",
        ),
    ],
)
def test_numbers_that_are_none_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
