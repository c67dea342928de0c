"""Several graders of one image: what they have in common, and how far they agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import ImageError, Region
from foveal.images.annotations.staple import Staple, staple

Method = Literal["majority", "staple"]


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """How far two graders drew the same; two who drew nothing agree."""

    first: str
    second: str
    dice: float
    """In [0, 1], as all three are at best 1: twice the common pixels by the sum of both."""
    iou: float
    """In [0, 1]: the common pixels by those of either."""
    kappa: float | None
    """Cohen's, over the pixels of the field: 0 is chance; `None` where neither of the two tells
    any pixel from any other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Consensus:
    """One region of several graders, each of which is kept."""

    region: Region
    """What they have in common; its facts say by which method and of how many."""
    graders: tuple[str, ...]
    masks: Bool[np.ndarray, "grader row column"]
    probability: Float[np.ndarray, "row column"]
    """Share of graders who marked the pixel; with STAPLE the probability that it belongs."""
    pairs: tuple[PairAgreement, ...]
    sensitivity: dict[str, float] | None
    """Of each grader for what STAPLE takes for true, in [0, 1]; `None` by majority, or where nobody
    marked a pixel."""
    specificity: dict[str, float] | None
    """The same for pixels that do not belong; `None` by majority, or where everybody marked all."""


def consensus_of(
    regions: Sequence[Region],
    method: Method = "majority",
    *,
    graders: Sequence[str] | None = None,
    field: Bool[np.ndarray, "row column"] | None = None,
) -> list[Consensus]:
    """What several graders of one image have in common, one entry for each name.

    Who marked no region of a name, but others of the image, has marked none of it.

    Args:
        regions: Of one image, each with its grader.
        method: "majority", the pixels that more than half of the graders marked, or "staple", those
            that belong with a probability of at least one half.
        graders: Everybody who looked, where some marked nothing at all; those of the regions by
            default.
        field: The pixels that are counted. The black round the field of a photograph makes kappa
            and specificity look better than they are.

    Raises:
        ImageError: A region without a grader, two of one name and grader, or regions or a field of
            different sizes.
        ValueError: An unknown method.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be 'majority' or 'staple', but is {method!r}")
    if any(region.grader is None for region in regions):
        raise ImageError("a consensus needs to know who marked which region; one has no grader")
    who = tuple(dict.fromkeys([*(graders or ()), *(str(region.grader) for region in regions)]))
    if not regions:
        return []
    looked_at = np.ones(regions[0].grid, bool) if field is None else field
    if any(region.mask.shape != looked_at.shape for region in regions):
        raise ImageError("a consensus needs regions of one image, but they differ in size")
    names = dict.fromkeys(region.name for region in regions)
    return [
        _consensus([r for r in regions if r.name == name], who, method, looked_at) for name in names
    ]


def _consensus(
    regions: Sequence[Region],
    graders: tuple[str, ...],
    method: Method,
    field: Bool[np.ndarray, "row column"],
) -> Consensus:
    own = {str(region.grader): region.mask for region in regions}
    if len(own) < len(regions):
        raise ImageError(f"one grader has several regions {regions[0].name!r}; join them first")
    masks = np.array([own.get(grader, np.zeros(field.shape, bool)) for grader in graders])
    seen = masks[:, field]
    found = staple(seen[:, np.newaxis]) if method == "staple" else None
    shares = seen.mean(axis=0) if found is None else found.probability[0]
    probability = np.zeros(field.shape)
    probability[field] = shares
    kept = shares > 0.5 if found is None else shares >= 0.5
    mask = np.zeros(field.shape, bool)
    mask[field] = kept
    first = regions[0]
    return Consensus(
        region=Region(
            name=first.name,
            mask=mask,
            kind=first.kind,
            facts={"consensus": method, "graders": len(graders)},
        ),
        graders=graders,
        masks=masks,
        probability=probability,
        pairs=tuple(
            _pair(graders[i], graders[j], seen[i], seen[j])
            for i, j in combinations(range(len(graders)), 2)
        ),
        sensitivity=_by_grader(graders, found, "sensitivity"),
        specificity=_by_grader(graders, found, "specificity"),
    )


def _by_grader(graders: Sequence[str], found: Staple | None, name: str) -> dict[str, float] | None:
    values = None if found is None else getattr(found, name)
    return None if values is None else dict(zip(graders, values.tolist(), strict=True))


def _pair(
    first: str, second: str, one: Bool[np.ndarray, " pixel"], other: Bool[np.ndarray, " pixel"]
) -> PairAgreement:
    common, both = int((one & other).sum()), int(one.sum()) + int(other.sum())
    expected = one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
    observed = float((one == other).mean())
    return PairAgreement(
        first=first,
        second=second,
        dice=2 * common / both if both else 1.0,
        iou=common / (both - common) if both else 1.0,
        kappa=float((observed - expected) / (1 - expected)) if expected < 1 else None,
    )
