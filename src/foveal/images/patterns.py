"""The files that belong to one photograph, by patterns of their names."""

import re
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from foveal.core import ImageError
from foveal.images.content import about
from foveal.images.names import region_name

_TOKENS = ("{region}", "{grader}")
_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


@dataclass(frozen=True, kw_only=True)
class RegionFile:
    """A file with regions, and what its name says about them."""

    path: Path
    code: str | None = None
    """What the pattern's {region} stands for; `None` for a pattern without."""
    grader: str | None = None
    """What the pattern's {grader} stands for; `None` for a pattern without."""


def find_regions(pattern: str, stem: str) -> dict[str, Path]:
    """The mask files of one photograph, by what the pattern's {region} stands for.

    Of "{stem}_{region}.png", the file "eye_1_2_MA.png" is of the photograph "eye_1_2" and not a
    region "2_MA" of "eye_1": a region that does not start with a digit and does not end in another
    known one, "hard_exudates" and "laser_scars", may hold what stands between the two.

    Args:
        pattern: A path with {region} once and {stem} anywhere; `*` and `?` match as in a shell.
        stem: The name of the photograph's file without its suffix.

    Raises:
        ImageError: Two files for one region.
        ValueError: A pattern without {region}, or with {grader}: `region_files` is for these.
    """
    if pattern.count("{region}") != 1 or "{grader}" in pattern:
        raise ValueError(
            f"a pattern of mask files needs {{region}} once, and no {{grader}}, but is {pattern!r}"
        )
    return {file.code or "": file.path for file in region_files(pattern, stem)}


def region_files(pattern: str, stem: str) -> list[RegionFile]:
    """The same with {grader}, too, and without {region}: then files name their regions themselves.

    Raises:
        ImageError: Two files for one region of one grader.
        ValueError: A pattern with {region} or {grader} twice.
    """
    if any(pattern.count(token) > 1 for token in _TOKENS):
        raise ValueError(f"a pattern needs {{region}} and {{grader}} once, but is {pattern!r}")
    matches = re.compile("".join(_in_expression(part, stem) for part in _parts(pattern)))
    found: dict[tuple[str | None, str | None], RegionFile] = {}
    for path in files_of(pattern, stem):
        match = matches.fullmatch(path.as_posix())
        told = {} if match is None else match.groupdict()
        code, grader = told.get("region"), told.get("grader")
        if match is None or (code is not None and _is_of_another(code, pattern)):
            continue
        # Files that name their regions themselves may be several.
        key = (str(path) if code is None else code, grader)
        if key in found:
            with about(path, part=f"the mask {code!r}"):
                raise ImageError(f"is a second mask of {code!r}; make the pattern narrower")
        found[key] = RegionFile(path=path, code=code, grader=grader)
    return list(found.values())


def files_of(pattern: str, stem: str) -> list[Path]:
    """The files that a pattern means for one photograph, in the order of their names."""
    whole = Path("".join(_in_shell(part, stem) for part in _parts(pattern)))
    return sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))


def check_pattern(pattern: str) -> None:
    """Refuse a pattern of pictures that does not say what they are masks of.

    The rule: a name that ends like a picture needs {region}, since a picture says where and not
    what; annotations name their regions themselves.

    Raises:
        ValueError: Such a pattern, or one with {region} or {grader} twice.
    """
    if pattern.lower().endswith(_PICTURES) and "{region}" not in pattern:
        raise ValueError("a pattern of mask pictures needs {region}, and usually {stem}")
    if any(pattern.count(token) > 1 for token in _TOKENS):
        raise ValueError(f"a pattern needs {{region}} and {{grader}} once, but is {pattern!r}")


def is_pattern(path: str) -> bool:
    """Whether a path may stand for several files."""
    return any(token in path for token in (*_TOKENS, "*", "?"))


def bare_stem(path: Path) -> str:
    """The name of a file without its suffix, of "eye.nii.gz" and "eye.seg.nrrd" without both."""
    stem = path.stem
    doubled = path.suffix.lower() == ".gz" or stem.lower().endswith(".seg")
    return Path(stem).stem if doubled else stem


def _is_of_another(code: str, pattern: str) -> bool:
    """Whether the first part of a region's code rather ends the name of another photograph."""
    between = re.search(r"{stem}([^/{}*?]+){region}", pattern)
    words = code.split(between[1]) if between else [code]
    ends = [" ".join(words[first:]) for first in range(len(words))]
    known = [region_name(end, {})[1] != "unknown" for end in ends]
    return len(words) > 1 and not known[0] and (any(known) or code[0].isdigit())


def _parts(pattern: str) -> list[str]:
    """What stands for something in a pattern, and what lies between."""
    return re.split(r"({stem}|{region}|{grader}|[*?])", Path(pattern).as_posix())


def _in_shell(part: str, stem: str) -> str:
    if part in ("*", "?"):
        return part
    known = {"{stem}": escape(stem), **dict.fromkeys(_TOKENS, "*")}
    return known.get(part, escape(part))


def _in_expression(part: str, stem: str) -> str:
    """The same, but stars stay within a folder, and region and grader are remembered."""
    wild = {
        "*": "[^/]*", "?": "[^/]", "{stem}": re.escape(stem),
        "{region}": "(?P<region>[^/]+?)", "{grader}": "(?P<grader>[^/]+?)",
    }  # fmt: skip
    return wild.get(part, re.escape(part))
