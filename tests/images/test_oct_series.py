"""Visits on one grid: known motions are found, strangers refused, change has a floor."""

import numpy as np
import pytest
from scipy import ndimage

from foveal.core import Image, ImageError
from foveal.images import RigidMotion, carry_to_first, change_map, register

SIDE = 160


def scene(seed=0, side=400):
    """Blobs of several sizes on a shaded ground."""
    random = np.random.default_rng(seed)
    layers = [
        scale * ndimage.gaussian_filter(random.normal(size=(side, side)), scale)
        for scale in (1.5, 3, 6)
    ]
    total = sum(layers)
    return (0.5 + 0.1 * total / total.std()).clip(0, 1)


def seen(whole, degrees, shift, grid=(SIDE, SIDE)):
    """A window on the scene, turned counter-clockwise and moved, and the motion that made it."""
    motion = RigidMotion(
        source=whole.shape, target=grid, degrees=degrees, shift=shift, quality=1.0, overlap=1.0
    )
    rows, columns = np.indices(grid) + 0.5
    places = motion.points_back(np.stack([rows.ravel(), columns.ravel()], axis=1))
    window = ndimage.map_coordinates(whole, (places - 0.5).T, order=3, mode="nearest")
    pixels = window.reshape(1, *grid).clip(0, 1).astype(np.float32)
    return Image(pixels=pixels, modality="fundus"), motion


def check(whole, degrees, shift, grid=(SIDE, SIDE)):
    fixed, still = seen(whole, 0.0, (0.0, 0.0))
    moving, moved = seen(whole, degrees, shift, grid)
    found = register(moving, fixed)
    marks = np.array([[80.0, 80.0], [40.0, 60.0], [120.0, 110.0]])
    expected = moved.points_forward(still.points_back(marks))
    off = np.linalg.norm(found.points_back(marks) - expected, axis=1)
    assert abs(found.degrees + degrees) < 0.2
    assert off.max() < 0.5
    assert found.quality > 0.9


@pytest.mark.parametrize(
    ("degrees", "shift"),
    [
        pytest.param(0.0, (0.0, 0.0), id="still"),
        pytest.param(0.0, (-13.0, 21.0), id="moved"),
        pytest.param(6.3, (0.0, 0.0), id="turned"),
        pytest.param(-11.2, (9.4, -7.7), id="turned and moved"),
        pytest.param(24.0, (3.3, 12.6), id="far turned"),
    ],
)
def test_a_known_motion_is_found_to_a_fifth_of_a_degree_and_half_a_pixel(degrees, shift):
    check(scene(), degrees, shift)


def test_pictures_of_different_sizes_are_laid_on_each_other():
    check(scene(1), -3.0, (4.5, 6.5), grid=(140, 171))


def test_another_light_does_not_move_the_fit():
    whole = scene(2)
    fixed, _ = seen(whole, 0.0, (0.0, 0.0))
    shade = 0.3 + 0.5 * np.linspace(0, 1, SIDE)
    moving, _ = seen(whole, 2.0, (5.0, -3.0))
    dimmed = Image(pixels=(moving.pixels * shade).astype(np.float32))
    assert register(dimmed, fixed).degrees == pytest.approx(-2.0, abs=0.2)


def test_a_turn_is_counter_clockwise_as_people_see_it():
    fixed, _ = seen(scene(3), 0.0, (0.0, 0.0))
    pixels = ndimage.rotate(fixed.pixels[0], 5, reshape=False, order=3).clip(0, 1)
    turned = Image(pixels=pixels[np.newaxis])
    # scipy turns a picture from the first axis (down) towards the second: counter-clockwise
    assert register(turned, fixed).degrees == pytest.approx(5, abs=0.2)


def test_pictures_of_two_eyes_are_refused():
    one, _ = seen(scene(4), 0.0, (0.0, 0.0))
    other, _ = seen(scene(5), 0.0, (0.0, 0.0))
    with pytest.raises(ImageError, match="does not fit"):
        register(one, other)


def test_pictures_of_two_scales_are_refused():
    one = Image(pixels=np.zeros((1, 32, 32), np.float32), spacing_mm=(0.01, 0.01))
    other = Image(pixels=np.zeros((1, 32, 32), np.float32), spacing_mm=(0.012, 0.012))
    with pytest.raises(ImageError, match="bring both to one"):
        register(one, other)


def test_points_go_there_and_back():
    motion = RigidMotion(
        source=(30, 50), target=(40, 44), degrees=17.0, shift=(2.5, -4.0), quality=1, overlap=1
    )
    points = np.random.default_rng(6).uniform(0, 40, size=(9, 2))
    np.testing.assert_allclose(motion.points_back(motion.points_forward(points)), points)


def test_a_map_is_carried_by_whole_pixels_exactly_and_is_unknown_outside():
    motion = RigidMotion(
        source=(6, 8), target=(6, 8), degrees=0.0, shift=(1.0, -2.0), quality=1.0, overlap=1.0
    )
    values = np.arange(48.0).reshape(6, 8)
    carried = carry_to_first(values, motion)
    np.testing.assert_array_equal(carried[1:, :6], values[:5, 2:])
    assert np.isnan(carried[0]).all()
    assert np.isnan(carried[:, 6:]).all()
    with pytest.raises(ValueError, match="moving picture"):
        carry_to_first(values.T, motion)


def test_change_is_told_in_units_of_what_repeats_differ_by():
    repeats = [np.array([[1.0, 4.0]]), np.array([[3.0, 4.0]])]  # SD sqrt(2), and 0
    change = change_map(np.array([[0.0, 0.0]]), np.array([[6.0, 6.0]]), repeats=repeats)
    np.testing.assert_allclose(change.noise_floor, [[2.0, 0.0]])
    assert change.in_floors[0, 0] == pytest.approx(3.0)
    assert np.isnan(change.in_floors[0, 1])


def test_nothing_changed_is_within_one_floor_as_often_as_noise_is():
    random = np.random.default_rng(7)
    maps = random.normal(size=(22, 60, 60))
    change = change_map(maps[0], maps[1], repeats=list(maps[2:]))
    within = (np.abs(change.in_floors) < 1).mean()
    # Student's t with 19 degrees of freedom: 67.0 %
    assert within == pytest.approx(0.670, abs=0.03)


def test_without_repeats_there_is_a_difference_and_no_floor():
    change = change_map(np.zeros((2, 2)), np.ones((2, 2)), repeats=[np.zeros((2, 2))])
    assert (change.difference == 1).all()
    assert change.in_floors is None
    assert "two repeats" in change.reason


@pytest.mark.real
def test_moved_windows_of_a_photograph_are_found(real_data):
    from foveal.images import read

    file = sorted((real_data / "fundus-idrid-grading-640").rglob("*.jpg"))[0]
    check(read(file).pixels.mean(axis=0), -7.1, (12.2, -20.6))
