"""The commands that only look: methods, measures, a model, an image."""

import json
import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from foveal.core import Image, Modality, Volume
    from foveal.models import Description, Model

_MEGABYTE = 1e6
_WIDEST = 96
"""Columns at most, where the terminal is wider."""
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm", ".dicom")
as_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command()
@as_json
def methods(as_json: bool) -> None:
    """What explains: every method, its question, its needs and its cost."""
    from foveal.explainers import methods as built

    rows: list[dict[str, object]] = [
        {
            "name": method.name,
            "question": method.question,
            "needs": ", ".join(method.needs),
            "sign": method.sign,
            "grid": method.grid,
            "cost": method.cost,
            "reference": method.reference,
        }
        for method in built()
    ]
    _show(rows, as_json)


@click.command()
@as_json
def measures(as_json: bool) -> None:
    """What proves: every measure, its range, chance level and direction."""
    from foveal.measures import MEASURES

    rows: list[dict[str, object]] = [
        {
            "name": card.name,
            "question": card.question,
            "better": {"higher": "higher", "lower": "lower", "context": "neither"}[card.direction],
            "range": f"{card.range[0]:g} to {card.range[1]:g}",
            "chance": card.chance,
            "missing when": card.missing,
            "cost": card.cost,
            "reference": card.reference,
        }
        for card in MEASURES
    ]
    _show(rows, as_json)


