"""The nouns are checked at birth, and what they hold cannot be changed afterwards."""

import numpy as np
import pytest

from foveal.core import REASONS, Attribution, Image, Region, Score, Volume

GREY = np.full((1, 4, 6), 0.5, np.float32)
SCORE = {"name": "s", "direction": "higher", "range": (0.0, 1.0)}

IMAGES = [
    pytest.param({"pixels": GREY[:, :, :, None]}, "channel, row, column", id="axes"),
    pytest.param({"pixels": np.zeros((2, 4, 6), np.float32)}, "1 or 3 channels", id="channels"),
    pytest.param({"pixels": GREY[:, :0]}, "needs pixels", id="empty"),
    pytest.param({"pixels": GREY * 4}, "range from 2.0 to 2.0", id="too bright"),
    pytest.param({"pixels": GREY * np.nan}, "finite", id="not a number"),
    pytest.param({"pixels": GREY, "spacing_mm": (0.01, 0.0)}, "positive", id="spacing"),
]


@pytest.fixture(autouse=True)
def _without_type_checks(monkeypatch):
    """These are the errors of users, who do not run a type checker."""
    for noun in (Image, Region, Score, Attribution):
        init = getattr(noun.__init__, "__wrapped__", noun.__init__)
        monkeypatch.setattr(noun, "__init__", init)


@pytest.mark.parametrize(("facts", "message"), IMAGES)
def test_pixels_that_are_no_picture_are_refused(facts, message):
    with pytest.raises(ValueError, match=message):
        Image(**facts)


def test_an_image_knows_its_grid_and_keeps_its_facts_to_itself():
    facts = {"format": "PNG"}
    image = Image(pixels=GREY, facts=facts)
    facts["format"] = "JPEG"
    assert image.grid == image.original_grid == (4, 6)
    assert image.facts == {"format": "PNG"}
    with pytest.raises(TypeError):
        image.facts["format"] = "JPEG"


def test_a_region_needs_a_name_and_a_grid():
    mask = np.ones((4, 6), bool)
    assert Region(name="disc", mask=mask).grid == (4, 6)
    with pytest.raises(ValueError, match="needs a name"):
        Region(name="", mask=mask)
    with pytest.raises(ValueError, match=r"'disc' must be \(row, column\)"):
        Region(name="disc", mask=mask[0])


SCORES = [
    pytest.param({}, "either a value or a reason", id="neither"),
    pytest.param({"value": 0.5, "reason": "empty_mask"}, "either a value or a reason", id="both"),
    pytest.param({"reason": "no idea"}, "unknown reason 'no idea'", id="reason"),
    pytest.param({"value": float("nan")}, "must be finite", id="not a number"),
    pytest.param({"value": 1.1}, r"in \[0.0, 1.0\], but is 1.1", id="range"),
]


@pytest.mark.parametrize(("facts", "message"), SCORES)
def test_a_score_is_a_number_or_a_reason(facts, message):
    with pytest.raises(ValueError, match=message):
        Score(**SCORE, **facts)


def test_rounding_does_not_put_a_score_out_of_its_range():
    assert Score(**SCORE, value=1 + 1e-9).value == 1


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_words(reason):
    assert Score(**SCORE, reason=reason).reason_text == REASONS[reason]
    assert Score(**SCORE, reason=reason, reason_text="here").reason_text == "here"


def test_a_map_is_finite():
    with pytest.raises(ValueError, match="map of gradcam holds values that are not finite"):
        Attribution(map=np.array([[1.0, np.inf]]), method="gradcam")


SECTIONS = np.zeros((3, 1, 4, 5), np.float32)


def test_a_volume_gives_its_sections_as_images_with_their_own_lines():
    line = np.arange(15.0).reshape(3, 5)
    volume = Volume(
        pixels=SECTIONS, spacing_mm=(0.004, 0.012), lines={"RPE": line}, facts={"format": "x"}
    )
    section = volume.section(2)
    assert (section.modality, section.spacing_mm) == ("oct", (0.004, 0.012))
    assert section.lines["RPE"].tolist() == line[2].tolist()
    assert dict(section.facts) == {"format": "x", "section": 3, "sections": 3}
    assert [image.facts["section"] for image in volume] == [1, 2, 3]
    with pytest.raises(IndexError, match="no 3"):
        volume.section(3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pixels": SECTIONS.repeat(2, axis=1)}, "slice, channel, row, column"),
        ({"pixels": SECTIONS + 2}, r"\[0, 1\]"),
        ({"slice_spacing_mm": 0.0}, "must be positive"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_volume_says_what_is_wrong_with_it(wrong, said):
    with pytest.raises(ValueError, match=said):
        Volume(**{"pixels": SECTIONS, **wrong})
