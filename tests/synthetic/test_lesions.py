"""Lesions as they are drawn, before they are rendered."""

from collections import Counter
from dataclasses import replace
from math import hypot

import numpy as np
import pytest

from foveal.synthetic import draw_fundus
from foveal.synthetic.devices import DEVICES
from foveal.synthetic.fibres import fibre_heading
from foveal.synthetic.grading import grade_of, quadrant_of
from foveal.synthetic.lesions import BURDENS, draw_lesions
from foveal.synthetic.site import Site, larger_vessels

SPEC = draw_fundus(8, grade=0, device="warm")


def site(seed=0, device="warm", **anatomy):
    return Site(
        random=np.random.default_rng(seed),
        disc=replace(SPEC.disc, **anatomy),
        device=DEVICES[device],
        exposure=SPEC.exposure,
        vessels=larger_vessels(SPEC.vessels),
    )


def drawn(grade, kind, eyes=12):
    """The lesions of one kind in several eyes of one grade, eye by eye."""
    every = (draw_lesions(site(seed), grade) for seed in range(eyes))
    return [[lesion for lesion in lesions if lesion.kind == kind] for lesions in every]


def spots(grade, kind):
    return [s for eye in drawn(grade, kind) for lesion in eye for s in lesion.spots]


@pytest.mark.parametrize("grade", [1, 2, 3])
def test_counts_stay_within_the_burden_of_the_grade(grade):
    burden = BURDENS[grade]
    for found in drawn(grade, "microaneurysms"):
        assert burden.microaneurysms[0] <= len(found) <= burden.microaneurysms[1]
    for found in drawn(grade, "haemorrhages"):
        places = [(lesion.spots[0].row, lesion.spots[0].column) for lesion in found]
        counts = Counter(quadrant_of(place) for place in places)
        least, most = burden.haemorrhages_per_quadrant
        if most:
            assert all(least <= counts[quadrant] <= most for quadrant in range(4))
        else:
            assert burden.haemorrhages[0] <= len(found) <= burden.haemorrhages[1]


@pytest.mark.parametrize("grade", range(5))
def test_the_lesions_make_the_grade_they_were_drawn_for(grade):
    assert {grade_of(draw_lesions(site(seed), grade)) for seed in range(12)} == {grade}


def test_a_proliferative_eye_has_new_vessels_or_preretinal_blood_and_some_have_both():
    seen = {
        (bool(new), bool(blood))
        for new, blood in zip(
            drawn(4, "neovascularisation", 30), drawn(4, "preretinal haemorrhage", 30), strict=True
        )
    }
    assert seen == {(True, False), (False, True), (True, True)}


def test_microaneurysms_lie_beside_the_larger_vessels():
    rows, columns, radii = larger_vessels(SPEC.vessels).T
    for spot in spots(1, "microaneurysms"):
        assert (np.hypot(rows - spot.row, columns - spot.column) - radii).min() > 0.2


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        pytest.param("microaneurysms", 2.14, 3.55, id="microaneurysms"),
        pytest.param("haemorrhages", 4.35, 10.76, id="haemorrhages"),
        pytest.param("hard exudates", 1.26, 2.76, id="hard exudates"),
    ],
)
def test_lesions_are_as_large_as_on_photographs(kind, low, high):
    """Quartiles of the diameters on 20 IDRiD photographs, field 512 pixels wide.

    Of the outlined exudates, many merge several deposits: 5 % to 50 % there.
    """
    middle = np.median([2 * s.radius * s.stretch**0.5 * 512 / 45 for s in spots(3, kind)])
    assert low < middle < high


def test_flames_follow_the_fibres():
    turned = [
        abs(np.sin(spot.angle - fibre_heading((spot.row, spot.column), SPEC.disc)))
        for spot in spots(3, "haemorrhages")
        if spot.stretch > 2
    ]
    assert len(turned) > 20
    assert np.median(turned) < 0.2


def test_some_clusters_of_exudates_are_rings_and_some_are_not():
    emptiness = []
    for lesion in (lesion for eye in drawn(2, "hard exudates", 20) for lesion in eye):
        places = np.array([(s.row, s.column / 1.2) for s in lesion.spots])
        away = np.hypot(*(places - places.mean(axis=0)).T)
        emptiness.append(float(np.percentile(away, 10) / away.max()))
    assert min(emptiness) < 0.2
    assert max(emptiness) > 0.3


def test_blood_before_the_retina_settles_to_a_level():
    for spot in spots(4, "preretinal haemorrhage"):
        assert spot.level is not None
        assert spot.row - 0.4 * spot.radius <= spot.level <= spot.row


@pytest.mark.parametrize("device", DEVICES)
def test_places_keep_off_the_disc_and_inside_the_field(device):
    here, radius = site(device=device), DEVICES[device].field_deg / 2
    for extent in (0.3, 2.0):
        for _ in range(50):
            row, column = here.place(spread=12.0, extent=extent, least=3.0)
            down, across = row - SPEC.exposure.gaze[0], column - SPEC.exposure.gaze[1]
            assert hypot(down, across) + extent < radius
            assert abs(down) + extent < radius * DEVICES[device].clip
            assert hypot(row - SPEC.disc.row, column - SPEC.disc.column) > SPEC.disc.radius + extent
            assert hypot(row, column) > 3


def test_exudates_keep_off_a_disc_that_reaches_into_their_cluster():
    large = [x for seed in range(8) for x in draw_lesions(site(seed, radius=9.0), 2)]
    exudates = [spot for x in large if x.kind == "hard exudates" for spot in x.spots]
    assert len(exudates) > 20
    for spot in exudates:
        assert hypot(spot.row - SPEC.disc.row, spot.column - SPEC.disc.column) > 9 + spot.radius
