"""Measures by the question they answer, so that a page shows a few first and all on request."""

from collections.abc import Iterable, Mapping

PLACE = "Is it in the right place?"
FAMILIES: Mapping[str, tuple[str, ...]] = {
    PLACE: ("relevance_mass", "pointing_game", "iou", "lesion_hit_rate", "false_highlight_rate"),
    "Does it matter to the model?": (
        "srg", "aopc", "deletion_auc", "early_auc", "insertion_auc", "drop_at_fraction",
        "masked_roi_drop", "excess_drop", "lesion_drop", "average_drop",
        "pct_increase_confidence", "sufficiency_delta", "average_gain", "irp_logodds",
        "relevance_rank_correlation", "faithfulness_estimate", "faithfulness_correlation",
        "sensitivity_n", "infidelity", "infidelity_normalized",
        "road_morf", "road_lerf", "road_combined", "completeness_error", "roar",
    ),
    "Is it stable?": (
        "max_sensitivity", "avg_sensitivity", "map_ssim", "map_pearson", "map_spearman",
        "topk_iou", "nuisance_stability", "repeat_variance",
    ),
    "Does the method notice a ruined model?": ("mprt", "data_randomisation", "random_logit"),
    "How concentrated is it?": (
        "mean_attribution_area", "ebc", "gini", "map_entropy", "out_of_fov_mass",
        "negative_image_profile",
    ),
    "What does it light up?": ("region_shares", "pap", "region_coverage"),
    "Other numbers on the place": (
        "mass_lift", "dice", "dice_over_max", "relevance_rank_accuracy", "pixel_ap", "pixel_auc",
        "map_mask_cc", "cnr", "snr_roi",
    ),
    "Gradients": (
        "gss", "gsi", "fmce", "fmce_weighted", "first_layer_grad_rms", "intensity_cv",
        "grad_sparsity", "hoyer", "hfpr",
    ),
}  # fmt: skip
"""Titles, and the measures under each."""
FIRST = tuple(FAMILIES)[:4]
"""Families that answer whether a map can be believed: open on the page."""
HEADLINE = (
    "relevance_mass", "pointing_game", "iou", "lesion_hit_rate", "false_highlight_rate",
    "out_of_fov_mass", "srg", "deletion_auc", "insertion_auc", "excess_drop", "max_sensitivity",
    "mprt",
)  # fmt: skip
"""Measures that a summary holds, where they were made."""
OTHER = "Other measures"


def by_family(measures: Iterable[str]) -> dict[str, list[str]]:
    """Measures under their families, in the order of the families; what is unknown comes last."""
    family = {name: title for title, names in FAMILIES.items() for name in names}
    order = {name: place for place, name in enumerate(family)}
    found: dict[str, list[str]] = {}
    for name in sorted(measures, key=lambda name: order.get(name, len(order))):
        found.setdefault(family.get(name, OTHER), []).append(name)
    return found


def headline(measures: Iterable[str]) -> list[str]:
    """The measures of a summary in their order; all where none of them was made."""
    named = list(measures)
    return [name for name in HEADLINE if name in named] or named
