"""What a camera does to an even retina."""

from dataclasses import replace
from math import acos, pi, sqrt

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from foveal.synthetic import draw_fundus
from foveal.synthetic.camera import field_of_view, set_up
from foveal.synthetic.devices import DEVICES
from foveal.synthetic.view import view_of

SIZE = 128
SPEC = draw_fundus(4, grade=0)


def even(level=0.4):
    return np.full((3, SIZE, SIZE), level, np.float32)


def camera(device="rose", *, noise=0.0, **exposure):
    """A camera without noise, stray light and tone curve, as far as nothing else is asked."""
    plain = {"light": (0.0, 0.0), "haze": 0.0, "brightness": 1.0, **exposure}
    neutral = replace(DEVICES[device], noise=noise, gains=(1.0, 1.0, 1.0), contrast=1.0)
    spec = replace(SPEC, device=neutral, exposure=replace(SPEC.exposure, **plain))
    return set_up(spec, view_of(spec, SIZE))


def test_a_picture_is_stored_in_8_bit():
    levels = camera(noise=0.02).photograph(even()) * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    assert len(np.unique(np.round(levels))) > 30


def test_light_falls_off_with_the_square_of_the_distance():
    """At the middle 1.15 of the light, less by the fall-off at one radius; 3 % is stray light."""
    made = camera(fall_off=0.3)
    haze = np.array(made.spec.device.haze)
    for radius in (0.0, 0.5):
        column = round(SIZE / 2 * (1 + radius * made.spec.device.diameter) - 0.5)
        vignetting = 1 - 0.25 * radius**6
        light = 0.4 * (1.15 - 0.3 * radius**2) * vignetting
        got = made.photograph(even())[:, SIZE // 2, column]
        np.testing.assert_allclose(got, light + (haze - light) * 0.03, atol=0.006)


def test_stray_light_grows_towards_the_dark_side():
    clear, hazy = (
        camera(haze=haze, light=(0.0, -0.4)).photograph(even(0.2)) for haze in (0.0, 0.3)
    )
    gain = (hazy - clear)[0, SIZE // 2]
    assert gain[SIZE // 4] < 0.01 < 0.05 < gain[-8]


def test_highlights_saturate_softly_and_never_overflow():
    grey, bright, glaring = (camera().photograph(even(level))[0, 64, 64] for level in (0.3, 0.8, 3))
    assert grey < bright < glaring <= 1
    assert bright < 0.8 * 1.15


def test_a_blurred_edge_keeps_its_light_and_loses_its_steepness():
    edge = even()
    edge[:, :, 64:] = 0.1
    widths = []
    for focus in (1.0, 20.0):
        row = camera(focus=focus, fall_off=0.0).photograph(edge)[0, 64, 44:84]
        widths.append(int(((row > row.min() + 0.04) & (row < row.max() - 0.04)).sum()))
        assert row[:4].mean() > 3 * row[-4:].mean()
    assert widths[0] < widths[1]


def test_noise_is_as_strong_as_the_device_says_and_the_same_each_time():
    clean, noisy = camera().photograph(even()), camera(noise=0.02).photograph(even())
    inner = (noisy - clean)[:, 40:88, 40:88]
    assert float(inner.std()) == pytest.approx(0.02 * sqrt(0.85**2 + 0.5**2), rel=0.05)
    np.testing.assert_array_equal(noisy, camera(noise=0.02).photograph(even()))


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_the_field_has_the_area_of_its_clipped_circle(device):
    clip = device.clip
    segment = acos(clip) - clip * sqrt(1 - clip**2)
    radius = device.diameter * 400 / 2
    area = (pi - 2 * segment) * radius**2
    field = field_of_view(replace(device, notch=False), 400)
    assert int(field.sum()) == pytest.approx(area, rel=0.003)


def test_the_notch_is_at_the_upper_right_in_both_eyes():
    device = DEVICES["rose"]
    extra = field_of_view(device, 400) & ~field_of_view(replace(device, notch=False), 400)
    rows, columns = np.nonzero(extra)
    assert 20 < len(rows) < 500
    assert rows.max() < 200
    assert columns.min() > 300


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_the_surround_is_black(device):
    """But for the sensor's noise, as on photographs."""
    made = camera(device.name, noise=device.noise)
    outside = ~binary_dilation(field_of_view(made.spec.device, SIZE), iterations=3)
    assert float(made.photograph(even())[:, outside].max()) < 6 * device.noise
