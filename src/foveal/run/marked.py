"""What experts marked on an image, and how far several of them agree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from foveal.core import Image, Region
from foveal.images import (
    Consensus,
    consensus_of,
    drusen,
    has_regions,
    layer_regions,
    read_regions,
)
from foveal.run.cohort import Entry


def regions_of(entry: Entry, image: Image) -> tuple[list[Region], list[Consensus]]:
    """The regions of an image, none where there is no file that has any of it.

    Of several graders it is what they have in common, and how far they agree stands beside.
    """
    # The masks of a section are named after it.
    named = image if entry.section is None else replace(image, source=str(entry.file))
    regions, agreed = _marked(entry, named)
    return [*regions, *_between(entry, image)], agreed


def _between(entry: Entry, image: Image) -> Iterator[Region]:
    """The regions between the layer boundaries of a section."""
    for name, (upper, lower) in entry.layers.items():
        if name == "drusen":
            yield drusen(image, upper=upper, lower=lower)
        else:
            yield from layer_regions(image, {name: (upper, lower)})


def _marked(entry: Entry, named: Image) -> tuple[list[Region], list[Consensus]]:
    if entry.regions is None or not has_regions(entry.regions, named, entry.namesakes):
        return [], []
    regions = read_regions(entry.regions, image=named)
    if len({region.grader for region in regions}) < 2:
        return regions, []
    agreed = consensus_of(regions, entry.consensus)
    return [one.region for one in agreed], agreed


def told_of_graders(agreed: Sequence[Consensus]) -> list[Mapping[str, object]]:
    """How far graders agree, without saying who they are: a line of the log for each region."""
    return [
        {
            "region": one.region.name,
            "method": one.region.facts["consensus"],
            "graders": len(one.graders),
            **{key: [getattr(pair, key) for pair in one.pairs] for key in ("dice", "iou", "kappa")},
            "sensitivity": None if one.sensitivity is None else [*one.sensitivity.values()],
            "specificity": None if one.specificity is None else [*one.specificity.values()],
        }
        for one in agreed
    ]
