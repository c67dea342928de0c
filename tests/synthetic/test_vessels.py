"""What is known about the vessels of a retina, on trees of several eyes."""

from math import hypot

import numpy as np
import pytest

from foveal.synthetic import draw_fundus

EYES = [draw_fundus(seed, grade=0) for seed in range(3)]
each_eye = pytest.mark.parametrize("spec", EYES, ids=lambda spec: f"seed {spec.seed}")


def points(spec, kind):
    return np.concatenate([vessel.points for vessel in spec.vessels if vessel.kind == kind])


def from_disc(spec, vessel):
    """Distance of each point from the middle of the disc."""
    rows, columns = np.array(vessel.points).T
    return np.hypot((rows - spec.disc.row) / spec.disc.aspect, columns - spec.disc.column)


@each_eye
def test_the_avascular_zone_around_the_fovea_is_spared(spec):
    nearest = min(hypot(*point) for vessel in spec.vessels for point in vessel.points)
    assert 0.7 < nearest < 4


@each_eye
@pytest.mark.parametrize("kind", ["artery", "vein"])
def test_an_artery_and_a_vein_leave_the_disc_towards_every_quadrant(spec, kind):
    quadrants = set()
    for vessel in spec.vessels:
        away = from_disc(spec, vessel)
        if vessel.kind == kind and away[0] < spec.disc.radius and away.max() > 5:
            row, column = vessel.points[int((away > 5).argmax())]
            quadrants.add((row > spec.disc.row, column > spec.disc.column))
    assert len(quadrants) == 4


@each_eye
def test_arcades_pass_above_and_below_the_macula(spec):
    for kind in ("artery", "vein"):
        rows = points(spec, kind)[np.abs(points(spec, kind)[:, 1]) < 2][:, 0]
        assert (rows < -7).any()
        assert (rows > 7).any()


@each_eye
def test_veins_are_wider_than_arteries(spec):
    widest = {
        kind: sorted(v.radii[0] for v in spec.vessels if v.kind == kind)[-2:]
        for kind in ("artery", "vein")
    }
    assert min(widest["vein"]) > max(widest["artery"])


@each_eye
def test_vessels_thin_out_from_the_origin_to_the_end(spec):
    for vessel in spec.vessels:
        assert (np.diff(vessel.radii) <= 0).all()
        assert vessel.radii[-1] < 0.5 * vessel.radii[0]


@each_eye
def test_no_branch_is_wider_than_the_vessel_it_leaves(spec):
    pairs = [
        (branch.radii[0], parent.radii[parent.points.index(branch.points[0]) - 1])
        for branch in spec.vessels
        for parent in spec.vessels
        if branch.points[0] in parent.points[1:-7]
    ]
    assert len(pairs) > 20
    assert all(branch < parent for branch, parent in pairs)


@each_eye
def test_both_sides_of_the_macula_have_small_vessels(spec):
    every = np.concatenate([points(spec, "artery"), points(spec, "vein")])
    near = every[(np.hypot(*every.T) > 2) & (np.hypot(*every.T) < 9)]
    quadrants = 2 * (near[:, 0] > 0) + (near[:, 1] > 0)
    assert (np.bincount(quadrants, minlength=4) > 5).all()


@each_eye
def test_vessels_of_one_kind_hardly_ever_meet_away_from_the_disc(spec):
    """Branch points aside; small vessels may touch where two trunks are close."""
    for kind in ("artery", "vein"):
        vessels = [np.array(v.points) for v in spec.vessels if v.kind == kind]
        meeting = total = 0
        for index, vessel in enumerate(vessels):
            tail = vessel[6:]
            others = np.concatenate(vessels[:index] or [np.full((1, 2), np.inf)])
            distances = np.linalg.norm(tail[:, None] - others, axis=2).min(axis=1, initial=np.inf)
            meeting, total = meeting + (distances < 0.2).sum(), total + len(tail)
        assert meeting / total < 0.08


@each_eye
def test_choroidal_vessels_are_ribbons_that_taper_at_both_ends(spec):
    for ribbon in spec.ground.choroid:
        middle = ribbon.radii[len(ribbon.radii) // 2]
        assert ribbon.kind == "choroidal"
        assert max(ribbon.radii[0], ribbon.radii[-1]) < 0.7 * middle
