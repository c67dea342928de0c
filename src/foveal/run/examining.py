"""What a plan asks about an image before any model sees it: its quality, and its anatomy."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

from foveal.core import FovealWarning, Image, ImageError, Region
from foveal.images.anatomy import anatomy_of
from foveal.images.quality import gate, quality
from foveal.run.cohort import Entry
from foveal.run.plan import QualityTable


def judged(image: Image, table: QualityTable | None) -> Image:
    """The image with the numbers of its quality among its facts, as `quality.<name>`.

    Raises:
        ImageError: Its quality is refused, or there is nothing to see.

    Warns:
        FovealWarning: Its quality should be looked at.
    """
    if table is None:
        return image
    found = quality(image)
    limits = {"refuse": table.refuse, "review": table.review}
    known = {
        verdict: {name: limit for name, limit in wanted.items() if name in found.values}
        for verdict, wanted in limits.items()
    }
    answer = gate(found, known)
    if answer.verdict == "refuse":
        raise ImageError(f"is refused for its quality: {'; '.join(answer.reasons)}")
    if answer.verdict == "review":
        reasons = "; ".join(answer.reasons)
        warnings.warn(f"look at the quality of this image: {reasons}", FovealWarning, stacklevel=2)
    numbers = {
        f"quality.{name}": round(value, 6)
        for name, value in found.values.items()
        if value is not None
    }
    return replace(image, facts={**image.facts, **numbers, "quality": answer.verdict})


def with_anatomy(
    image: Image, regions: Sequence[Region], entry: Entry
) -> tuple[Image, list[Region]]:
    """The regions with the anatomy asked for; its sources and confidences are facts of the image.

    Raises:
        ImageError: There is nothing to see in the image.

    Warns:
        FovealWarning: A part is missing, and why.
    """
    if not entry.anatomy:
        return image, list(regions)
    found = anatomy_of(image, entry.anatomy, regions=regions)
    for note in found.notes:
        warnings.warn(note, FovealWarning, stacklevel=2)
    return replace(image, facts={**image.facts, **found.facts}), [*regions, *found.regions]
