"""A large photograph and a volume: each stage beside the bare decoding of the photograph."""

import os
import tempfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from time import process_time

import numpy as np
from PIL import Image as PillowImage

import foveal
from benchmarks.timing import ratios, show
from foveal.core import Image
from foveal.images import color_reference, find_field, prepare, prepare_volume, read_volume
from foveal.images.preparation.registry import fit_step
from foveal.report.colour import POSITIVE, Scale, overlay
from foveal.run.casework import display_copy, shrinking
from foveal.synthetic import fundus

Call = Callable[[], object]
_ROUNDS = 3
_BOUND = 2.0
"""By how much a stage may be slower than decoding."""
_FIELD_SECONDS = 0.05
"""For the field of view at 2048 x 2048 pixels."""
_SECTIONS, _VOLUME_SECONDS = 145, 10.0


def main() -> bool:
    """Print the stages; true when every promise is kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = _real() or _made(Path(folder))
        image = foveal.read(file, modality="fundus")
        print(f"a photograph of {image.grid[0]} x {image.grid[1]}, by Pillow's decoding")
        small, _ = prepare(image, [_RESIZED])
        calls: dict[str, Call] = {
            "decoding": lambda: _decoded(file),
            "read": lambda: foveal.read(file),
        }
        whole = _shown({**calls, **_way(image)})
        print("steps that change pixels, at full size; a card has them after its resize:")
        show(ratios({"decoding": calls["decoding"], **_retouching(image)}, rounds=_ROUNDS), {})
        reduced = {f"{name} at 512": call for name, call in _retouching(small).items()}
        after = _shown({"decoding": calls["decoding"], **reduced})
        return all([whole, after, _field(image), _volume(Path(folder))])


_RESIZED = {"step": "resize", "size": [512, 512]}


def _shown(calls: Mapping[str, Call]) -> bool:
    found = ratios(calls, rounds=_ROUNDS)
    return show(found, dict.fromkeys(found, _BOUND))


def _way(image: Image) -> Mapping[str, Call]:
    """What every photograph goes through: to the model's size, and onto the report's picture."""
    field, shrink = find_field(image), shrinking(image.grid)
    picture = display_copy(image, shrink)
    rows, columns = picture.shape[:2]
    relevance = np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)
    scale = Scale(limit=1, signed=False, scaling="maximum", largest=1, colormap=POSITIVE)
    steps: dict[str, dict[str, object]] = {
        "field-of-view": {},
        "resize": {"size": [512, 512]},
        "flip": {"unknown": "keep"},
    }
    return {
        "find_field": lambda: find_field(image),
        **{name: _step(image, field, name, settings) for name, settings in steps.items()},
        "display copy": lambda: display_copy(image, shrink),
        "overlay": lambda: overlay(picture, relevance, scale),
    }


def _retouching(image: Image) -> Mapping[str, Call]:
    field = find_field(image)
    reference = color_reference(image, field)
    steps: dict[str, dict[str, object]] = {
        "illumination background": {"method": "background"},
        "illumination ben-graham": {"method": "ben-graham"},
        "illumination clahe": {"method": "clahe"},
        "color reinhard": {"reference": reference},
        "color macenko": {"reference": reference, "method": "macenko"},
        "denoise gaussian": {"method": "gaussian"},
        "denoise median": {"method": "median"},
    }
    return {name: _step(image, field, name, settings) for name, settings in steps.items()}


def _step(image: Image, field: np.ndarray, name: str, settings: Mapping[str, object]) -> Call:
    asked = {"step": name.split()[0], **settings}
    return lambda: fit_step(asked, image, field).pixels_forward(image.pixels)


def _field(image: Image) -> bool:
    side, _ = prepare(image, [{"step": "resize", "size": [2048, 2048]}])
    seconds = min(_seconds(lambda: find_field(side)) for _ in range(5))
    print(f"  field of view at 2048 x 2048: {1000 * seconds:.0f} ms, promised: at most 50")
    return seconds <= _FIELD_SECONDS


def _volume(folder: Path) -> bool:
    """Speckled sections as files, read and prepared."""
    random, scan = np.random.default_rng(0), folder / "scan"
    scan.mkdir()
    light = 40 + 120 * np.exp(-(((np.arange(496) - 250) / 40.0) ** 2))
    for number in range(_SECTIONS):
        speckle = random.gamma(4, light[:, np.newaxis] / 4, (496, 512))
        pixels = speckle.clip(1, 250).astype(np.uint8)
        PillowImage.fromarray(pixels).save(scan / f"{number:03}.png", compress_level=1)
    steps = [{"step": "flatten", "degree": 1}, _RESIZED]
    seconds = _seconds(lambda: prepare_volume(read_volume(scan), steps))
    print(f"  {_SECTIONS} sections read, flattened and resized: {seconds:.1f} s, promised: 10")
    return seconds <= _VOLUME_SECONDS


def _seconds(call: Call) -> float:
    """Of processor time, which others on the machine do not lengthen much."""
    started = process_time()
    call()
    return process_time() - started


def _real() -> Path | None:
    own = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FOVEAL_REAL_DATA", own)) / "fundus-idrid-lesions"
    return next(iter(sorted(folder.rglob("*.jpg"))), None)


def _made(folder: Path) -> Path:
    pixels = np.moveaxis(fundus(7, grade=3).image.pixels, 0, -1)
    made = PillowImage.fromarray((255 * pixels).round().astype(np.uint8))
    file = folder / "photograph.jpg"
    made.resize((4288, 2848), PillowImage.Resampling.BICUBIC).save(file, quality=90)
    return file


def _decoded(file: Path) -> np.ndarray:
    return np.asarray(PillowImage.open(BytesIO(file.read_bytes())).convert("RGB"))
