"""Small multiples of one case: the original, then each map over it with its scale beside it."""

from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Unpack
from urllib.parse import quote

import matplotlib as mpl
from matplotlib.figure import Figure

from foveal.core import StoreError
from foveal.report.drawing import Drawing, DrawingKeywords, small_picture
from foveal.report.panels import INK, Slot, draw_map, draw_original
from foveal.report.proof import Proof, proof_of
from foveal.report.proof.chapter import plots
from foveal.report.summary import map_label
from foveal.report.volumes import Volumes
from foveal.report.words import answer_in_words, title
from foveal.store import Case, Explained, Run, View

_SIDE = 640
"""Larger side of a panel's picture in pixels."""
_COLUMNS = 4
_WIDTH, _GAP, _HEADING, _ABOVE, _BELOW = 3.2, 0.25, 0.55, 0.45, 1.05
"""In inches: of a picture, between panels, and the room for words above and below."""
_LONGEST = 120
"""Characters of a file's name; file systems take 255 bytes, and some tools count the path."""
_FAST = {"png": {"pil_kwargs": {"compress_level": 4}}, "svg": {}}
"""Photographs hardly shrink further, however long the compressor tries."""


def case_figure(
    case: Case,
    *,
    model: str | None = None,
    target: str | None = None,
    methods: Sequence[str] | None = None,
    **drawing: Unpack[DrawingKeywords],
) -> Figure:
    """The original with field and regions, then each map over the original pixels.

    Every map has a scale of its own, written below it in raw units: colours of two maps are not to
    be compared. A map that has a reason instead of values is the plain picture with that reason.

    Args:
        case: With a picture; from a run, or in memory.
        model: One model's maps; all by default.
        target: One target's maps, by its words; all by default.
        methods: Maps with these names in the run; all by default.
        **drawing: Those of `Drawing`: `signed`, `scaling`, `colormap`, `alpha`, `by_value`,
            `contours`.

    Raises:
        ValueError: A case without a picture; a model, target or method that the case does not
            have; an unknown colour map; an opacity outside [0, 1].
    """
    chosen = list(_chosen(case, model, target, methods))
    picture = small_picture(case, _SIDE)
    how = Drawing(**drawing)
    original, *slots = _slots(1 + len(chosen), picture.shape[0] / picture.shape[1])
    _write_heading(original, case)
    draw_original(original, case, picture)
    for slot, (view, explained) in zip(slots, chosen, strict=True):
        draw_map(slot, case, picture, view, explained, how)
    return original.figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the ending; the same figure gives the same bytes.

    Raises:
        ValueError: Another ending.
        StoreError: It cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise ValueError(f"a figure is saved as .png or .svg, not as {path.suffix or 'nothing'}")
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    try:
        with mpl.rc_context({"svg.hashsalt": "foveal", "svg.fonttype": "path"}):
            figure.savefig(path, format=kind, dpi=150, metadata=metadata, **_FAST[kind])
    except OSError as problem:
        raise StoreError(
            f"cannot write the figure {path.name}: {problem.strerror or problem}"
        ) from problem


def write_figures(
    run: Run, *, proof: Proof | None = None, **drawing: Unpack[DrawingKeywords]
) -> list[Path]:
    """One PNG for each case that was explained and each map of a volume, in the folder `figures`.

    The plots of the cohort are SVG in `figures/cohort`. Gives the PNGs. `proof` is what `proof_of`
    concluded, where that was done before.

    Raises:
        StoreError: A damaged shard, or a folder that cannot be written.
        ValueError: A setting of `Drawing` that is out of range.
    """
    folder = run.folder / "figures"
    written = []
    try:
        (folder / "cohort").mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StoreError(
            f"cannot make the folder for figures: {problem.strerror or problem}"
        ) from problem
    for plot in plots(proof or proof_of(run), partial(map_label, run.header)):
        save_figure(plot.figure, folder / "cohort" / f"{plot.name}.svg")
    volumes = Volumes()
    for case in run.cases():
        if case.failure is None:
            written.append(folder / f"{file_stem(case.id)}.png")
            save_figure(case_figure(case, **drawing), written[-1])
            volumes.add(case)
    for stem, figure in volumes.figures():
        written.append(folder / f"{file_stem(stem)}.png")
        save_figure(figure, written[-1])
    return written


def file_stem(name: str) -> str:
    """An image's name as the name of a file; a name that is kept may hold slashes, or be long."""
    stem = quote(name, safe=" ")
    if len(stem) <= _LONGEST:
        return stem
    return f"{stem[:_LONGEST]}-{sha256(name.encode()).hexdigest()[:10]}"


def _chosen(
    case: Case, model: str | None, target: str | None, methods: Sequence[str] | None
) -> Iterator[tuple[View, Explained]]:
    maps = [(view, explained) for view in case.views for explained in view.explained]
    _check_known("model", [model], {view.model for view in case.views})
    _check_known("target", [target], {e.attribution.target for _, e in maps})
    _check_known("method", methods or [None], {e.key for _, e in maps})
    for view, explained in maps:
        if (
            model in (None, view.model)
            and target in (None, explained.attribution.target)
            and (methods is None or explained.key in methods)
        ):
            yield view, explained


def _check_known(what: str, asked: Sequence[str | None], known: set[str]) -> None:
    for name in asked:
        if name is not None and name not in known:
            raise ValueError(
                f"the case has no {what} {name!r}; it has {', '.join(sorted(known)) or 'none'}"
            )


def _slots(count: int, shape: float) -> list[Slot]:
    """Places in rows of four on one figure, with room for the words above and below each."""
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    height = _WIDTH * shape
    across, down = _WIDTH + _GAP, _ABOVE + height + _BELOW
    size = columns * across + _GAP, _HEADING + rows * down
    figure = Figure(figsize=size, facecolor="white")
    return [
        Slot(
            figure=figure,
            left=_GAP + number % columns * across,
            top=_HEADING + number // columns * down + _ABOVE,
            width=_WIDTH,
            height=height,
        )
        for number in range(count)
    ]


def _write_heading(first: Slot, case: Case) -> None:
    name = case.id if case.eye is None else f"{case.id}  ·  {case.eye}"
    said = "; ".join(
        f"{view.model}: {answer_in_words(view.prediction.label)}" for view in case.views
    )
    first.write(f"{name}  ·  {title(case)}", 0.12 - first.top, size=11, colour=INK)
    first.write(said, 0.36 - first.top, size=9, colour=INK)
