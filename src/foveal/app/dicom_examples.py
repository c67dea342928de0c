"""A synthetic photograph and a synthetic volume with their DICOM objects, to try viewers with.

The maps are drawn around what is known to be there: no model has made them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from pydicom.dataset import Dataset
from scipy.ndimage import gaussian_filter

from foveal import __version__
from foveal.core import Attribution, StoreError
from foveal.report.dicom import Explanation, Shown, source_of, write_objects
from foveal.store import Explained
from foveal.synthetic import fundus
from foveal.synthetic.dicom import ophthalmic_photograph, ophthalmic_tomography

_MADE_BY = __version__, "example"
_SPACING_MM = (0.02, 0.02)
_SIZE = 768
_SECTIONS, _ROWS, _COLUMNS = 12, 256, 384


def write_examples(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write them, each source beside the folder of its objects; gives the folders.

    Raises:
        StoreError: They cannot be written, or are there already.
        FovealError: highdicom is not installed.
    """
    for name, dataset, explanation in (_photograph(), _volume()):
        objects = folder / f"{name}-objects"
        write_objects(objects, source_of(dataset), [explanation], _MADE_BY, overwrite=overwrite)
        try:
            dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)
        except OSError as problem:
            raise StoreError(f"cannot write {name}.dcm: {problem.strerror or problem}") from problem
        yield objects


def _photograph() -> tuple[str, Dataset, Explanation]:
    """A right eye with retinopathy, evidence on its lesions and against on the optic disc."""
    eye = fundus(3, grade=3, laterality="right", size=_SIZE)
    pixels = np.rint(eye.image.pixels * 255).astype(np.uint8).transpose(1, 2, 0)
    lesions = np.any([r.mask for r in eye.regions if r.kind == "lesion"], axis=0)
    (disc,) = (region.mask for region in eye.regions if region.name == "optic disc")
    values = _blurred(lesions, 16) - 0.3 * _blurred(disc, 16)
    dataset = ophthalmic_photograph(
        np.ascontiguousarray(pixels), spacing_mm=_SPACING_MM, patient="EXAMPLE"
    )
    return "photograph", dataset, Explanation(frames=[_shown(1, pixels, values, "Severe")])


def _volume() -> tuple[str, Dataset, Explanation]:
    """Sections of a retina with fluid in the middle ones, and evidence on it."""
    sections = [_section(number) for number in range(_SECTIONS)]
    dataset = ophthalmic_tomography(
        np.stack([pixels for pixels, _ in sections]), slice_spacing_mm=0.125, patient="EXAMPLE"
    )
    frames = [
        _shown(number, np.repeat(pixels[:, :, np.newaxis], 3, axis=2), _blurred(fluid, 8), "Fluid")
        for number, (pixels, fluid) in enumerate(sections, start=1)
    ]
    return "volume", dataset, Explanation(frames=frames)


def _section(
    number: int,
) -> tuple[UInt8[np.ndarray, "row column"], Bool[np.ndarray, "row column"]]:
    """A bright band over a brighter line, with a dark bubble in it, and speckle."""
    rows, columns = np.mgrid[:_ROWS, :_COLUMNS]
    from_middle = (columns - _COLUMNS / 2) / _COLUMNS
    top = 90 + 60 * from_middle**2 + 25 * np.exp(-((from_middle / 0.12) ** 2))
    bottom = 190 + 30 * from_middle**2
    retina = (rows > top) & (rows < bottom)
    height = 26 * (1 - ((number - (_SECTIONS - 1) / 2) / (_SECTIONS / 3)) ** 2)
    fluid = ((rows - 155) / max(height, 1)) ** 2 + (from_middle / 0.15) ** 2 < (height > 1)
    brightness = 0.08 + 0.45 * retina + 0.4 * ((rows - bottom + 8) ** 2 < 30) - 0.4 * fluid
    speckle = np.random.default_rng(number).gamma(4, 0.25, rows.shape)
    return np.clip(255 * brightness * speckle, 0, 255).astype(np.uint8), fluid & retina


def _shown(
    frame: int,
    picture: UInt8[np.ndarray, "row column 3"],
    values: Float[np.ndarray, "row column"],
    answer: str,
) -> Shown:
    made = Attribution(map=values, method="example", target=f"predicted: {answer}", model="none")
    return Shown(
        frame=frame,
        picture=np.ascontiguousarray(picture),
        values=values,
        seen=np.ones(values.shape, bool),
        explained=Explained(key="example", attribution=made),
        answer=answer,
    )


def _blurred(mask: Bool[np.ndarray, "row column"], sigma: float) -> Float[np.ndarray, "row column"]:
    return gaussian_filter(mask.astype(np.float32), sigma)
