"""How a run perturbs images, and how many passes that takes."""

from dataclasses import dataclass, field

import numpy as np

from foveal.measures.baselines import PROTOCOL
from foveal.measures.curves import CurveSettings
from foveal.measures.effects import DRAWS, SHARE, SHARES
from foveal.measures.patches import Patches
from foveal.measures.road import FRACTIONS as ROAD_FRACTIONS
from foveal.measures.sufficiency import DRAWS as KEPT_DRAWS

_CURVES = frozenset({"aopc", "deletion_auc", "early_auc", "insertion_auc", "drop_at_fraction"})
_KEPT = frozenset({"average_drop", "pct_increase_confidence", "sufficiency_delta", "average_gain"})
_DROPS = frozenset({"masked_roi_drop", "excess_drop"})
_ALONE = frozenset({"relevance_rank_correlation", "faithfulness_estimate", "srg"})
_SUBSETS = frozenset(
    {"faithfulness_correlation", "infidelity", "infidelity_normalized", "sensitivity_n"}
)
_ROAD = frozenset({"road_morf", "road_lerf", "road_combined"})
_OF_CLASSES, _OF_LESIONS = frozenset({"irp_logodds"}), frozenset({"lesion_drop"})
_AS_LARGE_AS_LESIONS = frozenset({"excess_drop"})
_ALL = _CURVES | _KEPT | _DROPS | _ALONE | _SUBSETS | _ROAD | _OF_CLASSES | _OF_LESIONS
_FIXED = 3
"""Edges, centre and the model's own order; lesions are a fourth where some are marked."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Which measures perturb the image, how, and against how much chance."""

    names: frozenset[str] = field(default_factory=frozenset)
    baseline: str = "blur"
    """For all but `srg`."""
    baselines: tuple[str, ...] = PROTOCOL
    """For `srg`."""
    random_orders: int = 0
    random_regions: int = 0
    seed: int = 0
    max_batch: int = 16

    @property
    def shares(self) -> tuple[float, ...]:
        """The sizes of random sets that some measure asks for."""
        return SHARES if "sensitivity_n" in self.names else (SHARE,)

    @property
    def kept_draws(self) -> int:
        """How often a map is turned for the chance of what is kept."""
        return min(KEPT_DRAWS, self.random_regions)

    @property
    def asked(self) -> frozenset[str]:
        """Of all measures those of this file."""
        return self.names & _ALL

    @property
    def curved(self) -> tuple[str, ...]:
        """The baselines under which curves are drawn."""
        named = self.baselines if "srg" in self.asked else ()
        own = (self.baseline,) if self.asked & _CURVES else ()
        return tuple(dict.fromkeys((*own, *named)))

    def controlled(self, baseline: str) -> bool:
        """Whether more than random orders are drawn beside the maps': where all is judged."""
        return "srg" in self.asked and baseline in self.baselines

    def passes(
        self, shape: tuple[int, int], *, maps: int, log_odds: bool, lesions: bool = False
    ) -> int:
        """Forward passes for one target of an image whose field fills the grid.

        A smaller field has fewer patches, and so needs fewer.
        """
        asked, patches = self.asked, Patches.over(np.ones(shape, bool), None).count
        asked -= frozenset() if log_odds else _OF_CLASSES
        asked -= frozenset() if lesions else _OF_LESIONS
        points = len({round(f * patches) for f in CurveSettings().fractions} - {0, patches})
        fixed = sum(self.controlled(name) for name in self.curved) * (_FIXED + lesions)
        orders = len(self.curved) * (maps + self.random_orders) + fixed
        drawn = [s for s in self.shares if 0 < round(s * patches) < patches]
        regions = 1 + self.random_regions
        roads = maps + (self.random_orders > 0)
        return sum(
            (
                bool(asked),
                len(self.curved) + 2 * points * orders,
                bool(asked & _ALONE) * patches,
                bool(asked & _SUBSETS) * DRAWS * len(drawn),
                bool(asked & _DROPS) * maps * regions,
                bool(asked & _AS_LARGE_AS_LESIONS) * lesions * maps * regions,
                bool(asked & _OF_CLASSES) * maps * regions,
                bool(asked & _OF_LESIONS) * regions,
                bool(asked & _KEPT) * maps * (1 + self.kept_draws),
                bool(asked & _ROAD) * 2 * len(ROAD_FRACTIONS) * roads,
            )
        )
