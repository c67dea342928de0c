"""The table of the documented proof: what is missing does not count, and chance stands beside."""

import proof_table

from foveal.core import Score


def score(value: float | None) -> Score:
    return Score(
        name="share",
        value=value,
        reason=None if value is not None else "empty_mask",
        direction="higher",
        range=(0.0, 1.0),
        chance=None if value is None else 0.25,
    )


def test_a_cell_holds_mean_chance_and_how_many_counted():
    table = {"a": {"disc": proof_table.Numbers()}, "b": {"disc": proof_table.Numbers()}}
    for image, (first, second) in {"i": (0.5, 0.5), "j": (0.7, None)}.items():
        table["a"]["disc"].add(score(first), image, None)
        table["b"]["disc"].add(score(second), image, None)
    head, rule, both, one = proof_table.markdown(table)
    assert head == "| method | disc, n = 2 |"
    assert rule == "|---|---|"
    assert both.startswith("| `a` | 0.6 [")
    assert both.endswith("]; 0.25 |")
    assert one == "| `b` | 0.5; 0.25 (n = 1) |"


def test_a_number_that_nobody_has_is_missing():
    table = {"a": {"disc": proof_table.Numbers()}}
    table["a"]["disc"].add(score(None), "i", None)
    assert list(proof_table.markdown(table))[-1] == "| `a` | missing |"
