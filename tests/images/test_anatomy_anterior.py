"""Parts of the front of the eye on pictures drawn here, so that they are known exactly."""

import numpy as np
import pytest

from foveal.core import Image, ModelError, Region
from foveal.images import prepare
from foveal.images.anatomy import anterior_regions
from foveal.images.anatomy.circles import best_circle

ROWS, COLUMNS = 180, 240
CORNEA, PUPIL = (92.0, 130.0, 55.0), (90.0, 128.0, 22.0)
SKIN, SCLERA, IRIS = (0.72, 0.48, 0.36), (0.82, 0.76, 0.72), (0.28, 0.18, 0.12)


def disc(row, column, radius):
    rows, columns = np.mgrid[:ROWS, :COLUMNS] + 0.5
    return np.hypot(rows - row, columns - column) <= radius


def opening():
    """Between two lids that are arcs."""
    return disc(190, 125, 170) & disc(-5, 125, 170)


def front(iris=IRIS, pupil=0.03, lit=1.0, seed=0):
    """Skin, the eye's opening, iris and pupil, a lamp's reflection, and noise."""
    pixels = np.empty((3, ROWS, COLUMNS))
    pixels[:] = np.array(SKIN)[:, None, None]
    for mask, colour in (
        (opening(), SCLERA),
        (disc(*CORNEA) & opening(), iris),
        (disc(*PUPIL), (pupil, pupil, pupil)),
    ):
        pixels[:, mask] = np.array(colour)[:, None]
    pixels *= lit
    pixels[:, 70:75, 115:120] = 1.0
    pixels += np.random.default_rng(seed).normal(0, 0.01, pixels.shape)
    return Image(pixels=pixels.clip(0, 1).astype(np.float32), modality="slit-lamp")


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="brown"),
        pytest.param({"iris": (0.3, 0.42, 0.55)}, id="blue"),
        pytest.param({"lit": 0.5}, id="dim"),
    ],
)
def test_parts_of_a_drawn_eye_are_where_they_were_drawn(settings):
    found = anterior_regions(front(**settings))
    assert dice(found["cornea"].mask, disc(*CORNEA)) > 0.95
    assert dice(found["pupil"].mask, disc(*PUPIL)) > 0.9
    assert dice(found["eye"].mask, opening()) > 0.93
    assert found["highlights"].mask.sum() == 25
    assert found["highlights"].mask[72, 117]
    assert all(part.confidence >= 0.5 for part in found.values())


def test_a_mirrored_picture_has_mirrored_parts():
    image = front()
    mirrored = Image(pixels=np.ascontiguousarray(image.pixels[:, :, ::-1]), modality="slit-lamp")
    here, there = anterior_regions(image), anterior_regions(mirrored)
    for part in ("cornea", "pupil", "eye"):
        assert dice(here[part].mask, there[part].mask[:, ::-1]) > 0.95


def test_without_an_eye_nothing_is_given_out_and_reasons_say_so():
    skin = np.random.default_rng(0).normal(0.5, 0.05, (3, ROWS, COLUMNS)).clip(0, 1)
    found = anterior_regions(Image(pixels=skin.astype(np.float32), modality="slit-lamp"))
    assert {name for name, part in found.items() if part.mask is not None} == set()
    assert "sure" in found["cornea"].reason
    assert "no small white spot" in found["highlights"].reason


def test_one_even_brightness_has_no_parts():
    even = Image(pixels=np.full((3, 60, 80), 0.4, np.float32), modality="slit-lamp")
    assert all("one brightness" in part.reason for part in anterior_regions(even).values())


def test_masks_go_before_a_model_and_a_model_before_looks():
    mask, other = np.eye(ROWS, COLUMNS, dtype=bool), np.ones((ROWS, COLUMNS), bool)
    found = anterior_regions(
        front(),
        regions=[Region(name="limbus", mask=mask)],
        model=lambda image: {"cornea": other, "pupil": other.astype(np.uint8)},
    )
    assert (found["cornea"].source, found["cornea"].confidence) == ("mask", 1.0)
    assert (found["cornea"].mask == mask).all()
    assert (found["pupil"].source, found["pupil"].confidence) == ("model", None)
    assert found["eye"].source == "heuristic"
    assert found["eye"].region.kind == "anatomy"


def test_a_model_of_another_size_is_told_so():
    with pytest.raises(ModelError, match="image's grid"):
        anterior_regions(front(), model=lambda image: {"pupil": np.ones((3, 3), bool)})


def test_a_prepared_picture_is_refused():
    prepared, _ = prepare(front(), [{"step": "resize", "size": [64, 64]}])
    with pytest.raises(ValueError, match="as it was read"):
        anterior_regions(prepared)


def test_the_best_circle_has_the_slow_operators_radius():
    values = np.where(disc(*PUPIL), 0.2, 0.8)
    radii = np.arange(10.0, 40.0, 2.0)
    found = best_circle(values, radii, sigma=1.0, half_arc=45)

    def ring_mean(radius):
        turns = np.linspace(0, 2 * np.pi, 360, endpoint=False)
        rows = (PUPIL[0] + radius * np.sin(turns)).astype(int)
        columns = (PUPIL[1] + radius * np.cos(turns)).astype(int)
        return values[rows, columns].mean()

    slow = max(radii, key=lambda radius: ring_mean(radius + 1) - ring_mean(radius - 1))
    assert found.radius == slow
    assert (found.row, found.column) == pytest.approx(PUPIL[:2], abs=1)
