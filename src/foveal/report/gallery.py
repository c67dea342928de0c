"""A gallery as one HTML file that needs no other, and a contact sheet of each of its walls."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foveal.core import StoreError
from foveal.report.contact import contact_sheet, save_sheet
from foveal.report.exhibits import Wall, wall_sheet
from foveal.report.figures import file_stem
from foveal.report.templating import environment, inline


@dataclass(frozen=True, kw_only=True)
class GalleryFacts:
    """What holds for all walls."""

    model: str
    methods: int
    images: int
    seed: int
    command: str
    version: str
    notes: tuple[str, ...] = ()
    """What the reader should know first, such as that no eye here belongs to a patient."""


@dataclass(frozen=True, kw_only=True)
class _Link:
    anchor: str
    name: str
    target: str


def write_gallery(
    folder: Path, walls: Iterable[Wall], facts: GalleryFacts, failures: Mapping[str, str]
) -> Path:
    """Write `gallery.html` and one contact sheet a wall, `contact-....jpg`, into a folder.

    Walls are taken one at a time. The page is there whole or not at all.

    Args:
        folder: Made if it is not there.
        walls: Images in their order, each with all its targets.
        facts: What holds for all of them.
        failures: Images that could not be shown, by name, with the reason. Read after the walls.

    Raises:
        StoreError: The folder cannot be written.
    """
    path = folder / "gallery.html"
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    template = environment().get_template("wall.html")
    links, sections = [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _unwritten(folder, problem) from problem
    try:
        for wall in walls:
            sheet = wall_sheet(wall)
            links.append(_Link(anchor=sheet.anchor, name=sheet.name, target=sheet.target))
            sections.append(template.render(wall=sheet))
            save_sheet(contact_sheet(wall), folder / f"contact-{_stem(wall)}.jpg")
        page = environment().get_template("gallery.html")
        text = page.render(
            facts=facts, links=links, sections=sections, failures=failures, **inline()
        )
        hidden.write_text(text, encoding="utf-8", newline="\n")
        hidden.replace(path)
    except OSError as problem:
        raise _unwritten(folder, problem) from problem
    finally:
        hidden.unlink(missing_ok=True)
    return path


def _stem(wall: Wall) -> str:
    return file_stem(f"{wall.case.id} {wall.target}".replace(": ", " ")).replace(" ", "-")


def _unwritten(folder: Path, problem: OSError) -> StoreError:
    return StoreError(f"cannot write the gallery into {folder}: {problem.strerror or problem}")
