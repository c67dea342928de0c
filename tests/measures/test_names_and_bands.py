"""Names that people use, those that mean several things, and bands that prove nothing."""

import pytest

from foveal.measures import (
    MEASURES,
    ebpg,
    energy_in_lesion,
    measure_named,
    reference_bands,
    relevance_mass,
)
from foveal.measures.names import ALIASES

KNOWN = {card.name: card for card in MEASURES}


def test_other_names_lead_to_the_measure():
    assert measure_named("energy_in_lesion", KNOWN) == "relevance_mass"
    assert measure_named("ebpg", KNOWN) == "relevance_mass"
    assert measure_named("iou", KNOWN) == "iou"
    assert energy_in_lesion is relevance_mass is ebpg


@pytest.mark.parametrize(
    ("said", "meant"),
    [("Increase in Drop %", "excess_drop"), ("AOPC", "aopc"), ("Deletion AUC", "deletion_auc"),
     ("max-sensitivity", "max_sensitivity"), ("DSC", "dice")],
)  # fmt: skip
def test_case_spaces_and_hyphens_do_not_matter(said, meant):
    assert measure_named(said, KNOWN) == meant


MEANINGS = [
    ("sensitivity-n", ("sensitivity_n", "max_sensitivity", "drop_at_fraction")),
    ("Sensitivity-N", ("sensitivity_n", "max_sensitivity", "drop_at_fraction")),
    ("sensitivity n", ("sensitivity_n", "max_sensitivity", "drop_at_fraction")),
    ("drop", ("average_drop", "masked_roi_drop", "excess_drop")),
    ("Increase in Confidence", ("pct_increase_confidence", "sufficiency_delta")),
]


@pytest.mark.parametrize(("name", "meanings"), MEANINGS, ids=[name for name, _ in MEANINGS])
def test_a_name_with_several_meanings_is_refused_with_all_of_them(name, meanings):
    with pytest.raises(ValueError, match=rf"'{name}' has (two|three) meanings") as told:
        measure_named(name, KNOWN)
    for meant in meanings:
        assert meant in str(told.value)
        assert meant in KNOWN


def test_the_form_of_aopc_that_telescopes_has_no_name():
    assert not [name for name, own in ALIASES.items() if own == "aopc"]
    assert set(ALIASES.values()) <= set(KNOWN)


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


def test_every_band_is_of_a_measure_and_within_what_it_can_reach():
    for band in reference_bands():
        least, most = KNOWN[band.measure].range
        ends = [end for end in (band.low, band.high) if end is not None]
        assert ends == sorted(ends)
        assert ends, band
        assert all(least <= end <= most for end in ends), band


def test_names_of_measures_are_unique():
    assert len(KNOWN) == len(MEASURES)