@click.command()
@click.argument("card", type=click.Path(path_type=Path))
@click.option("--image", type=click.Path(path_type=Path), help="Say what the model says about it.")
@click.option(
    "--write-check",
    is_flag=True,
    help="Write the [check] from the image: only for a model you know to be right.",
)
@click.option("--trust", is_flag=True, help="Run code that comes with the model.")
def inspect(card: Path, image: Path | None, write_check: bool, trust: bool) -> int:
    """What is inside the model of CARD: layers, memory, the layer to explain, its check."""
    from foveal.core import ModelError
    from foveal.models import describe, load
    from foveal.models.load import checked_model

    if write_check and image is None:
        raise click.UsageError("--write-check needs --image: the picture that the check is made on")
    model = load(card, trust=trust, run_check=False)
    _print_model(model, describe(model))
    if image is not None:
        _print_prediction(model, image)
    if write_check and image is not None:
        _write_check(card, image, model)
        click.echo(f"check: written into {card}")
        return 0
    try:
        click.echo(f"check: {checked_model(model, card).check}")
    except ModelError as problem:
        click.echo(f"check: FAILED. {problem}", err=True)
        return 2
    return 0


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--modality", type=click.Choice(["fundus", "oct", "slit-lamp"]))
@as_json
def check(images: tuple[Path, ...], modality: "Modality | None", as_json: bool) -> int:
    """What is known of IMAGES (files or folders): grid, side, spacing, format, field of view.

    Of a file that holds a volume also its sections, how far they are apart, and their order.
    """
    from foveal.core import ImageError

    rows, failed = [], False
    for path in _files(images):
        try:
            rows.append({"name": str(path), **_known_of(path, modality)})
        except ImageError as problem:
            failed = True
            rows.append({"name": str(path), "problem": str(problem)})
    _show(rows, as_json)
    return 3 if failed else 0


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files named, and what may be an image in the folders named and below."""
    from foveal.images.dicom_paths import files_below

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = [file for file in files_below(path) if not file.name.startswith(".")]
        shown = [file for file in inside if _may_be_shown(file)]
        if others := len(inside) - len(shown):
            files = "file is no image" if others == 1 else "files are no images"
            click.echo(f"note: {others} {files} in {path}", err=True)
        yield from sorted(shown)


def _may_be_shown(path: Path) -> bool:
    """Pictures, DICOM objects and volumes; and what only has such a name, to be told so."""
    from foveal.core import ImageError
    from foveal.images.content import described, first_bytes, is_named_volume, is_readable

    try:
        start = first_bytes(path)
    except ImageError:
        return True
    named = path.suffix.lower() in _PICTURES
    return named or is_readable(start) or is_named_volume(start) or "image" in described(start)


def _known_of(path: Path, modality: "Modality | None") -> dict[str, object]:
    """What is known of a picture, or of a volume where the file holds one."""
    from foveal.core import ImageError
    from foveal.images import read, read_volume
    from foveal.images.content import first_bytes, is_named_volume

    try:
        return _facts(read(path, modality=modality))
    except ImageError as problem:
        try:
            return _volume_facts(read_volume(path))
        except ImageError as second:
            raise (second if is_named_volume(first_bytes(path)) else problem) from None


def _volume_facts(volume: "Volume") -> dict[str, object]:
    count, channels, rows, columns = volume.pixels.shape
    slices = volume.slice_spacing_mm
    return {
        "grid": f"{count} sections of {rows} rows x {columns} columns, {channels} channel(s)",
        "modality": volume.modality,
        "side": volume.laterality,
        "spacing": "unknown" if volume.spacing_mm is None else f"{volume.spacing_mm} mm",
        "between sections": "unknown" if slices is None else f"{slices:g} mm",
        "lines": ", ".join(volume.lines) or "none",
        "patient": volume.patient or "unknown",
        **dict(volume.facts),
        "sha256": volume.sha256 or "",
    }


def _facts(image: "Image") -> dict[str, object]:
    import numpy as np

    from foveal.core import ImageError
    from foveal.images import find_field

    facts: dict[str, object] = {
        "grid": f"{image.grid[0]} rows x {image.grid[1]} columns, {len(image.pixels)} channel(s)",
        "modality": image.modality,
        "side": image.laterality,
        "spacing": "unknown" if image.spacing_mm is None else f"{image.spacing_mm} mm",
        "patient": image.patient or "unknown",
        **dict(image.facts),
        "sha256": image.sha256 or "",
    }
    try:
        field = find_field(image)
    except ImageError as problem:
        return {**facts, "field of view": f"none: {problem}"}
    rows, columns = (np.flatnonzero(np.any(field, axis=axis)) for axis in (1, 0))
    return {
        **facts,
        "field of view": f"{100 * field.mean():.1f} % of the picture, rows {rows[0]} to "
        f"{rows[-1]}, columns {columns[0]} to {columns[-1]}",
        **_quality(image, field),
    }


def _quality(image: "Image", field: "np.ndarray") -> dict[str, object]:
    from foveal.images.quality import MEANINGS, quality

    found = quality(image, field)
    return {
        f"quality.{name}": f"{value:.3g} {MEANINGS[name].unit}"
        + (
            f", usually {found.usual[name].low:g} to {found.usual[name].high:g}"
            if name in found.usual
            else ""
        )
        for name, value in found.values.items()
        if value is not None
    }


def _print_model(model: "Model", found: "Description") -> None:
    card = model.card
    click.echo(
        f"{card.name}: {card.task}, {card.activation} over {', '.join(card.classes) or 'a value'}"
    )
    size = f"{card.input.size[0]} x {card.input.size[1]} {card.input.color}"
    scale = f"mean {_numbers(card.input.mean)}, std {_numbers(card.input.std)}"
    click.echo(f"input: {size}, {scale}")
    weights = f"{found.parameters:,} ({found.parameter_bytes / _MEGABYTE:.1f} MB)"
    activations = f"{found.activation_bytes / _MEGABYTE:.1f} MB"
    click.echo(f"parameters: {weights}; activations of one image: {activations}")
    click.echo(f"gives: {', '.join(sorted(model.gives))}")
    for note in model.notes:
        click.echo(f"note: {note}")
    click.echo("\nlayers, as they run:")
    chosen = card.explain.layers or ((found.choice.name,) if found.choice else ())
    wide = max((len(row.name) for row in found.layers), default=0)
    for row in found.layers:
        mark = "*" if row.name in chosen else " "
        shape = " x ".join(map(str, row.shape))
        memory = f"{row.output_bytes / _MEGABYTE:8.2f} MB"
        click.echo(
            f"{mark} {row.name:{wide}}  {shape:>18}  {row.parameters:>12,}  {memory}  {row.kind}"
        )
    _print_choice(model, found)


def _print_choice(model: "Model", found: "Description") -> None:
    named = model.card.explain.layers
    if named:
        click.echo(f"\nto explain: {', '.join(named)}, as the card says")
    elif found.choice is None:
        click.echo(f"\nto explain: none. {found.why_none}")
    else:
        grid = " x ".join(map(str, found.choice.grid))
        click.echo(f"\nto explain: {found.choice.name} ({grid}), {found.choice.why}")
        if found.choice.dense:
            click.echo(f"  the coarsest layer, {found.choice.coarsest}, answers another question")


def _print_prediction(model: "Model", path: Path) -> None:
    from foveal.images import read

    prepared, field = model.prepare(read(path))
    said = model.predict(model.tensor(prepared))
    share = f"field of view {100 * field.mask.mean():.0f} % of the input"
    click.echo(f"\non {path.name}: {said.label} ({share})")
    for name, value in said.values.items():
        click.echo(f"  {name}: {value:.4f}")


def _write_check(card: Path, image: Path, model: "Model") -> None:
    import tomlkit

    from foveal.models.load import said_about

    expected = [round(value, 6) for value in said_about(model, image)]
    document = tomlkit.parse(card.read_text(encoding="utf-8"))
    table = tomlkit.table()
    table["image"] = Path(os.path.relpath(image, card.parent)).as_posix()
    table["expected"] = expected
    table["tolerance"] = 1e-3
    document["check"] = table
    card.write_text(tomlkit.dumps(document), encoding="utf-8")


def _show(rows: Sequence[dict[str, object]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for row in rows:
        name, *rest = row.items()
        click.echo(click.style(str(name[1]), bold=True))
        for line in _wrapped(rest):
            click.echo(line)


def _wrapped(items: Iterable[tuple[str, object]]) -> Iterable[str]:
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    for key, value in items:
        text = f"{key}: {value}"
        yield from textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="      ")


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
