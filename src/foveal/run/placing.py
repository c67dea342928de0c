"""The measures that send no passes: a map against the regions and the field of its image."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Image, Modality, Region, Score
from foveal.images.anatomy import is_grid_field
from foveal.measures import (
    OCT_TOLERANCE_UM,
    RegionShares,
    cnr,
    dice,
    dice_over_max,
    ebc,
    false_highlight_rate,
    gini,
    iou,
    lesion_hit_rate,
    map_entropy,
    map_mask_cc,
    mass_lift,
    mean_attribution_area,
    negative_image_profile,
    out_of_fov_mass,
    pap,
    pixel_ap,
    pixel_auc,
    pointing_game,
    region_coverage,
    region_shares,
    relevance_mass,
    relevance_rank_accuracy,
    shares_of,
    snr_roi,
)
from foveal.measures.lesions import HitKeywords
from foveal.measures.regions import BACKGROUND
from foveal.store import ALL_LESIONS, Measured


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """What the maps of one image are held against."""

    field: Bool[np.ndarray, "row column"]
    regions: tuple[Region, ...]
    """The expert's, and all lesions together."""
    spacing_um: tuple[float, float] | None = None
    modality: Modality = "unknown"

    @property
    def reach(self) -> HitKeywords:
        """How near counts as a hit, as far as the image decides it."""
        if self.spacing_um is None:
            return {}
        if self.modality == "oct":
            return {"spacing_um": self.spacing_um, "tolerance_um": OCT_TOLERANCE_UM}
        return {"spacing_um": self.spacing_um}

    @property
    def lesions(self) -> tuple[Region, ...]:
        """Each kind, and all together."""
        return tuple(region for region in self.regions if region.kind == "lesion")

    @property
    def healthy(self) -> bool:
        """Whether no lesion is marked in the field."""
        return not any((region.mask & self.field).any() for region in self.lesions)


def place_of(
    image: Image, field: Bool[np.ndarray, "row column"], regions: Sequence[Region]
) -> Place:
    """The prepared image as measures see it: its field, its regions and its spacing."""
    spacing = image.spacing_mm
    return Place(
        field=field,
        regions=_with_all_lesions(regions),
        spacing_um=None if spacing is None else (1000 * spacing[0], 1000 * spacing[1]),
        modality=image.modality,
    )


def strangers(regions: Iterable[Region]) -> set[str]:
    """The names of regions of which nobody knows whether they are lesions or structures."""
    return {region.name for region in regions if region.kind == "unknown"}


def told_of(names: Iterable[str]) -> str:
    """What to say of such regions."""
    return (
        f"nobody knows whether these are lesions or structures: {', '.join(sorted(names))}; they "
        "are measured one by one and are not among all lesions. Name masks by what they show, "
        "such as corneal_ulcer or optic_disc"
    )


def _with_all_lesions(regions: Sequence[Region]) -> tuple[Region, ...]:
    """The expert's regions, and all lesions together, which can be compared between images."""
    own = tuple(region for region in regions if region.kind != "field")
    lesions = [region.mask for region in own if region.kind == "lesion"]
    if not lesions:
        return own
    together = Region(name=ALL_LESIONS, mask=np.logical_or.reduce(lesions), kind="lesion")
    return (*own, together)


class PlacedMap:
    """One map held against its image."""

    def __init__(self, place: Place, values: Float[np.ndarray, "row column"]) -> None:
        self.place = place
        self.values = values

    def on_regions(self, measure: Callable[..., Score], **settings: object) -> Iterator[Measured]:
        """On every region."""
        yield from self._on(self.place.regions, measure, settings)

    def on_lesions(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """On every kind of lesion, lesion by lesion, and on all kinds together."""
        yield from self._on(self.place.lesions, measure, self.place.reach)

    def on_all_lesions(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """On all lesions together alone: a spot on one kind is no false finding of another."""
        together = [region for region in self.place.regions if region.name == ALL_LESIONS]
        yield from self._on(together, measure, self.place.reach)

    def on_field(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """On the whole field."""
        yield Measured(score=measure(self.values, field=self.place.field))

    def area(self) -> Iterator[Measured]:
        """The area at half maximum, in square millimetres where the spacing is known."""
        score = mean_attribution_area(
            self.values, field=self.place.field, spacing_um=self.place.spacing_um
        )
        yield Measured(score=score)

    def by_structure(self) -> Iterator[Measured]:
        """The share of each structure, and of what is none; nothing where no structure is known."""
        found = self._shares
        for name in [*self._masks, BACKGROUND] if self._masks else ():
            score = region_shares(self.values, self._masks, of=name, shares=found)
            yield Measured(score=score, region=name)

    def where_nothing_is(self) -> Iterator[Measured]:
        """What the map does on an image without a marked lesion; nothing on the others."""
        if self.place.healthy:
            score = negative_image_profile(self.values, self._masks, field=self.place.field)
            yield Measured(score=score)

    def _on(
        self,
        regions: Sequence[Region],
        measure: Callable[..., Score],
        settings: Mapping[str, object],
    ) -> Iterator[Measured]:
        for region in regions:
            score = measure(self.values, region.mask, field=self.place.field, **settings)
            yield Measured(score=score, region=region.name)

    @cached_property
    def _masks(self) -> dict[str, Bool[np.ndarray, "row column"]]:
        """Lesions first: they own what they share with structures, whatever the names.

        Fields of a grid lie over both, and would leave nothing of the structures.
        """
        own = [
            region
            for region in self.place.regions
            if region.name != ALL_LESIONS and not is_grid_field(region.name)
        ]
        return {r.name: r.mask for r in sorted(own, key=lambda region: region.kind != "lesion")}

    @cached_property
    def _shares(self) -> RegionShares | str:
        return shares_of(self.values, self._masks, field=self.place.field)


_TENTH = {"rule": "quantile", "quantile": 0.1}
PLACING: Mapping[str, Callable[[PlacedMap], Iterator[Measured]]] = {
    "relevance_mass": lambda made: made.on_regions(relevance_mass),
    "mass_lift": lambda made: made.on_regions(mass_lift),
    "pointing_game": lambda made: made.on_regions(pointing_game, **made.place.reach),
    "iou": lambda made: made.on_regions(iou),
    "dice": lambda made: made.on_regions(dice),
    # At the region's own size it would be the Dice coefficient again.
    "dice_over_max": lambda made: made.on_regions(dice_over_max, **_TENTH),
    "relevance_rank_accuracy": lambda made: made.on_regions(relevance_rank_accuracy),
    "pixel_ap": lambda made: made.on_regions(pixel_ap),
    "pixel_auc": lambda made: made.on_regions(pixel_auc),
    "map_mask_cc": lambda made: made.on_regions(map_mask_cc),
    "cnr": lambda made: made.on_regions(cnr),
    "snr_roi": lambda made: made.on_regions(snr_roi),
    "lesion_hit_rate": lambda made: made.on_lesions(lesion_hit_rate),
    "false_highlight_rate": lambda made: made.on_all_lesions(false_highlight_rate),
    "pap": lambda made: made.on_regions(pap),
    "region_coverage": lambda made: made.on_regions(region_coverage),
    "region_shares": lambda made: made.by_structure(),
    "out_of_fov_mass": lambda made: made.on_field(out_of_fov_mass),
    "negative_image_profile": lambda made: made.where_nothing_is(),
    "mean_attribution_area": lambda made: made.area(),
    "ebc": lambda made: made.on_field(ebc),
    "gini": lambda made: made.on_field(gini),
    "map_entropy": lambda made: made.on_field(map_entropy),
}
"""The measures that any stored map can be given, in the order of a run."""
