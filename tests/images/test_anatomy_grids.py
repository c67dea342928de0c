"""Grids on fovea and disc against closed forms, a slow twin, and mirrored and turned eyes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from foveal.core import Image, ImageError
from foveal.images.anatomy import (
    Landmarks,
    Place,
    clock_hours,
    etdrs_grid,
    is_grid_field,
    macular_zones,
    quadrants,
    rim_sectors,
)

ROWS, COLUMNS, MM = 210, 230, 0.04
"""6 mm are 150 pixels, so that the whole grid lies in the picture."""
FOVEA = Place(row=102.6, column=105.2)
DISC = Place(row=95.1, column=165.2)
RIGHT = Landmarks(disc=DISC, disc_radius=18.75, fovea=FOVEA, laterality="right")
LEFT = Landmarks(
    disc=Place(row=DISC.row, column=COLUMNS - DISC.column),
    disc_radius=18.75,
    fovea=Place(row=FOVEA.row, column=COLUMNS - FOVEA.column),
    laterality="left",
)


def picture(spacing=(MM, MM), rows=ROWS, columns=COLUMNS):
    return Image(pixels=np.full((3, rows, columns), 0.5, np.float32), spacing_mm=spacing)


def by_name(regions):
    return {region.name: region.mask for region in regions}


def areas_mm2(regions):
    return {name: mask.sum() * MM**2 for name, mask in by_name(regions).items()}


@pytest.mark.parametrize("aligned", [False, True])
def test_areas_of_the_etdrs_grid_are_those_of_circles_and_rings(aligned):
    areas = areas_mm2(etdrs_grid(picture(), RIGHT, aligned=aligned))
    assert len(areas) == 9
    for name, area in areas.items():
        quarter = {"inner": math.pi * (9 - 1) / 16, "outer": math.pi * (36 - 9) / 16}
        expected = quarter.get(name.split()[1], math.pi / 4)
        assert area == pytest.approx(expected, rel=0.02), name


def test_the_fields_of_the_etdrs_grid_do_not_overlap_and_fill_6_mm():
    masks = np.stack(list(by_name(etdrs_grid(picture(), RIGHT)).values())).sum(axis=0)
    rows, columns = np.indices((ROWS, COLUMNS)) + 0.5
    within = np.hypot(rows - FOVEA.row, columns - FOVEA.column) * MM <= 3
    assert masks.max() == 1
    assert ((masks == 1) == within).mean() > 0.999


@pytest.mark.parametrize(
    ("name", "up_mm", "right_mm"),
    [
        pytest.param("ETDRS centre", 0.1, 0.2, id="centre"),
        pytest.param("ETDRS inner superior", 1.0, 0.3, id="above"),
        pytest.param("ETDRS inner inferior", -1.0, 0.3, id="below"),
        pytest.param("ETDRS inner nasal", 0.3, 1.0, id="towards the disc"),
        pytest.param("ETDRS outer temporal", 0.3, -2.0, id="away from the disc"),
    ],
)
def test_fields_lie_where_they_do_in_a_right_eye(name, up_mm, right_mm):
    row, column = int(FOVEA.row - up_mm / MM), int(FOVEA.column + right_mm / MM)
    holds = {
        key for key, mask in by_name(etdrs_grid(picture(), RIGHT)).items() if mask[row, column]
    }
    assert holds == {name}


MAKERS = [
    pytest.param(etdrs_grid, {}, id="etdrs"),
    pytest.param(etdrs_grid, {"aligned": True}, id="etdrs aligned"),
    pytest.param(quadrants, {}, id="quadrants"),
    pytest.param(quadrants, {"aligned": True}, id="quadrants aligned"),
    pytest.param(rim_sectors, {}, id="rim"),
    pytest.param(macular_zones, {}, id="zones"),
]


@pytest.mark.parametrize(("make", "settings"), MAKERS)
def test_the_mirrored_eye_has_the_mirrored_grid(make, settings):
    here, there = (by_name(make(picture(), eye, **settings)) for eye in (RIGHT, LEFT))
    assert list(here) == list(there)
    for name, mask in here.items():
        assert (mask[:, ::-1] != there[name]).mean() < 1e-3, name


@pytest.mark.parametrize(
    "make",
    [etdrs_grid, quadrants, clock_hours, rim_sectors, macular_zones],
    ids=lambda m: m.__name__,
)
def test_every_field_of_a_grid_is_known_by_its_name_and_no_structure_is(make):
    assert all(is_grid_field(region.name) for region in make(picture(), RIGHT))
    assert not any(map(is_grid_field, ("neuroretinal rim", "rim notch", "fovea", "optic disc")))


def test_clock_hours_run_clockwise_in_the_picture_in_both_eyes():
    for eye in (RIGHT, LEFT):
        hours = by_name(clock_hours(picture(), eye))
        for hour in range(1, 13):
            turn = math.radians(30 * hour)
            row = eye.disc.row - 1.5 * eye.disc_radius * math.cos(turn)
            column = eye.disc.column + 1.5 * eye.disc_radius * math.sin(turn)
            held = [name for name, mask in hours.items() if mask[int(row), int(column)]]
            assert held == [f"clock hour {hour}"]


def test_clock_hours_share_their_ring_evenly():
    areas = areas_mm2(clock_hours(picture(), RIGHT, reach=(1, 2)))
    twelfth = math.pi * (2**2 - 1) * (18.75 * MM) ** 2 / 12
    assert list(areas.values()) == pytest.approx([twelfth] * 12, rel=0.05)


def slow_field(row, column, image, eye):
    """The ETDRS field of one pixel, with complex numbers: real is temporal, imaginary is up."""
    mm_row, mm_column = image.spacing_mm
    out = 1 if eye.laterality == "left" else -1

    def at(row, column):
        return complex(out * column * mm_column, -row * mm_row)

    axis = at(eye.fovea.row, eye.fovea.column) - at(eye.disc.row, eye.disc.column)
    place = (at(row + 0.5, column + 0.5) - at(eye.fovea.row, eye.fovea.column)) * abs(axis) / axis
    if abs(place) <= 0.5:
        return "ETDRS centre"
    if abs(place) > 3:
        return None
    ring = "inner" if abs(place) <= 1.5 else "outer"
    turn = math.degrees(math.atan2(place.imag, place.real)) % 360
    side = ("temporal", "superior", "nasal", "inferior")[int((turn + 45) // 90) % 4]
    return f"ETDRS {ring} {side}"


@pytest.mark.parametrize("laterality", ["right", "left"])
def test_the_turned_grid_agrees_with_complex_numbers_on_oblong_pixels(laterality):
    image = picture(spacing=(0.2, 0.13), rows=40, columns=60)
    eye = Landmarks(
        disc=Place(row=9.1, column=44.3 if laterality == "right" else 12.4),
        disc_radius=4,
        fovea=Place(row=20.7, column=27.2),
        laterality=laterality,
    )
    masks = by_name(etdrs_grid(image, eye, aligned=True))
    for row in range(40):
        for column in range(60):
            held = [name for name, mask in masks.items() if mask[row, column]]
            assert held == [name for name in [slow_field(row, column, image, eye)] if name]


def test_without_spacing_the_disc_counts_as_one_and_a_half_mm_and_this_is_said():
    # A radius of 18.75 pixels is 1.5 mm at 0.04 mm.
    nominal = etdrs_grid(picture(spacing=None), RIGHT)
    known = etdrs_grid(picture(), RIGHT)
    assert all((a.mask == b.mask).all() for a, b in zip(nominal, known, strict=True))
    assert "nominal" in nominal[0].source
    assert "by its spacing" in known[0].source
    assert {region.kind for region in nominal} == {"anatomy"}


def test_quadrants_cover_every_pixel_once():
    masks = np.stack(list(by_name(quadrants(picture(), RIGHT, aligned=True)).values()))
    assert (masks.sum(axis=0) == 1).all()
    held = by_name(quadrants(picture(), RIGHT))
    assert held["superior-temporal"][0, 0]
    assert held["inferior-nasal"][-1, -1]


def test_one_disc_diameter_around_the_fovea_is_the_eyes_own_disc():
    zones = by_name(macular_zones(picture(), replace(RIGHT, disc_radius=25.0)))
    area = zones["within 1 disc diameter of the fovea"].sum()
    assert area == pytest.approx(math.pi * 50**2, rel=0.005)
    small = zones["within 500 um of the fovea"].sum() * MM**2
    assert small == pytest.approx(math.pi / 4, rel=0.02)


def test_a_rim_is_cut_into_isnt_quarters_within_its_mask():
    rows, columns = np.indices((ROWS, COLUMNS)) + 0.5
    away = np.hypot(rows - DISC.row, columns - DISC.column)
    rim = (away <= 18.75) & (away > 10)
    sectors = by_name(rim_sectors(picture(), RIGHT, rim=rim))
    assert [name.split()[1] for name in sectors] == ["inferior", "superior", "nasal", "temporal"]
    assert (np.stack(list(sectors.values())).sum(axis=0) == rim).all()
    assert sectors["rim nasal"][int(DISC.row), int(DISC.column) + 15]


@pytest.mark.parametrize(
    ("make", "eye", "message"),
    [
        pytest.param(etdrs_grid, replace(RIGHT, fovea=None), "no fovea", id="no fovea"),
        pytest.param(
            quadrants, replace(RIGHT, laterality="unknown"), "no known side", id="no side"
        ),
        pytest.param(
            clock_hours, replace(RIGHT, disc=None, disc_radius=None), "no disc", id="no disc"
        ),
        pytest.param(
            etdrs_grid, replace(RIGHT, disc=None, disc_radius=None), "tell its scale", id="scale"
        ),
    ],
)
def test_what_a_grid_needs_is_said(make, eye, message):
    with pytest.raises(ImageError, match=message):
        make(picture(spacing=None), eye)


def test_a_reach_that_does_not_grow_is_refused():
    with pytest.raises(ValueError, match="two growing numbers"):
        clock_hours(picture(), RIGHT, reach=(2, 1))
