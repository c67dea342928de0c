"""The volumes of a run: the maps of all sections of one scan, side by side and from above."""

import io
import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.figure import Figure

from foveal.core import Grid
from foveal.report.carry import Way, way_of
from foveal.report.colour import evidence
from foveal.report.drawing import small_picture
from foveal.report.inline import picture_uri
from foveal.report.sheets import anchor
from foveal.report.stack_figures import section_overlay, stack_figure, stack_scale
from foveal.report.stacks import Stack, evenly, stacked
from foveal.report.words import counted, map_name, number, percent, target_in_words, title
from foveal.store import Case, Run, View
from foveal.store.columns import columns

_SIDE = 320
"""Larger side of a section's picture in pixels."""
_STRIP = 49
"""Sections in the strip of a page at most."""
_RETINA = "retina"
_DPI = 110


_ONE_BY_ONE = 6
"""Sections of a volume that a page shows one by one, evenly spread."""


def sections_left_out(run: Run) -> set[str]:
    """The images that a page does not show one by one: most sections of volumes."""
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for table in columns(run, "images", ("image", "facts", "failure")):
        for row in table.to_pylist():
            facts = json.loads(row["facts"] or "{}")
            if row["failure"] is None and "volume" in facts:
                found[facts["volume"]].append((facts["section"], row["image"]))
    left_out = set()
    for sections in found.values():
        names = [name for _, name in sorted(sections)]
        shown = {names[place] for place in evenly(len(names), _ONE_BY_ONE)}
        left_out.update(name for name in names if name not in shown)
    return left_out


class MapKey(NamedTuple):
    """What tells the maps of one volume apart."""

    model: str
    key: str
    target: str


@dataclass(frozen=True, kw_only=True)
class SectionSheet:
    """One section in the strip."""

    number: int
    uri: str
    share: str
    """Of the volume's map, in words."""
    anchor: str
    """Of the image in the page."""


@dataclass(frozen=True, kw_only=True)
class VolumeMapSheet:
    """One method's maps of a volume."""

    heading: str
    uri: str
    words: str
    strip: tuple[SectionSheet, ...]


@dataclass(frozen=True, kw_only=True)
class VolumeSheet:
    """One volume as the page shows it."""

    anchor: str
    name: str
    title: str
    facts: tuple[str, ...]
    maps: tuple[VolumeMapSheet, ...]
    note: str | None
    """Why there is no picture of the whole, where there is none."""


@dataclass(kw_only=True)
class _Gathered:
    """What was seen of one volume so far, small enough to be kept."""

    first: str
    facts: Mapping[str, object]
    spacing_mm: tuple[float, float] | None
    sections: dict[int, tuple[UInt8[np.ndarray, "row column"], Bool[np.ndarray, "row column"]]] = (
        field(default_factory=dict)
    )
    names: dict[int, str] = field(default_factory=dict)
    maps: dict[MapKey, dict[int, Float[np.ndarray, "row column"]]] = field(default_factory=dict)
    headings: dict[MapKey, str] = field(default_factory=dict)


class Volumes:
    """Takes the cases of a run one by one, and keeps of each volume what its pictures need."""

    def __init__(self) -> None:
        self._found: dict[str, _Gathered] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, case: Case) -> None:
        """Take a case if it is a section of a volume and was explained."""
        name, section = case.facts.get("volume"), case.facts.get("section")
        if case.failure is not None or name is None or not isinstance(section, int):
            return
        volume = self._found.setdefault(
            str(name), _Gathered(first=title(case), facts=case.facts, spacing_mm=_spacing(case))
        )
        picture = small_picture(case, _SIDE)
        grid = picture.shape[0], picture.shape[1]
        ways = {view.model: way_of(case, view, grid) for view in case.views}
        volume.sections[section] = picture.mean(axis=2).astype(np.uint8), _inside(case, ways, grid)
        volume.names[section] = case.id
        for view in case.views:
            _take_maps(volume, section, view, ways[view.model])

    def sheets(self) -> Iterator[VolumeSheet]:
        """All volumes by name; each is made when it is asked for."""
        for name, volume in sorted(self._found.items()):
            yield _sheet(name, volume)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """One figure for each map of each volume, with the stem of its file."""
        for name, volume in sorted(self._found.items()):
            for place, (key, stack) in enumerate(_stacks(name, volume), start=1):
                if stack is not None:
                    yield f"{name}-{place}", stack_figure(stack, volume.headings[key])


