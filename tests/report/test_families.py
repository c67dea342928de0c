"""Measures stand under the question they answer, each once."""

from foveal.report.families import FAMILIES, HEADLINE, OTHER, by_family, headline
from foveal.run import LEVELS


def test_every_measure_stands_under_one_question():
    names = [name for own in FAMILIES.values() for name in own]
    assert len(names) == len(set(names))
    assert set(HEADLINE) <= set(names)
    assert OTHER not in by_family(LEVELS["full"])


def test_questions_keep_their_order_and_what_is_unknown_comes_last():
    found = by_family(["novel", "gini", "iou", "relevance_mass", "ebc"])
    assert list(found.values()) == [["relevance_mass", "iou"], ["ebc", "gini"], ["novel"]]
    assert list(found)[-1] == OTHER


def test_a_summary_holds_few_measures_unless_there_are_no_others():
    assert headline(["gini", "excess_drop", "iou"]) == ["iou", "excess_drop"]
    assert headline(["gini"]) == ["gini"]
