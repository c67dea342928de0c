"""Curves and drops: closed forms of linear scores, counted passes, and the controls."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.stats import pearsonr

from foveal.measures import (
    deletion_auc,
    early_auc,
    excess_drop,
    insertion_auc,
    lesion_drop,
    masked_roi_drop,
    random_curves,
    removal_curves,
    roi_drops,
)
from foveal.measures.curves import FRACTIONS
from foveal.measures.moved import moved_regions, signed_distance

RANDOM = np.random.default_rng(3)
WEIGHTS = RANDOM.random((16, 16)) ** 6
WEIGHTS /= WEIGHTS.sum()
IMAGE = np.ones((1, 16, 16), np.float32)


def linear(batch):
    """Sum of the weights of the pixels that are still white: 1 for the image, 0 for black."""
    return (np.asarray(batch)[:, 0] * WEIGHTS).sum(axis=(1, 2))


SETTINGS = {"baseline": 0.0, "patch_px": 1}


def _slow_area(order: np.ndarray, *, insert: bool) -> float:
    """Trapezoid over the asked fractions of the cumulative weight, pixel by pixel."""
    counts = sorted({round(f * 256) for f in FRACTIONS})
    gone = np.array([WEIGHTS.ravel()[order[:count]].sum() for count in counts])
    scores = gone if insert else 1 - gone
    return float(np.trapezoid(scores, np.array(counts) / 256))


def test_curves_of_a_linear_score_are_its_cumulative_weights():
    order = np.argsort(-WEIGHTS.ravel())
    deletion = deletion_auc(linear, IMAGE, WEIGHTS, **SETTINGS)
    insertion = insertion_auc(linear, IMAGE, WEIGHTS, **SETTINGS)
    assert deletion.value == pytest.approx(_slow_area(order, insert=False), abs=1e-6)
    assert insertion.value == pytest.approx(_slow_area(order, insert=True), abs=1e-6)
    assert deletion.value + insertion.value == pytest.approx(1)
    assert deletion.parts["scores"][0] == pytest.approx(1)
    assert deletion.parts["fractions"][-1] == 1


def test_the_reversed_map_is_the_worst_one():
    best = deletion_auc(linear, IMAGE, WEIGHTS, **SETTINGS).value
    worst = deletion_auc(linear, IMAGE, WEIGHTS.max() + 1e-9 - WEIGHTS, **SETTINGS).value
    null = random_curves(linear, IMAGE, orders=30, **SETTINGS)
    score = deletion_auc(linear, IMAGE, WEIGHTS, null=null, **SETTINGS)
    assert best < min(score.null) <= max(score.null) < worst
    assert score.chance == pytest.approx(np.mean(score.null))
    assert score.chance == pytest.approx(0.5, abs=0.03)
    band = np.array(score.parts["null_scores"])
    assert band.shape == (30, len(score.parts["fractions"]))
    np.testing.assert_allclose(band.mean(axis=0), 1 - np.array(score.parts["fractions"]), atol=0.1)


def test_insertion_is_the_reversed_deletion_of_the_reverse_order():
    made = removal_curves(linear, IMAGE, WEIGHTS, fractions=(0, 0.25, 0.5, 0.75, 1), **SETTINGS)
    reverse = removal_curves(
        linear, IMAGE, WEIGHTS.max() + 1e-9 - WEIGHTS, fractions=(0, 0.25, 0.5, 0.75, 1), **SETTINGS
    )
    np.testing.assert_allclose(made.insertion.scores, reverse.deletion.scores[::-1], atol=1e-6)


def test_both_curves_take_26_passes_in_batches():
    sizes: list[int] = []

    def counting(batch):
        sizes.append(len(batch))
        return linear(batch)

    made = removal_curves(counting, IMAGE, WEIGHTS, max_batch=8, **SETTINGS)
    assert sum(sizes) == 26
    assert max(sizes) == 8
    for measure in (deletion_auc, insertion_auc, early_auc):
        measure(counting, IMAGE, WEIGHTS, curves=made, **SETTINGS)
    assert sum(sizes) == 26


def test_the_early_area_is_the_mean_score_up_to_a_fifth():
    fractions = (0, 0.1, 0.3, 1)
    made = removal_curves(linear, IMAGE, WEIGHTS, fractions=fractions, **SETTINGS)
    at = np.linspace(0, 0.2, 20_001)
    curve = np.interp(at, made.deletion.fractions, made.deletion.scores)
    score = early_auc(linear, IMAGE, WEIGHTS, curves=made, **SETTINGS)
    assert score.value == pytest.approx(curve.mean(), abs=1e-4)


def test_only_pixels_of_the_field_are_replaced_and_counted():
    field = np.zeros((16, 16), bool)
    field[4:12, 4:12] = True
    seen: list[np.ndarray] = []

    def recording(batch):
        seen.append(np.array(batch))
        return linear(batch)

    made = removal_curves(recording, IMAGE, WEIGHTS, field=field, **SETTINGS)
    assert made.patches == 64
    assert all((batch[:, 0][:, ~field] == 1).all() for batch in seen)
    assert seen[0][1, 0][field].max() == 0  # the baseline follows the image


def test_patches_at_the_edge_count_by_their_own_pixels():
    field = np.ones((16, 16), bool)
    field[:, 10:] = False
    made = removal_curves(linear, IMAGE, WEIGHTS, field=field, baseline=0.0, patch_px=4)
    assert made.patches == 12  # the third column of patches is cut to two pixels
    assert made.deletion.fractions[-1] == 1


def test_log_odds_give_probabilities_and_both_are_reported():
    def log_odds(batch):
        return 8 * linear(batch) - 4

    score = deletion_auc(log_odds, IMAGE, WEIGHTS, scale="log-odds", **SETTINGS)
    raw = deletion_auc(log_odds, IMAGE, WEIGHTS, **SETTINGS)
    assert score.parts["log_odds_auc"] == pytest.approx(raw.value)
    assert score.parts["scores"][0] == pytest.approx(1 / (1 + np.exp(-4)))
    assert score.range == (0, 1)


def test_log_odds_far_below_zero_are_a_probability_of_zero():
    score = deletion_auc(
        lambda batch: -2000 * linear(batch), IMAGE, WEIGHTS, scale="log-odds", **SETTINGS
    )
    assert score.parts["scores"][0] == 0
    assert score.parts["scores"][-1] == 0.5


def test_arrays_that_are_locked_or_flipped_are_measured_as_any_other():
    locked = IMAGE.copy()
    locked.flags.writeable = False
    field = np.broadcast_to(np.True_, (16, 16))
    plain = deletion_auc(linear, IMAGE, WEIGHTS, **SETTINGS).value
    for image in (locked, IMAGE[:, ::-1]):
        for baseline in (0.0, np.broadcast_to(np.float32(0), IMAGE.shape)):
            score = deletion_auc(linear, image, WEIGHTS, field=field, baseline=baseline, patch_px=1)
            assert score.value == plain


def test_tensors_with_gradients_and_in_bfloat16_are_measured_as_their_numbers():
    image = torch.from_numpy(IMAGE).requires_grad_()
    values = torch.from_numpy(WEIGHTS).bfloat16().requires_grad_()
    weights = torch.from_numpy(WEIGHTS).float()
    score = masked_roi_drop(
        lambda batch: (batch[:, 0] * weights).sum((1, 2)).bfloat16(), image, values, baseline=0.0
    )
    plain = masked_roi_drop(linear, IMAGE, values.detach().float().numpy(), baseline=0.0)
    assert score.value == pytest.approx(plain.value, abs=0.01)


def test_the_normalised_area_runs_from_the_baselines_score_to_the_images():
    score = deletion_auc(lambda batch: 3 + 2 * linear(batch), IMAGE, WEIGHTS, **SETTINGS)
    plain = deletion_auc(linear, IMAGE, WEIGHTS, **SETTINGS)
    assert score.parts["normalised"] == pytest.approx(plain.value, abs=1e-5)
    flat = deletion_auc(lambda batch: 0.01 * linear(batch), IMAGE, WEIGHTS, **SETTINGS)
    assert flat.parts["normalised"] is None
    assert flat.parts["normalised_reason"] == "no_score_range"


def test_the_score_gets_tensors_when_the_image_is_one():
    kinds: set[type] = set()

    def noting(batch):
        kinds.add(type(batch))
        return batch.mean(axis=(1, 2, 3))

    deletion_auc(noting, torch.from_numpy(IMAGE), WEIGHTS, **SETTINGS)
    assert kinds == {torch.Tensor}
    deletion_auc(noting, IMAGE, WEIGHTS, **SETTINGS)
    assert kinds == {torch.Tensor, np.ndarray}


def test_the_blur_does_not_bleed_the_black_surround_into_the_field():
    field = np.zeros((40, 40), bool)
    field[10:30, 10:30] = True
    image = np.where(field, 0.8, 0.0).astype(np.float32)[None]
    seen: list[np.ndarray] = []

    def recording(batch):
        seen.append(np.array(batch))
        return np.zeros(len(batch))

    removal_curves(recording, image, field * np.arange(40.0), field=field)
    np.testing.assert_allclose(seen[1][0, 0][field], 0.8, atol=1e-5)
    assert (seen[1][0, 0][~field] == 0).all()


def test_the_drop_of_a_linear_score_is_the_weight_that_was_taken_away():
    heaviest = np.sort(WEIGHTS.ravel())[::-1]
    score = masked_roi_drop(linear, IMAGE, WEIGHTS, area=0.1, baseline=0.0)
    assert score.value == pytest.approx(heaviest[:26].sum(), abs=1e-6)
    assert score.parts["relative_percent"] == pytest.approx(100 * score.value)
    assert len(score.null) == 20
    assert score.chance == pytest.approx(np.mean(score.null))
    mask = np.zeros((16, 16), bool)
    mask[0, :5] = True
    matched = masked_roi_drop(linear, IMAGE, WEIGHTS, mask=mask, baseline=0.0)
    assert matched.value == pytest.approx(heaviest[:5].sum(), abs=1e-6)


def test_a_rise_of_a_regression_counts_as_a_fall_does():
    def falling(batch):
        return -3 * linear(batch)

    fall = masked_roi_drop(falling, IMAGE, WEIGHTS, baseline=0.0)
    change = masked_roi_drop(falling, IMAGE, WEIGHTS, baseline=0.0, either_way=True)
    assert fall.value < -0.5
    assert change.value == -fall.value
    assert change.parts["fall"] == fall.value
    assert change.null == tuple(-one for one in fall.null)
    mask = np.sort(WEIGHTS.ravel())[-13] <= WEIGHTS
    assert excess_drop(falling, IMAGE, WEIGHTS, mask=mask, baseline=0.0).parts["percentile"] == 0
    either = lesion_drop(falling, IMAGE, mask, baseline=0.0, either_way=True)
    assert either.parts["percentile"] == 1


def test_the_excess_drop_is_the_drop_beyond_the_random_ones():
    drops = roi_drops(linear, IMAGE, WEIGHTS, baseline=0.0)
    excess = excess_drop(linear, IMAGE, WEIGHTS, drops=drops)
    assert excess.value == pytest.approx(drops.drop - np.mean(drops.null))
    assert excess.parts["percentile"] == 1
    assert excess.chance == 0


def test_excess_drops_of_random_maps_scatter_around_chance():
    random = np.random.default_rng(0)
    values = [
        excess_drop(linear, IMAGE, random.random((16, 16)), baseline=0.0, seed=s).value
        for s in range(60)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)


def test_drops_of_probabilities_lie_between_minus_one_and_one():
    for measure in (masked_roi_drop, excess_drop):
        assert measure(linear, IMAGE, WEIGHTS, scale="probability", random=2).range == (-1, 1)


def test_drops_take_one_pass_for_each_region_and_one_for_the_image():
    sizes: list[int] = []

    def counting(batch):
        sizes.append(len(batch))
        return linear(batch)

    roi_drops(counting, IMAGE, WEIGHTS, baseline=0.0, random=7)
    assert sum(sizes) == 9


def test_feathering_fades_the_edge_over_its_width():
    seen: list[np.ndarray] = []

    def recording(batch):
        seen.append(np.array(batch))
        return linear(batch)

    values = np.zeros((16, 16))
    values[:, 8:] = 1
    roi_drops(recording, IMAGE, values, area=0.5, baseline=0.0, feather_px=4, random=0)
    np.testing.assert_allclose(
        seen[1][0, 0][8], [1] * 6 + [0.875, 0.625, 0.375, 0.125] + [0] * 6, atol=1e-6
    )


def test_a_score_of_nearly_zero_has_no_relative_drop():
    score = masked_roi_drop(lambda batch: 0 * linear(batch), IMAGE, WEIGHTS, baseline=0.0)
    assert score.value == 0
    assert score.parts["relative_percent"] is None
    assert score.parts["relative_reason"] == "no_score_range"
    bare = excess_drop(linear, IMAGE, WEIGHTS, baseline=0.0, random=0)
    assert bare.reason == "too_few"


def test_moved_regions_keep_their_area_stay_in_the_field_and_are_spread_over_it():
    rows, columns = np.mgrid[:120, :120]
    field = (rows - 60) ** 2 + (columns - 60) ** 2 < 55**2
    region = (rows - 30) ** 2 + (columns - 60) ** 2 < 8**2
    moved = [m > 0 for m in moved_regions(signed_distance(region), field, 60, seed=1)]
    assert {int(m.sum()) for m in moved} == {int(region.sum())}
    assert all((m <= field).all() for m in moved)
    centres = np.array([np.argwhere(m).mean(axis=0) for m in moved])
    assert centres.std(axis=0).min() > 15
    assert abs(pearsonr(centres[:, 0], centres[:, 1]).statistic) < 0.35
    spread = [np.argwhere(m).std(axis=0).max() for m in moved]
    assert max(spread) < 1.3 * np.argwhere(region).std(axis=0).max()


PLACES = [
    pytest.param([(30, 60, 8)], 0.06, id="one blob"),
    pytest.param([(30, 60, 8), (70, 40, 9), (66, 88, 7)], 0.12, id="three blobs"),
    pytest.param([(60, 60, 24)], 0.95, id="a large blob in the middle"),
]


@pytest.mark.parametrize(("place", "most"), PLACES)
def test_moved_regions_leave_the_regions_own_place_as_far_as_there_is_room(place, most):
    """One that may lie anywhere overlaps by much more: it would be control and evidence at once."""
    rows, columns = np.mgrid[:120, :120]
    field = (rows - 60) ** 2 + (columns - 60) ** 2 < 55**2
    discs = [(rows - row) ** 2 + (columns - col) ** 2 < r**2 for row, col, r in place]
    region = np.logical_or.reduce(discs)
    moved = [m > 0 for m in moved_regions(signed_distance(region), field, 60, seed=2)]
    assert max((m & region).sum() / region.sum() for m in moved) < most


def test_a_cause_that_the_region_covers_by_half_stands_out_of_moved_regions():
    """Copies that take more of the same cause would hide it."""
    rows, columns = np.mgrid[:96, :96]
    cause = (abs(rows - 60) < 10) & (abs(columns - 40) < 10)
    half = ((rows - 60) ** 2 + (columns - 48) ** 2 < 10**2).astype(float)
    found = excess_drop(
        lambda batch: batch[:, 0][:, cause].mean(axis=1), np.ones((1, 96, 96)), half,
        mask=half > 0, baseline=0.0, random=99,
    )  # fmt: skip
    assert found.parts["percentile"] > 0.97


def test_where_no_place_matters_the_order_among_moved_regions_is_one_of_chance():
    """Every third of the percentiles is as frequent: regions kept apart stay a fair control."""
    rows, columns = np.mgrid[:48, :48]
    blob = ((rows - 15) ** 2 + (columns - 20) ** 2 < 7**2).astype(float)
    shares = []
    for seed in range(60):
        noise = np.random.default_rng(seed).permutation(48 * 48).reshape(48, 48)

        def score(batch, noise=noise):
            """A number of each region that has nothing to do with where it is."""
            return np.array([np.sin(noise[probe[0] == 0].sum()) for probe in np.asarray(batch)])

        found = excess_drop(
            score, np.ones((1, 48, 48)), blob, mask=blob > 0, baseline=0.0, random=19, seed=seed
        )
        shares.append(found.parts["percentile"])
    thirds = np.histogram(shares, bins=[-0.01, 0.34, 0.66, 1.01])[0]
    assert thirds.min() > 10
    assert thirds.max() < 32


def test_a_moved_region_has_the_edge_of_the_region():
    field = np.ones((80, 80), bool)
    rows, columns = np.mgrid[:80, :80]
    depth = signed_distance((rows - 40) ** 2 + (columns - 40) ** 2 < 20**2)
    for soft in moved_regions(depth, field, 5, seed=3, feather_px=6):
        moved = soft > 0.5
        inside, outside = (distance_transform_edt(m) for m in (moved, ~moved))
        ramp = np.clip(0.5 + np.where(moved, inside - 0.5, 0.5 - outside) / 6, 0, 1)
        away = np.pad(np.ones((70, 70), bool), 5)  # from the border, where the region is cut
        assert np.abs(soft - ramp)[away].max() < 0.15


@pytest.mark.parametrize("feather", [0.0, 2.0])
@pytest.mark.parametrize("missing", [0, 1, 3, 700])
def test_regions_almost_as_large_as_the_field_keep_their_area(missing, feather):
    region = np.ones((48, 48), bool)
    region.ravel()[np.random.default_rng(1).permutation(48 * 48)[:missing]] = False
    depth = signed_distance(region)
    moves = moved_regions(depth, np.ones_like(region), 6, seed=0, feather_px=feather)
    assert [m.sum() for m in moves] == pytest.approx([region.sum()] * 6)


SPREADS = [
    pytest.param(0, id="noise"),
    pytest.param(1.5, id="scattered"),
    pytest.param(12, id="blob"),
]


@pytest.mark.parametrize("feather", [0.0, 1.5, 3.0])
@pytest.mark.parametrize("spread", SPREADS)
def test_the_drop_of_an_even_score_is_the_area_asked_for_and_so_is_every_random_one(
    spread, feather
):
    """Pixels that weigh the same leave nothing but how much was removed."""
    rows, columns = np.mgrid[:96, :96]
    field = (rows - 47.5) ** 2 + (columns - 47.5) ** 2 < 44**2
    values = gaussian_filter(np.random.default_rng(5).standard_normal((96, 96)), spread)
    call = (lambda batch: batch[:, 0][:, field].mean(axis=1), np.ones((1, 96, 96)), values)
    made = roi_drops(*call, field=field, baseline=0.0, feather_px=feather, random=6)
    assert made.area == pytest.approx(0.05, abs=1e-4)
    assert made.drop == pytest.approx(made.area, abs=1e-6)
    assert made.removed == pytest.approx(made.area, abs=1e-6)
    assert made.null == pytest.approx([made.area] * 6, abs=1e-6)
    assert excess_drop(*call, drops=made).parts["percentile"] == 0.5
    assert masked_roi_drop(*call, drops=made).parts["removed"] == made.removed


@pytest.mark.parametrize("feather", [0.0, 3.0])
def test_a_map_of_noise_removes_no_more_than_its_random_regions(feather):
    """Its percentile among them is uniform: 40 of them have a mean within 1/2 +- 4 x 0.05."""
    random = np.random.default_rng(2)
    percentiles = []
    for seed in range(40):
        weights = random.random((48, 48))
        weights /= weights.sum()
        score = excess_drop(
            lambda batch, weights=weights: (batch[:, 0] * weights).sum(axis=(1, 2)),
            np.ones((1, 48, 48)),
            random.standard_normal((48, 48)),
            baseline=0.0,
            feather_px=feather,
            random=8,
            seed=seed,
        )
        percentiles.append(score.parts["percentile"])
    assert 0.3 < np.mean(percentiles) < 0.7


MISSING = [
    pytest.param(deletion_auc, WEIGHTS * 0, {}, "zero_map", id="deletion, zero"),
    pytest.param(insertion_auc, WEIGHTS * 0 + 1, {}, "constant_map", id="insertion, flat"),
    pytest.param(masked_roi_drop, WEIGHTS * 0, {}, "zero_map", id="drop, zero"),
    pytest.param(
        excess_drop, WEIGHTS, {"mask": np.zeros((16, 16), bool)}, "empty_mask", id="drop, no region"
    ),
]


@pytest.mark.parametrize(("measure", "values", "extra", "reason"), MISSING)
def test_what_is_undefined_gives_a_reason_and_sends_no_pass(measure, values, extra, reason):
    def refuse(batch):
        raise RuntimeError("no pass was needed")

    assert measure(refuse, IMAGE, values, **extra).reason == reason


WRONG = [
    pytest.param({"image": IMAGE[0]}, "channel, row, column", id="image axes"),
    pytest.param({"image": IMAGE * 255}, "display units", id="image units"),
    pytest.param({"image": IMAGE.astype(np.uint8)}, "display units", id="image type"),
    pytest.param({"map": WEIGHTS[:8]}, "on the map's", id="grid"),
    pytest.param({"score": lambda batch: 1.0}, r"one number per image, so shape", id="score shape"),
    pytest.param(
        {"score": lambda batch: np.full(len(batch), np.nan)}, "not finite", id="score NaN"
    ),
    pytest.param({"baseline": "white"}, "one of", id="baseline"),
    pytest.param({"scale": "odds"}, "scale must be", id="scale"),
    pytest.param({"patch_px": 0}, "patch_px must be", id="patch"),
    pytest.param({"fractions": (0, 2)}, "fractions must be", id="fractions"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_call_says_what_was_wrong(change, message):
    call = {"score": linear, "image": IMAGE, "map": WEIGHTS, **change}
    with pytest.raises(ValueError, match=message):
        deletion_auc(call.pop("score"), call.pop("image"), call.pop("map"), **call)


@pytest.mark.parametrize("change", [{"area": 0}, {"area": 1.5}, {"random": -1}], ids=str)
def test_wrong_drop_settings_say_what_was_wrong(change):
    with pytest.raises(ValueError, match="must"):
        masked_roi_drop(linear, IMAGE, WEIGHTS, **change)
