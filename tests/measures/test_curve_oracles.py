"""Areas of removal curves against what theory says, and the orders they are compared with."""

import numpy as np
import pytest

from foveal.measures import (
    Arm,
    Controls,
    aopc,
    control_curves,
    deletion_auc,
    drop_at_fraction,
    insertion_auc,
    patch_effects,
    random_curves,
    removal_curves,
    removal_curves_of,
    srg,
)
from foveal.measures.controls import CENTRE, EDGES, EXPERT, OWN

RANDOM = np.random.default_rng(5)
WEIGHTS = RANDOM.random((16, 16)) ** 6
WEIGHTS /= WEIGHTS.sum()
REVERSED = WEIGHTS.max() + 1e-9 - WEIGHTS
IMAGE = np.ones((1, 16, 16))
SETTINGS = {"baseline": 0.0, "patch_px": 1}
EVEN = {**SETTINGS, "fractions": tuple(step / 16 for step in range(17))}


def curved(batch: np.ndarray) -> np.ndarray:
    """A score that is no straight line in what is left."""
    return (batch[:, 0] * WEIGHTS).sum(axis=(1, 2)) ** 2


@pytest.mark.parametrize(("order", "curve"), [("morf", deletion_auc), ("lerf", insertion_auc)])
def test_aopc_over_even_steps_is_sameks_mean_and_a_line_of_the_area(order, curve):
    area = curve(curved, IMAGE, WEIGHTS, **EVEN)
    over = aopc(curved, IMAGE, WEIGHTS, order=order, **EVEN)
    scores = area.parts["scores"] if order == "morf" else area.parts["scores"][::-1]
    steps = len(scores) - 1
    assert steps == 16
    assert over.value == pytest.approx(sum(scores[0] - s for s in scores) / 17, abs=1e-12)
    line = (17 * (scores[0] - over.value) - (scores[0] + scores[-1]) / 2) / 16
    assert area.value == pytest.approx(line, abs=1e-12)
    assert over.params["form"] == "steps"


def test_aopc_over_uneven_steps_is_what_the_area_leaves_of_the_score():
    area = deletion_auc(curved, IMAGE, WEIGHTS, **SETTINGS)
    over = aopc(curved, IMAGE, WEIGHTS, **SETTINGS)
    assert over.value == pytest.approx(area.parts["image_score"] - area.value, abs=1e-12)
    assert over.params["form"] == "integral"


def test_aopc_depends_on_the_map_and_the_form_that_does_not_is_not_offered():
    best, worst = (aopc(curved, IMAGE, m, **EVEN).value for m in (WEIGHTS, REVERSED))
    telescoping = (1 - 0) / 17
    assert best > 0.8 > 0.2 > worst
    assert telescoping not in (pytest.approx(best), pytest.approx(worst))
    with pytest.raises(ValueError, match="morf or lerf"):
        aopc(curved, IMAGE, WEIGHTS, order="source", **EVEN)


def test_aopc_says_which_way_is_better_by_its_order():
    assert aopc(curved, IMAGE, WEIGHTS, **EVEN).direction == "higher"
    assert aopc(curved, IMAGE, WEIGHTS, order="lerf", **EVEN).direction == "lower"


def test_insertion_is_deletion_of_the_reverse_order_read_backwards_on_the_mirrored_grid():
    made = removal_curves(curved, IMAGE, WEIGHTS, **SETTINGS)
    mirrored = tuple(1 - f for f in made.insertion.fractions)
    twin = removal_curves(curved, IMAGE, REVERSED, fractions=mirrored, **SETTINGS)
    np.testing.assert_allclose(twin.deletion.scores, made.insertion.scores[::-1], atol=1e-12)
    np.testing.assert_allclose(twin.deletion.fractions, made.least_first.fractions, atol=1e-12)


def test_the_gain_is_what_insertion_is_above_deletion_and_turns_with_the_map():
    gain = srg(curved, IMAGE, WEIGHTS, **EVEN)
    below = deletion_auc(curved, IMAGE, WEIGHTS, **EVEN).value
    assert gain.value == pytest.approx(insertion_auc(curved, IMAGE, WEIGHTS, **EVEN).value - below)
    inverted = srg(curved, IMAGE, REVERSED, **EVEN)
    assert gain.parts["inverted"] == pytest.approx(inverted.parts["by_baseline"], abs=1e-12)


def test_random_maps_gain_nothing_and_the_true_one_does():
    random = np.random.default_rng(1)
    gains = [
        srg(curved, IMAGE, random.random((16, 16)), seed=n, **SETTINGS).value for n in range(60)
    ]
    assert abs(np.mean(gains)) < 3 * np.std(gains) / np.sqrt(60)
    assert srg(curved, IMAGE, WEIGHTS, **SETTINGS).value > 0.5


