"""Synthetic eyes beside real ones: numbers cannot show a likeness, only that there is none."""

import numpy as np
import PIL.Image
import pytest

from foveal.synthetic import fundus


def summary(pixels, field):
    """Mean colour, contrast, and how much darker the border of the field is than its middle."""
    rows, columns = np.nonzero(field)
    away = np.hypot(rows - rows.mean(), columns - columns.mean())
    inside, green = pixels[:, field], pixels[1][field]
    middle, border = green[away < 0.5 * away.max()], green[away > 0.75 * away.max()]
    return [*inside.mean(axis=1), green.std() / green.mean(), border.mean() / middle.mean()]


@pytest.mark.real
def test_colour_contrast_and_light_are_those_of_photographs(real_data):
    """Of 516 IDRiD photographs every twelfth, from one camera, which the style "warm" is after."""
    folder = real_data / "fundus-idrid-grading-640"
    real = []
    for file in sorted(folder.glob("*/*.jpg"))[::12]:
        pixels = np.asarray(PIL.Image.open(file)).transpose(2, 0, 1) / 255
        real.append(summary(pixels, pixels.max(axis=0) > 0.1))
    eyes = [fundus(seed, grade=seed % 5, device="warm", size=128) for seed in range(10)]
    ours = [summary(eye.image.pixels, eye.regions[-1].mask) for eye in eyes]
    low, high = np.percentile(real, [5, 95], axis=0)
    middle = np.median(ours, axis=0)
    assert len(real) == 43
    assert (low < middle).all()
    assert (middle < high).all()
