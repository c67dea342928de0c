"""Images without the finding: hot spots and where the evidence lies, by hand."""

import numpy as np
import pytest

from foveal.measures import negative_image_profile


def test_spots_and_shares_are_counted():
    values = np.zeros((6, 6))
    values[0, 0], values[1, 1], values[3, 3], values[5, 0] = 4, 2, 1, 3
    field = np.ones((6, 6), bool)
    field[5] = False
    structures = {"optic disc": np.eye(6, dtype=bool)[::1] & (np.arange(6) < 2)}
    score = negative_image_profile(values, structures, field=field, positive_energy=0.7)
    assert score.value == 1  # 4 and 2 touch at a corner, 1 is too low, 3 is outside
    assert score.parts["mass"] == pytest.approx(
        {"optic disc": 0.6, "background": 0.1, "outside the field": 0.3}
    )
    assert score.parts["energy"] == pytest.approx(7 / 30)
    assert score.parts["relative_energy"] == pytest.approx(1 / 3)


def test_a_map_without_evidence_shows_nothing_which_is_a_number():
    score = negative_image_profile(-np.ones((4, 4)))
    assert (score.value, score.parts["energy"], score.parts["mass"]) == (0, 0, {})


def test_a_map_of_other_than_numbers_has_no_profile():
    assert negative_image_profile(np.full((4, 4), np.nan)).reason == "nan_map"
    with pytest.raises(ValueError, match="positive_energy must be positive"):
        negative_image_profile(np.ones((4, 4)), positive_energy=0.0)
