"""What the score loses without one patch, or without many drawn at random: tables of a model.

They depend on no map, so that one table of an image serves every explanation of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from jaxtyping import Bool, Float, Shaped

from foveal.measures.base import Array, ground
from foveal.measures.curves import CurveKeywords, CurveSettings
from foveal.measures.patches import Patches
from foveal.measures.perturbation import ScoreOf, Subject

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the patches that are removed together, for `sensitivity_n`."""
SHARE = 0.2
"""The one share of `faithfulness_correlation` and `infidelity`."""
DRAWS = 100
_ROUNDING = 1e-6
"""Of the score: float32 resolves no smaller change, and batches of other sizes round otherwise.
Of log-odds at least of 1: near 0 they are a difference of logits, which are rounded before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchEffects:
    """By how much the score falls when one patch alone is replaced."""

    patches: Patches
    effects: Float[np.ndarray, " patch"]
    """In the units in which the score came; log-odds stay log-odds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Removals:
    """Random sets of as many patches each, and by how much the score falls without them."""

    members: Bool[np.ndarray, "draw patch"]
    effects: Float[np.ndarray, " draw"]
    """In the units in which the score came; log-odds stay log-odds."""

    @property
    def count(self) -> int:
        """Patches in a set."""
        return int(self.members[0].sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetEffects:
    """Random removals by the share of the patches that they take."""

    patches: Patches
    removals: Mapping[float, Removals]
    """Shares that come to no patch, or to all of them, are left out: nothing varies there."""


def patch_effects(
    score: ScoreOf,
    image: Array,
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> PatchEffects:
    """Replace each patch of the field alone: one pass a patch, and one for the image."""
    _, patches, asked = _prepared(score, image, field, subject, settings)
    alone = (patches.pixels(np.array([patch])) for patch in range(patches.count))
    return PatchEffects(patches=patches, effects=_lost(asked, alone))


def subset_effects(
    score: ScoreOf,
    image: Array,
    *,
    shares: Sequence[float] = (SHARE,),
    draws: int = DRAWS,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> SubsetEffects:
    """Replace random sets of patches: one pass a set, and one for the image.

    The sets of a share are the same whichever other shares are asked for.

    Raises:
        ValueError: Shares outside (0, 1), or fewer than three draws.
    """
    if not all(0 < share < 1 for share in shares):
        raise ValueError(f"shares must lie between 0 and 1, but are {tuple(shares)}")
    if draws < 3:
        raise ValueError(f"draws must be at least 3, but are {draws}")
    chosen, patches, asked = _prepared(score, image, field, subject, settings)
    sets = {share: _drawn(patches.count, share, draws, chosen.seed) for share in shares}
    sets = {share: members for share, members in sets.items() if members[0].sum() > 0}
    sets = {share: members for share, members in sets.items() if not members[0].all()}
    removed = (patches.pixels(np.flatnonzero(one)) for members in sets.values() for one in members)
    effects = np.reshape(_lost(asked, removed), (len(sets), draws))
    return SubsetEffects(
        patches=patches,
        removals={
            share: Removals(members=members, effects=own)
            for (share, members), own in zip(sets.items(), effects, strict=True)
        },
    )


def _prepared(
    score: ScoreOf,
    image: Array,
    field: Array | None,
    subject: Subject | None,
    settings: CurveKeywords,
) -> tuple[CurveSettings, Patches, Subject]:
    chosen = CurveSettings(**settings)
    on = ground(np.zeros(tuple(image.shape[1:])), None, field, needs_mask=False)
    patches = Patches.over(on.field, chosen.patch_px)
    return chosen, patches, subject or chosen.subject(score, image, on.field)


def _lost(
    asked: Subject, removed: Iterable[Bool[np.ndarray, "row column"]]
) -> Float[np.ndarray, " probe"]:
    """By how much the score falls without each mask; 0 where that is no more than rounding.

    Else a score that no pixel changes would have an order of patches, that of its last bits.
    """
    lost = asked.whole - np.array(asked.scores_without(removed))
    size = max(abs(asked.whole), 1.0 if asked.scale == "log-odds" else 0.0)
    return np.where(np.abs(lost) <= _ROUNDING * size, 0.0, lost)


def _drawn(patches: int, share: float, draws: int, seed: int) -> Bool[np.ndarray, "draw patch"]:
    count = round(share * patches)
    random = np.random.default_rng([seed, round(1e6 * share)])
    members = np.zeros((draws, patches), bool)
    for one in members:
        one[random.choice(patches, size=count, replace=False)] = True
    return members