def _take_maps(volume: _Gathered, section: int, view: View, way: Way) -> None:
    for explained in view.explained:
        made = explained.attribution
        key = MapKey(view.model, explained.key, made.target.partition(": ")[0])
        words = target_in_words(key.target)
        volume.headings.setdefault(
            key, f"{map_name(explained.key, made)} for {words} ({view.model})"
        )
        volume.maps.setdefault(key, {})
        if made.reason is None:
            volume.maps[key][section] = way.carry(evidence(made))


def _inside(case: Case, ways: Mapping[str, Way], grid: Grid) -> Bool[np.ndarray, "row column"]:
    """The retina where it is a region of the case, else the field of view."""
    retina = next((region for region in case.regions if region.name == _RETINA), None)
    if retina is not None:
        covered = Way(steps=(), original=retina.grid, prepared=retina.grid, picture=grid)
        return covered.carry(retina.mask.astype(np.float32)) >= 0.5
    view = case.views[0]
    return ways[view.model].carry(view.field.astype(np.float32)) >= 0.5


def _spacing(case: Case) -> tuple[float, float] | None:
    """Of the small picture's pixels."""
    if case.spacing_mm is None or case.grid is None:
        return None
    rows, columns = small_picture(case, _SIDE).shape[:2]
    return (
        case.spacing_mm[0] * case.grid[0] / rows,
        case.spacing_mm[1] * case.grid[1] / columns,
    )


def _stacks(name: str, volume: _Gathered) -> Iterator[tuple[MapKey, Stack | None]]:
    slices = volume.facts.get("slice_spacing_mm")
    for key, maps in volume.maps.items():
        yield (
            key,
            stacked(
                name,
                volume.sections,
                maps,
                spacing_mm=volume.spacing_mm,
                slice_spacing_mm=slices if isinstance(slices, float) else None,
            ),
        )


def _sheet(name: str, volume: _Gathered) -> VolumeSheet:
    stacks = list(_stacks(name, volume))
    note = None
    if any(stack is None for _, stack in stacks):
        note = "Its sections differ in size, so they cannot be seen from above."
    return VolumeSheet(
        anchor=anchor(f"volume {name}"),
        name=name,
        title=volume.first,
        facts=tuple(_facts(volume)),
        maps=tuple(
            _map_sheet(stack, volume.headings[key], volume.names)
            for key, stack in stacks
            if stack is not None
        ),
        note=note,
    )


def _facts(volume: _Gathered) -> Iterator[str]:
    whole = volume.facts.get("sections")
    shown = counted(len(volume.sections), "section")
    yield shown if whole in (None, len(volume.sections)) else f"{shown} of {whole}"
    slices = volume.facts.get("slice_spacing_mm")
    if isinstance(slices, float):
        yield f"{number(1000 * slices)} µm from section to section"
    else:
        yield "distance from section to section not known"


def _map_sheet(stack: Stack, heading: str, names: Mapping[int, str]) -> VolumeMapSheet:
    scale = stack_scale(stack)
    strip = [
        SectionSheet(
            number=stack.numbers[place],
            uri=picture_uri(section_overlay(stack, place, scale)),
            share=_share(float(stack.shares[place])),
            anchor=anchor(names[stack.numbers[place]]),
        )
        for place in evenly(len(stack.numbers), _STRIP)
    ]
    return VolumeMapSheet(
        heading=heading,
        uri=_png_uri(stack_figure(stack, heading)),
        words=_words(stack, heading),
        strip=tuple(strip),
    )


def _words(stack: Stack, heading: str) -> str:
    hottest = stack.hottest
    if hottest is None:
        return f"{heading}: no section has positive values."
    return (
        f"{heading}: sections side by side, from above, and cut across. The largest value lies in "
        f"section {stack.numbers[hottest[0]]}, which has "
        f"{percent(float(stack.shares[hottest[0]]))} of the map."
    )


def _share(share: float) -> str:
    return "no map" if np.isnan(share) else percent(share)


def _png_uri(figure: Figure) -> str:
    data = io.BytesIO()
    with mpl.rc_context():
        figure.savefig(data, format="png", dpi=_DPI, metadata={"Software": None})
    return f"data:image/png;base64,{b64encode(data.getvalue()).decode()}"
