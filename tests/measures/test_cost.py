import pytest

from foveal.measures import MEASURES, cost


def test_cost_times_only_the_repeats_after_the_warm_up():
    calls: list[object] = []
    score = cost(calls.append, "eye", repeats=5, warmup=2)
    assert calls == ["eye"] * 7
    low, high = score.parts["quartiles"]
    assert 0 <= low <= score.value <= high
    assert score.parts["peak_memory_bytes"] > 1e6


def test_cost_needs_repeats():
    with pytest.raises(ValueError, match="at least 1, but is 0"):
        cost(len, "eye", repeats=0)


def test_cost_waits_for_a_device_that_works_on_its_own(monkeypatch):
    waited: list[str] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.synchronize", lambda: waited.append("before and after"))
    cost(len, "eye", repeats=3, warmup=0)
    assert len(waited) == 6


def test_every_measure_says_what_it_means():
    assert len({card.name for card in MEASURES}) == len(MEASURES)
    for card in MEASURES:
        assert card.question.endswith("?")
        assert card.chance
        assert card.missing
        assert card.reference
