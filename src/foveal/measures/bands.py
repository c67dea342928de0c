"""Ranges that a text has put forward: they prove nothing, and nothing passes or fails by them."""

from dataclasses import dataclass

ILLUSTRATIVE = "seed document, illustrative"


@dataclass(frozen=True, kw_only=True)
class ReferenceBand:
    """One range of one measure."""

    measure: str
    says: str
    """What the source takes the range to mean."""
    low: float | None = None
    high: float | None = None
    label: str = "illustrative"
    """Shown wherever the band is shown."""


_BANDS = (
    ReferenceBand(measure="aopc", says="usual", low=0.15, high=0.45),
    ReferenceBand(measure="aopc", says="usual of Grad-CAM", low=0.35, high=0.52),
    ReferenceBand(measure="irp_logodds", says="usual of Grad-CAM", low=1.8, high=2.5),
    ReferenceBand(measure="relevance_rank_correlation", says="usual", low=0.3, high=0.7),
    ReferenceBand(measure="dice", says="usual", low=0.1, high=0.6),
    ReferenceBand(measure="dice", says="right place", low=0.5),
    ReferenceBand(measure="dice", says="wrong place", high=0.2),
    ReferenceBand(measure="sufficiency_delta", says="usual", low=0.05, high=0.35),
    ReferenceBand(measure="faithfulness_correlation", says="usual", low=0.1, high=0.5),
    ReferenceBand(measure="deletion_auc", says="usual", low=0.0, high=0.5),
    ReferenceBand(measure="insertion_auc", says="usual", low=0.7, high=0.88),
    ReferenceBand(measure="sensitivity_n", says="usual", low=0.65, high=0.78),
    ReferenceBand(measure="max_sensitivity", says="usual", low=0.05, high=0.3),
    ReferenceBand(measure="map_ssim", says="usual", low=0.7, high=0.95),
    ReferenceBand(measure="masked_roi_drop", says="the region matters", low=0.2),
    ReferenceBand(measure="gsi", says="healthy", high=0.3),
    ReferenceBand(measure="fmce", says="healthy", low=0.5, high=0.9),
    ReferenceBand(measure="grad_sparsity", says="healthy", high=0.8),
    ReferenceBand(measure="grad_sparsity", says="noisy map", low=0.95),
    ReferenceBand(measure="hfpr", says="healthy", high=0.2),
    ReferenceBand(measure="hfpr", says="noisy map", low=0.5),
    ReferenceBand(measure="ebc", says="focused map", low=0.6),
    ReferenceBand(measure="ebc", says="diffuse map", high=0.4),
    ReferenceBand(measure="mean_attribution_area", says="focused map", high=0.15),
    ReferenceBand(measure="mean_attribution_area", says="diffuse map", low=0.3),
    ReferenceBand(measure="out_of_fov_mass", says="aligned", high=0.005),
    ReferenceBand(measure="out_of_fov_mass", says="misaligned", low=0.05, high=0.15),
)


def reference_bands(source: str = ILLUSTRATIVE) -> tuple[ReferenceBand, ...]:
    """The ranges that a source puts forward, for those who want to see them beside their numbers.

    No regulator has published a threshold for any measure of an explanation, and these ranges are
    neither evidence nor limits: they are never shown unless asked for, and never without the word
    "illustrative".

    Raises:
        ValueError: A source that is not known.
    """
    if source != ILLUSTRATIVE:
        raise ValueError(f"the only source of bands is {ILLUSTRATIVE!r}, but got {source!r}")
    return _BANDS
