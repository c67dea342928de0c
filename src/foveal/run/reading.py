"""From an entry of the cohort to its image: a picture, or a section of a volume."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from foveal.core import Image, ImageError, Volume
from foveal.images import lines_from_mask, read, read_volume
from foveal.images.patterns import files_of
from foveal.run.cohort import Entry
from foveal.run.identity import Identity


class Reader:
    """Reads entries one after the other; a volume is kept until another one is asked for."""

    def __init__(self) -> None:
        self._volume: tuple[Path, Volume] | None = None

    def image(self, entry: Entry, identity: Identity) -> Image:
        """The image with what the manifest says of it.

        A section's facts name its volume, by its pseudonym, and how far apart sections are.

        Raises:
            ImageError: A file that cannot be read.
        """
        if entry.section is None or entry.volume is None:
            return entry.described(read(entry.path, modality=entry.modality))
        if self._volume is None or self._volume[0] != entry.path:
            self._volume = None  # two of them need not fit into memory
            self._volume = entry.path, _with_lines(read_volume(entry.path), entry)
        volume = self._volume[1]
        image = volume.section(entry.section - 1)
        facts: dict[str, str | int | float | bool] = {
            **image.facts,
            "volume": identity.image(entry.volume),
        }
        if volume.slice_spacing_mm is not None:
            facts["slice_spacing_mm"] = volume.slice_spacing_mm
        modality = entry.modality or image.modality
        return entry.described(replace(image, modality=modality, facts=facts))


def _with_lines(volume: Volume, entry: Entry) -> Volume:
    """The volume with the boundaries that experts drew, one picture for each section."""
    if entry.lines is None:
        return volume
    files = files_of(entry.lines, entry.path.stem)
    if len(files) != len(volume):
        raise ImageError(
            f"has {len(volume)} sections, but {len(files)} pictures of their layers; there must be "
            "one for each, in the order of their names"
        )
    if volume.facts.get("reordered"):
        raise ImageError(
            "has sections that lie in another order than their files; name the files in the order "
            "in which they lie, and the pictures of their layers alike"
        )
    drawn = [lines_from_mask(read(file)) for file in files]
    blank = np.full(volume.pixels.shape[3], np.nan)
    names = dict.fromkeys(name for lines in drawn for name in lines)
    lines = {name: np.stack([one.get(name, blank) for one in drawn]) for name in names}
    return replace(volume, lines={**volume.lines, **lines})
