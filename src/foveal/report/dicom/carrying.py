"""From the cases of a run to explanations on their source's own pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from foveal.core import ImageError
from foveal.images import read, read_volume
from foveal.images.dicom_objects import open_dicom
from foveal.images.dicom_pixels import frame_pixels
from foveal.report.carry import way_of
from foveal.report.colour import evidence
from foveal.report.dicom.shown import Explanation, Shown
from foveal.report.dicom.source import Source
from foveal.report.words import answer_in_words
from foveal.store import Case


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which maps are exported: all, or those with these names."""

    models: Sequence[str] = ()
    methods: Sequence[str] = ()
    """By their names in the run."""
    targets: Sequence[str] = ()
    """In the run's words."""

    def takes(self, model: str, key: str, target: str) -> bool:
        """Whether a map is meant."""
        asked = (self.models, model), (self.methods, key), (self.targets, target)
        return all(not names or name in names for names, name in asked)


def explanations_of(
    cases: Sequence[Case], frames: Sequence[int], path: Path, choice: Choice
) -> list[Explanation]:
    """The maps of the cases of one file, those of one method, model and target together.

    Args:
        cases: Each of another frame.
        frames: Of each case, counted from 1.
        path: The file.
        choice: Which maps.

    Raises:
        ImageError: A file that cannot be read any more, or whose grid is another one.
        StoreError: A stored step that cannot be taken back.
    """
    found: dict[tuple[str, str, str], list[Shown]] = {}
    for case, frame, picture in zip(cases, frames, _pictures(cases, frames, path), strict=True):
        for name, shown in _maps(case, frame, picture, choice):
            found.setdefault(name, []).append(shown)
    return [Explanation(frames=shown) for shown in found.values()]


def _maps(
    case: Case, frame: int, picture: UInt8[np.ndarray, "row column 3"], choice: Choice
) -> Iterator[tuple[tuple[str, str, str], Shown]]:
    grid = picture.shape[0], picture.shape[1]
    if case.grid != grid:
        raise ImageError(f"has the grid {grid}, but the run says {case.grid}; is it the same file?")
    for view in case.views:
        way = way_of(case, view, grid)
        for explained in view.explained:
            made = explained.attribution
            name = view.model, explained.key, made.target
            if choice.takes(*name):
                yield (
                    name,
                    Shown(
                        frame=frame,
                        picture=picture,
                        values=way.carry(evidence(made)).astype(np.float32, copy=False),
                        seen=way.seen,
                        explained=explained,
                        answer=answer_in_words(view.prediction.label),
                    ),
                )


def frames_of(cases: Sequence[Case], source: Source, path: Path) -> list[int]:
    """Which frame of its source each case is, counted from 1.

    Sections are counted as they lie in the eye and frames as they stand in the file, which may be
    another order; a section is the frame that has its pixels.

    Raises:
        ImageError: A frame of several that the run does not name, or that the source lacks.
    """
    if not any("section" in case.facts for case in cases):
        return [_named(case.facts.get("frame", 1), source) for case in cases]
    dataset, volume = open_dicom(path), read_volume(path)
    frames = {_digest(frame_pixels(dataset, n)[0]): n + 1 for n in range(source.frames)}
    if len(frames) < source.frames:
        raise ImageError("has frames that are alike, so sections cannot be told apart by pixels")
    sections = [case.facts.get("section") for case in cases]
    found = [_named(section, source) for section in sections]
    return [_named(frames.get(_digest(volume.pixels[n - 1])), source) for n in found]


def _named(number: object, source: Source) -> int:
    if not isinstance(number, int) or not 1 <= number <= source.frames:
        raise ImageError(
            f"has {source.frames} frames, but the run says number {number}; explain it again"
        )
    return number


def _digest(pixels: Float[np.ndarray, "channel row column"]) -> bytes:
    return sha256(np.ascontiguousarray(pixels, np.float32).tobytes()).digest()


def _pictures(
    cases: Sequence[Case], frames: Sequence[int], path: Path
) -> Iterator[UInt8[np.ndarray, "row column 3"]]:
    """The original of each case, read again: the run keeps only a smaller copy of it."""
    if not {"frame", "section"} & set(cases[0].facts):
        yield _coloured(read(path).pixels)
        return
    dataset = open_dicom(path)
    for frame in frames:
        yield _coloured(frame_pixels(dataset, frame - 1)[0])


def _coloured(
    pixels: Float[np.ndarray, "channel row column"],
) -> UInt8[np.ndarray, "row column 3"]:
    levels = np.rint(pixels * 255).astype(np.uint8).transpose(1, 2, 0)
    return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else np.ascontiguousarray(levels)
