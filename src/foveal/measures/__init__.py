"""Is a map in the right place, and does it matter to the model? One function, one Score."""

from foveal.measures.base import MeasureCard
from foveal.measures.cost import COST, cost
from foveal.measures.curves import (
    DELETION_AUC,
    EARLY_AUC,
    INSERTION_AUC,
    Curve,
    CurveSettings,
    RemovalCurves,
    deletion_auc,
    early_auc,
    insertion_auc,
    random_curves,
    removal_curves,
)
from foveal.measures.drops import (
    EXCESS_DROP,
    MASKED_ROI_DROP,
    DropSettings,
    RoiDrops,
    excess_drop,
    masked_roi_drop,
    roi_drops,
)
from foveal.measures.localisation import (
    IOU,
    OUT_OF_FOV_MASS,
    POINTING_GAME,
    RELEVANCE_MASS,
    iou,
    out_of_fov_mass,
    pointing_game,
    relevance_mass,
)
from foveal.measures.perturbation import Subject, make_subject

MEASURES: tuple[MeasureCard, ...] = (
    RELEVANCE_MASS,
    POINTING_GAME,
    IOU,
    OUT_OF_FOV_MASS,
    MASKED_ROI_DROP,
    EXCESS_DROP,
    DELETION_AUC,
    EARLY_AUC,
    INSERTION_AUC,
    COST,
)
"""The measures that are built, in the order of their families."""

__all__ = [
    "MEASURES",
    "Curve",
    "CurveSettings",
    "DropSettings",
    "MeasureCard",
    "RemovalCurves",
    "RoiDrops",
    "Subject",
    "cost",
    "deletion_auc",
    "early_auc",
    "excess_drop",
    "insertion_auc",
    "iou",
    "make_subject",
    "masked_roi_drop",
    "out_of_fov_mass",
    "pointing_game",
    "random_curves",
    "relevance_mass",
    "removal_curves",
    "roi_drops",
]