def test_the_gain_is_the_median_over_baselines_that_are_all_reported():
    image = np.clip(IMAGE * 0.4 + RANDOM.random((1, 16, 16)) * 0.5, 0, 1)
    names = ["blur", "linear", "annulus"]
    score = srg(curved, image, WEIGHTS, baselines=names, patch_px=2)
    alone = [srg(curved, image, WEIGHTS, baseline=name, patch_px=2).value for name in names]
    assert score.parts["by_baseline"] == pytest.approx(alone)
    assert score.value == pytest.approx(np.median(alone))
    assert score.params["baseline"] == names
    with pytest.raises(ValueError, match="each with its own"):
        srg(curved, image, WEIGHTS, baselines=names, controls=Controls(random=(object(),)))


def test_the_normalised_gains_are_kept_by_baseline_and_lack_one_without_a_score_range():
    parts = srg(curved, IMAGE * 0.8, WEIGHTS, baselines=["blur", "black"], patch_px=1).parts
    blur, black = parts["normalised_by_baseline"]
    assert blur is None
    assert black == pytest.approx(parts["by_baseline"][1] / 0.8**2)
    assert (parts["normalised"], parts["normalised_reason"]) == (None, "no_score_range")


def test_several_maps_share_their_passes_and_have_the_curves_of_one_by_one():
    sizes: list[int] = []

    def counting(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return curved(batch)

    maps = {"a": WEIGHTS, "b": REVERSED, "flat": WEIGHTS * 0}
    made = removal_curves_of(counting, IMAGE, maps, max_batch=8, **SETTINGS)
    assert sum(sizes) == 2 + 2 * 24
    assert sizes == [*[8] * 6, 2]
    assert made["flat"] == "zero_map"
    for name in ("a", "b"):
        assert made[name] == removal_curves(curved, IMAGE, maps[name], **SETTINGS)


def test_the_drop_at_a_fraction_is_a_point_of_the_deletion_curve():
    heaviest = np.sort(WEIGHTS.ravel())[::-1]
    at_once = drop_at_fraction(curved, IMAGE, WEIGHTS, fraction=0.25, **SETTINGS)
    assert at_once.value == pytest.approx(1 - (1 - heaviest[:64].sum()) ** 2)
    known = removal_curves(curved, IMAGE, WEIGHTS, **SETTINGS)
    between = drop_at_fraction(curved, IMAGE, WEIGHTS, fraction=0.25, curves=known, **SETTINGS)
    ends = [
        1 - known.deletion.scores[known.deletion.fractions.index(f)] for f in (51 / 256, 77 / 256)
    ]
    assert min(ends) < between.value < max(ends)
    with pytest.raises(ValueError, match="fraction must be"):
        drop_at_fraction(curved, IMAGE, WEIGHTS, fraction=0, **SETTINGS)


def test_presets_keep_their_steps_for_every_measure_of_the_curve():
    sizes: list[int] = []

    def counting(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return curved(batch)

    drop_at_fraction(counting, IMAGE, WEIGHTS, fraction=0.1, preset="source", patch_px=1)
    assert sum(sizes) == 40  # 19 steps for each curve, and both ends
    even = deletion_auc(curved, IMAGE, WEIGHTS, preset="source", patch_px=1).parts["fractions"]
    np.testing.assert_allclose(even, np.arange(21) / 20, atol=0.5 / 256)
    rise = deletion_auc(curved, IMAGE, WEIGHTS, preset="rise")
    assert rise.params["baseline"] == "black"
    assert rise.params["patch_px"] == 1
    assert insertion_auc(curved, IMAGE, WEIGHTS, preset="rise").params["baseline"] == "rise-blur"
    with pytest.raises(ValueError, match="preset must be"):
        deletion_auc(curved, IMAGE, WEIGHTS, preset="quantus")


@pytest.mark.parametrize("measure", [aopc, deletion_auc, insertion_auc, drop_at_fraction])
def test_the_grid_and_the_form_are_part_of_the_numbers_name(measure):
    own = measure(curved, IMAGE, WEIGHTS, **SETTINGS).params
    even = measure(curved, IMAGE, WEIGHTS, preset="source", fractions=EVEN["fractions"], patch_px=1)
    assert own["steps"] >= 13
    assert own["steps"] != even.params["steps"] >= 16
    assert "normalised" not in own
    assert measure(curved, IMAGE, WEIGHTS, normalised=True, **SETTINGS).params["normalised"] is True


def test_controls_are_the_orders_that_their_names_say():
    field = np.hypot(*(np.mgrid[:16, :16] - 7.5)) < 8
    image = np.where(field, 0.5, 0.0)[None].repeat(3, axis=0)
    image[:, 6:10, 6:10] = 0.9
    mask = np.zeros((16, 16), bool)
    mask[3, 3] = True
    asked = {"field": field, "baseline": 0.0, "patch_px": 1}

    def seen(batch: np.ndarray) -> np.ndarray:
        return batch[:, 0, 10, 4] + 2 * batch[:, 0, 3, 3]

    effects = patch_effects(seen, image, **asked)
    made = control_curves(seen, image, mask=mask, effects=effects, orders=2, **asked)
    assert list(made.fixed) == [EDGES, CENTRE, OWN, EXPERT]
    assert len(made.random) == 2
    own, expert = (made.fixed[name].deletion for name in (OWN, EXPERT))
    assert own.scores[1:3] == pytest.approx((0.5, 0))
    assert expert.scores[1] == pytest.approx(0.5)
    bare = control_curves(seen, image, orders=1, **asked)
    assert list(bare.fixed) == [EDGES, CENTRE]
    assert bare.fixed[CENTRE].deletion == made.fixed[CENTRE].deletion


LESION, MARKER = (slice(3, 6), slice(9, 13)), (slice(13, 15), slice(1, 3))


def _eyes(lesion: np.ndarray, marker: np.ndarray, seed: int) -> np.ndarray:
    images = 0.4 + 0.02 * np.random.default_rng(seed).standard_normal((len(lesion), 1, 16, 16))
    images[(lesion > 0, 0, *LESION)] += 0.3
    images[(marker > 0, 0, *MARKER)] += 0.3
    return images.clip(0, 1)


def _trained_on(learnt: str):
    """Ridge regression on eyes whose label goes with the marker, or with the lesion, alone."""
    random = np.random.default_rng(2)
    lesion, marker = random.integers(0, 2, (2, 400))
    label = {"marker": marker, "lesion": lesion}[learnt]
    flat = _eyes(lesion, marker, 3).reshape(400, -1)
    centred = flat - flat.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + np.eye(256), centred.T @ (label - 0.5))
    return lambda batch: (batch.reshape(len(batch), -1) - flat.mean(axis=0)) @ weights


@pytest.mark.parametrize("learnt", ["marker", "lesion"])
def test_the_experts_order_stands_out_only_where_the_model_learnt_the_lesion(learnt):
    """The model's own order does so either way: it is the gate, the expert's is a finding."""
    score = _trained_on(learnt)
    eyes = _eyes(np.ones(12), np.ones(12), 4)
    mask = np.zeros((16, 16), bool)
    mask[LESION] = True
    own, expert = [], []
    for number, eye in enumerate(eyes):
        asked = {"baseline": "annulus", "patch_px": 2, "seed": number}
        effects = patch_effects(score, eye, **asked)
        controls = control_curves(score, eye, mask=mask, effects=effects, orders=10, **asked)
        curves = removal_curves(score, eye, mask.astype(float), **asked)
        found = srg(
            score, eye, mask.astype(float), arms={"annulus": Arm(curves=curves, controls=controls)}
        )
        own += found.parts["own_order_auroc"]
        assert found.parts["uninformative"] == []
        random, (ours,) = found.parts["random"][0], found.parts["controls"][EXPERT]
        expert.append(np.mean(np.array(random) < ours))
    assert np.mean(own) == 1
    if learnt == "lesion":
        assert np.mean(expert) > 0.95
    else:
        assert 0.2 < np.mean(expert) < 0.7


def test_where_removal_says_nothing_of_the_model_the_score_calls_the_baseline_uninformative():
    def even(batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(1, 2, 3))

    effects = patch_effects(even, IMAGE, **SETTINGS)
    controls = control_curves(even, IMAGE, effects=effects, orders=10, **SETTINGS)
    curves = removal_curves(even, IMAGE, WEIGHTS, **SETTINGS)
    found = srg(even, IMAGE, WEIGHTS, arms={"0": Arm(curves=curves, controls=controls)})
    assert found.parts["own_order_auroc"][0] < 0.7
    assert found.parts["uninformative"] == ["0"]
    alone = random_curves(even, IMAGE, orders=2, **SETTINGS)
    assert srg(even, IMAGE, WEIGHTS, null=alone, **SETTINGS).parts["own_order_auroc"] == [None]


def test_what_was_sent_for_one_map_serves_the_next_as_the_documentation_says():
    maps = {"a": WEIGHTS, "b": REVERSED}
    image = np.clip(IMAGE * 0.4 + RANDOM.random((1, 16, 16)) * 0.5, 0, 1)
    effects = patch_effects(curved, image, patch_px=2)
    arms: dict[str, dict[str, Arm]] = {}
    for name in ("blur", "linear"):
        asked = {"baseline": name, "patch_px": 2}
        curves = removal_curves_of(curved, image, maps, **asked)
        controls = control_curves(curved, image, effects=effects, orders=3, **asked)
        arms[name] = {key: Arm(curves=own, controls=controls) for key, own in curves.items()}

    def refuse(batch: np.ndarray) -> np.ndarray:
        raise RuntimeError("no pass was needed")

    for key, map in maps.items():
        found = srg(refuse, image, map, arms={name: own[key] for name, own in arms.items()})
        assert len(found.null) == 3
        assert len(found.parts["own_order_auroc"]) == 2
        assert set(found.parts["controls"]) == {EDGES, CENTRE, OWN}
