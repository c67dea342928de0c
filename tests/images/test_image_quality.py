"""Numbers of quality: spoiling an image changes the right number, its size changes none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from foveal.core import Image, ModelError
from foveal.images import read
from foveal.images.quality import MEANINGS, Quality, check_limits, gate, quality, usual_of
from foveal.synthetic import fundus


@pytest.fixture(scope="module")
def eye():
    return fundus(5, grade=0, laterality="left", device="crisp", size=256).image


def spoiled(image, spoil, amount):
    pixels = spoil(image.pixels.astype(np.float64), amount)
    return replace(image, pixels=pixels.clip(0, 1).astype(np.float32))


def blurred(pixels, amount):
    return ndimage.gaussian_filter(pixels, (0, amount, amount))


def darkened(pixels, amount):
    return pixels * (1 - amount)


def brightened(pixels, amount):
    return np.where(pixels.max(axis=0) > 0.05, pixels + amount, pixels)


def shaded(pixels, amount):
    """Light that falls off to one side."""
    return pixels * np.linspace(1, 1 - amount, pixels.shape[2])


def hazed(pixels, amount):
    field = pixels.max(axis=0) > 0.05
    return np.where(field, pixels * (1 - amount) + 0.5 * amount, pixels)


def marked(pixels, amount):
    pixels = pixels.copy()
    pixels[:, : int(amount), : int(amount)] = 1
    return pixels


def clipped(pixels, amount):
    """A camera that shows less of the field above and below."""
    pixels = pixels.copy()
    edge = int(amount * pixels.shape[1])
    if edge:
        pixels[:, :edge] = 0
        pixels[:, -edge:] = 0
    return pixels


SPOILED = [
    pytest.param("focus", blurred, (0, 1, 3), "falls", id="blur"),
    pytest.param("brightness", darkened, (0, 0.4, 0.8), "falls", id="dark"),
    pytest.param("under_exposed", darkened, (0.6, 0.75, 0.9), "rises", id="too dark"),
    pytest.param("over_exposed", brightened, (0.3, 0.6, 0.9), "rises", id="too bright"),
    pytest.param("unevenness", shaded, (0, 0.4, 0.8), "rises", id="one-sided light"),
    pytest.param("quadrant_ratio", shaded, (0, 0.4, 0.8), "falls", id="dark quadrant"),
    pytest.param("contrast", hazed, (0, 0.4, 0.9), "falls", id="haze"),
    pytest.param("surround_light", marked, (0, 10, 30), "rises", id="text in the corner"),
    pytest.param("field_circle", clipped, (0, 0.1, 0.3), "falls", id="clipped field"),
]


@pytest.mark.parametrize(("name", "spoil", "amounts", "way"), SPOILED)
def test_the_worse_the_image_the_further_its_number(eye, name, spoil, amounts, way):
    values = [quality(spoiled(eye, spoil, amount)).values[name] for amount in amounts]
    steps = np.diff(values)
    assert (steps > 0).all() if way == "rises" else (steps < 0).all(), values


def test_an_image_of_twice_the_size_has_nearly_the_same_numbers(eye):
    # Both above the size at which everything is measured: a smaller one has less fine detail.
    here, there = (
        quality(replace(eye, pixels=eye.pixels.repeat(n, axis=1).repeat(n, axis=2))).values
        for n in (3, 6)
    )
    for name, value in here.items():
        assert there[name] == pytest.approx(value, rel=0.15, abs=0.01), name


def test_colours_are_shares_of_all_light():
    pixels = np.zeros((3, 100, 100), np.float32)
    rows, columns = np.mgrid[:100, :100]
    field = np.hypot(rows - 49.5, columns - 49.5) < 45
    pixels[:, field] = np.array([[0.6], [0.3], [0.1]])
    values = quality(Image(pixels=pixels, modality="fundus")).values
    assert values["red_share"] == pytest.approx(0.6, abs=1e-3)
    assert values["blue_share"] == pytest.approx(0.1, abs=1e-3)
    assert values["field_share"] == pytest.approx(field.mean(), abs=0.005)
    assert values["quadrant_ratio"] == pytest.approx(1, abs=0.01)
    assert values["unevenness"] == pytest.approx(0, abs=0.01)


def section(noise=0.02, top=60, dark=0, seed=0):
    """A bright band of retina on dark vitreous."""
    random = np.random.default_rng(seed)
    pixels = random.normal(0.08, noise, (1, 200, 240))
    pixels[:, max(0, top) : max(1, top + 50)] += 0.6
    pixels[:, :, 100 : 100 + dark] *= 0.1
    return Image(pixels=pixels.clip(0, 1).astype(np.float32), modality="oct")


def test_signal_to_noise_is_the_ratio_of_the_drawn_ones():
    clear, noisy = (quality(section(noise=noise)).values["snr_db"] for noise in (0.01, 0.02))
    assert clear - noisy == pytest.approx(20 * np.log10(2), abs=1)
    assert noisy == pytest.approx(20 * np.log10(0.6 / 0.02), abs=1.5)


def test_retina_at_the_edge_of_a_section_is_clipped():
    assert quality(section()).values["clipped"] == 0
    assert quality(section(top=-10)).values["clipped"] > 0.9


def test_dark_columns_of_a_section_are_counted():
    assert quality(section()).values["shadowed"] == 0
    assert quality(section(dark=48)).values["shadowed"] == pytest.approx(48 / 240, abs=0.03)


def test_a_field_that_fills_the_picture_has_no_surround():
    pixels = np.random.default_rng(0).uniform(0.3, 0.7, (3, 64, 64)).astype(np.float32)
    found = quality(Image(pixels=pixels, modality="fundus"))
    assert found.values["surround_light"] is None
    assert "fills the picture" in found.reasons["surround_light"]


def test_a_learned_judge_adds_its_numbers(eye):
    assert quality(eye, model=lambda image: 0.7).values["model"] == 0.7
    found = quality(eye, model=lambda image: {"good": 0.9, "usable": np.float32(0.1)})
    assert found.values["good"] == 0.9
    for answer, message in (("bad", "finite numbers"), ({"focus": 1.0}, "has the name")):
        with pytest.raises(ModelError, match=message):
            quality(eye, model=lambda image, answer=answer: answer)


NUMBERS = Quality(modality="fundus", values={"focus": 1.5, "rim_glare": None}, reasons={})


@pytest.mark.parametrize(
    ("limits", "verdict", "reasons"),
    [
        pytest.param({}, "pass", (), id="no limits"),
        pytest.param({"refuse": {"focus": ">= 1.5"}}, "pass", (), id="just kept"),
        pytest.param(
            {"refuse": {"focus": "> 1.5"}},
            "refuse",
            ("focus is 1.5, but must be > 1.5",),
            id="just not kept",
        ),
        pytest.param(
            {"review": {"focus": ">= 2"}, "refuse": {"focus": ">= 1e0"}},
            "review",
            ("focus is 1.5, but must be >= 2",),
            id="between",
        ),
        pytest.param({"refuse": {"rim_glare": "< 1"}}, "pass", (), id="missing"),
    ],
)
def test_the_gate_says_what_is_not_kept(limits, verdict, reasons):
    found = gate(NUMBERS, limits)
    assert (found.verdict, found.reasons) == (verdict, reasons)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        pytest.param({"reject": {"focus": "> 1"}}, "'reject'", id="heading"),
        pytest.param({"refuse": {"focus": "about 1"}}, "comparison such as", id="words"),
        pytest.param({"refuse": {"focus": "> 1; 2"}}, "comparison such as", id="more"),
    ],
)
def test_limits_that_cannot_be_read_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        check_limits(limits)


def test_a_limit_of_an_unknown_number_is_refused():
    with pytest.raises(ValueError, match="no number 'sharpness'"):
        gate(NUMBERS, {"refuse": {"sharpness": "> 1"}})


def test_the_gate_refuses_spoiled_eyes_and_lets_the_good_one_pass(eye):
    usual = usual_of("fundus")
    limits = {
        "refuse": {
            "focus": f">= {usual['focus'].low / 2}",
            "brightness": f">= {usual['brightness'].low / 2}",
            "over_exposed": "<= 0.2",
        }
    }
    assert gate(quality(eye), limits).verdict == "pass"
    for spoil, amount in ((blurred, 4), (darkened, 0.9), (brightened, 0.9)):
        assert gate(quality(spoiled(eye, spoil, amount)), limits).verdict == "refuse"


@pytest.mark.parametrize("modality", ["fundus", "oct"])
def test_every_usual_range_is_of_a_number_with_a_meaning(modality):
    assert usual_of(modality)
    assert set(usual_of(modality)) <= set(MEANINGS)
    assert usual_of("unknown") == {}


@pytest.mark.real
def test_a_usual_photograph_is_usual_and_its_blurred_copy_is_not(real_data):
    folder = real_data / "fundus-idrid-grading-640" / "train"
    image = read(folder / "IDRiD_002.jpg", modality="fundus")
    assert len(quality(image).unusual) <= 2
    assert "focus" in quality(spoiled(image, blurred, 3)).unusual
