"""What depends on no map is sent once for an image, however many maps it has."""

import numpy as np
import pytest
import torch

from foveal.core import Region
from foveal.run import LEVELS
from foveal.run.perturbing import PERTURBING, PerturbedMap, Perturbing
from foveal.run.placing import Place
from foveal.run.trials import Trials
from foveal.store import ALL_LESIONS

SIDE = 48
PATCHES = 24 * 24
RANDOM = np.random.default_rng(4)
IMAGE = torch.from_numpy(0.2 + 0.6 * RANDOM.random((3, SIDE, SIDE))).float()
WEIGHTS = torch.from_numpy(RANDOM.standard_normal((SIDE, SIDE))).float() / SIDE
LESION = np.zeros((SIDE, SIDE), bool)
LESION[8:16, 20:30] = True
PLACE = Place(
    field=np.ones((SIDE, SIDE), bool),
    regions=(Region(name=ALL_LESIONS, mask=LESION, kind="lesion"),),
)


def sizes_of(names, *, maps: int, place: Place = PLACE, scale="log-odds", **settings) -> list[int]:
    """The batches that measuring so many maps sends."""
    sizes: list[int] = []

    def score(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return (batch.mean(dim=1) * WEIGHTS).sum((1, 2))

    by = Perturbing(score, IMAGE, place, scale, trials(names, **settings))
    made = [PerturbedMap(by, n, RANDOM.standard_normal((SIDE, SIDE))) for n in range(maps)]
    for one in made:
        for name in by.trials.names:
            assert all(m.score.value is not None for m in PERTURBING[name](one))
    return sizes


def trials(names, **settings) -> Trials:
    return Trials(names=frozenset(names) & set(PERTURBING), **settings)


STANDARD = {"random_orders": 10, "random_regions": 20}
MEASURES = [
    pytest.param(LEVELS["full"], {"random_orders": 1, "random_regions": 2}, id="full"),
    pytest.param(("deletion_auc",), {"baseline": "black", **STANDARD}, id="one curve"),
    pytest.param(
        ("srg",), {"baseline": "black", "random_orders": 1}, id="another baseline than srg's"
    ),
    pytest.param(("irp_logodds",), STANDARD, id="log-odds"),
    pytest.param(("lesion_drop",), STANDARD, id="lesions"),
    pytest.param(("road_combined",), {"random_orders": 2}, id="road"),
    pytest.param(("sensitivity_n",), {}, id="sets of all sizes"),
]


@pytest.mark.parametrize(("names", "settings"), MEASURES)
def test_the_passes_are_those_that_were_planned(names, settings):
    for maps in (1, 2):
        planned = trials(names, **settings).passes(
            (SIDE, SIDE), maps=maps, log_odds=True, lesions=True
        )
        assert sum(sizes_of(names, maps=maps, **settings)) == planned


def test_what_a_map_adds_at_the_level_standard_and_what_is_sent_once():
    one, two = (sum(sizes_of(LEVELS["standard"], maps=n, **STANDARD)) for n in (1, 2))
    curves, drops, kept = 3 * 24, 2 * (1 + 20), 1 + 10
    assert two - one == curves + drops + kept
    ends, controls, sets, lesions = 1 + 3, 3 * 24 * (10 + 4), 100, 1 + 20
    assert one - (two - one) == ends + controls + PATCHES + sets + lesions
    planned = trials(LEVELS["standard"], **STANDARD)
    assert two == planned.passes((SIDE, SIDE), maps=2, log_odds=True, lesions=True)


def test_curves_of_several_maps_fill_their_batches_together():
    assert sizes_of(("insertion_auc",), maps=3) == [16, 16, 16, 16, 10]


def test_measures_that_do_not_apply_send_and_plan_nothing():
    bare = Place(field=PLACE.field, regions=())
    asked = ("lesion_drop", "irp_logodds")
    assert sizes_of(asked, maps=1, place=bare, scale="given", **STANDARD) == []
    planned = trials(asked, **STANDARD).passes((SIDE, SIDE), maps=1, log_odds=False)
    assert planned == 0


def test_the_lesions_number_is_the_models_and_the_same_for_every_map():
    by = Perturbing(
        lambda batch: (batch.mean(dim=1) * WEIGHTS).sum((1, 2)), IMAGE, PLACE, "given",
        trials(("lesion_drop",), random_regions=3),
    )  # fmt: skip
    maps = [PerturbedMap(by, n, RANDOM.random((SIDE, SIDE))) for n in range(2)]
    (first,), (second,) = (list(PERTURBING["lesion_drop"](one)) for one in maps)
    assert first.score is second.score
    assert first.region == ALL_LESIONS
