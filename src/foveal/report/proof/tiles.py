"""Small pictures of the failure gallery: the original, and each map over it."""

from collections.abc import Sequence
from dataclasses import dataclass

from foveal.analysis.truth import COLUMNS
from foveal.report.carry import way_of
from foveal.report.colour import evidence, scale_of
from foveal.report.describe import description
from foveal.report.drawing import small_picture
from foveal.report.inline import picture_uri
from foveal.report.sheets import anchor
from foveal.report.thumbnails import small_overlay
from foveal.report.words import answer_in_words, map_name, no_map, share, title
from foveal.store import Case, View

_SIDE = 200
"""Larger side of a tile's pictures in pixels."""
_MAPS = 6


@dataclass(frozen=True, kw_only=True)
class SmallPicture:
    """One picture with its name."""

    name: str
    uri: str
    alt: str
    reason: str | None = None
    """Why no map lies over it."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image of the gallery."""

    anchor: str
    name: str
    said: str
    """What the models answered, and what is true where that is known."""
    pictures: tuple[SmallPicture, ...]


def tile(case: Case, elsewhere: Sequence[str] = ()) -> Tile:
    """The tile of one case, with the maps of its first view.

    Args:
        case: An explained image.
        elsewhere: Names of the maps made elsewhere; the tile says which of them the image lacks.

    Raises:
        ValueError: A case that failed: it has no picture.
    """
    picture = small_picture(case, _SIDE)
    drawn = [SmallPicture(name="Original", uri=picture_uri(picture), alt=f"{title(case)}.")]
    for view in case.views[:1]:
        way = way_of(case, view, (picture.shape[0], picture.shape[1]))
        for explained in view.explained[:_MAPS]:
            made = explained.attribution
            scale = scale_of(made)
            over = picture
            if scale is not None:
                values = way.carry(evidence(made))
                fine = made.map.shape[-2:] == view.field.shape
                over = small_overlay(picture, values, scale, way.seen, fine=fine)
            drawn.append(
                SmallPicture(
                    name=map_name(explained.key, made),
                    uri=picture_uri(over),
                    alt=description(case, view, explained, scale, way),
                    reason=no_map(made) if scale is None else None,
                )
            )
    said = _said(case, elsewhere)
    return Tile(anchor=anchor(case.id), name=case.id, said=said, pictures=tuple(drawn))


def _said(case: Case, elsewhere: Sequence[str]) -> str:
    answers = [_answer(view) for view in case.views]
    column = next((name for name in COLUMNS if name in case.labels), None)
    truth = [] if column is None else [f"{column} in the manifest: {case.labels[column]}"]
    there = {explained.key for view in case.views for explained in view.explained}
    absent = [
        f"there is no usable map {key!r} of this image" for key in elsewhere if key not in there
    ]
    return "; ".join([*answers, *truth, *absent])


def _answer(view: View) -> str:
    said = view.prediction
    sure = (said.calibrated or said.values).get(said.label)
    chance = f" ({share(sure)})" if sure is not None and said.index is not None else ""
    return f"{view.model}: {answer_in_words(said.label)}{chance}"
