import time

import numpy as np
import pytest
import torch
from torch import nn

from foveal.measures import MEASURES, cost


def test_cost_times_only_the_repeats_after_the_warm_up():
    calls: list[object] = []
    score = cost(calls.append, "eye", repeats=5, warmup=2)
    assert calls == ["eye"] * 7
    low, high = score.parts["quartiles"]
    assert 0 <= low <= score.value <= high
    assert score.parts["peak_memory_bytes"] > 1e6


def test_cost_of_batches_is_told_for_each_size_and_an_image():
    sizes: list[int] = []

    def slow(batch):
        sizes.append(len(batch))
        time.sleep(0.01)

    for image in (np.ones((1, 3, 4, 4)), torch.ones(1, 3, 4, 4)):
        score = cost(slow, image, batch_sizes=(1, 16), repeats=2, warmup=1)
        one, sixteen = score.parts["batches"]
        assert (one["images"], sixteen["images"]) == (1, 16)
        assert one["seconds"] == score.value >= 0.01
        assert 0.01 / 16 <= sixteen["seconds"] < one["seconds"]
    assert sizes == [1, 1, 1, 16, 16, 16] * 2


def test_cost_counts_the_images_that_go_forward_and_backward():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)
    )

    def explain(batch):
        network(batch.clone().requires_grad_()).sum().backward()
        with torch.no_grad():
            network(batch.repeat(4, 1, 1, 1))

    score = cost(explain, torch.rand(1, 1, 8, 8), model=network, repeats=1, warmup=0)
    assert score.parts["forward"] == 1 + 4
    assert score.parts["backward"] == 1
    assert score.parts["parameters"] == 2 * 9 + 2 + 2 * 3 + 3
    assert not network._forward_hooks


def test_cost_needs_batches_of_at_least_one_image():
    for sizes in ((), (1, 0)):
        with pytest.raises(ValueError, match="batch_sizes must be 1 or more each"):
            cost(len, np.ones((1, 3, 4, 4)), batch_sizes=sizes)


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
