"""Names that people use, the one that means three things, and bands that prove nothing."""

import pytest

from foveal.measures import (
    MEASURES,
    ebpg,
    energy_in_lesion,
    measure_named,
    reference_bands,
    relevance_mass,
)

KNOWN = {card.name: card for card in MEASURES}


def test_other_names_lead_to_the_measure():
    assert measure_named("energy_in_lesion", KNOWN) == "relevance_mass"
    assert measure_named("ebpg", KNOWN) == "relevance_mass"
    assert measure_named("iou", KNOWN) == "iou"
    assert energy_in_lesion is relevance_mass is ebpg


@pytest.mark.parametrize("name", ["sensitivity-n", "Sensitivity-N", "sensitivity n"])
def test_a_name_with_three_meanings_is_refused_with_all_of_them(name):
    with pytest.raises(ValueError, match=r"three meanings") as told:
        measure_named(name, KNOWN)
    for meant in ("sensitivity_n", "max_sensitivity", "drop_at_fraction"):
        assert meant in str(told.value)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="no measure 'pixel_pa' here; near names: pixel_ap"):
        measure_named("pixel_pa", KNOWN)


def test_bands_are_illustrative_and_of_no_regulator():
    bands = reference_bands()
    assert {band.label for band in bands} == {"illustrative"}
    said = " ".join(band.says for band in bands)
    assert "threshold" not in said
    (focused,) = [b for b in bands if b.measure == "ebc" and b.low is not None]
    assert focused.low == 0.6
    assert reference_bands(source="seed document, illustrative") == bands
    with pytest.raises(ValueError, match="only source of bands"):
        reference_bands("a regulator")


def test_names_of_measures_are_unique():
    assert len(KNOWN) == len(MEASURES)
