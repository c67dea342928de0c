"""Regions from files: masks, label images, and what annotation tools export."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from foveal.core import FovealWarning, Image, ImageError, Region
from foveal.images.annotations.consensus import Method, consensus_of
from foveal.images.annotations.kinds import annotation_kind, read_pictures
from foveal.images.annotations.marks import (
    ELSEWHERE,
    Picture,
    is_elsewhere,
    is_shared,
    not_mentioned,
    picture_of,
    regions_in,
)
from foveal.images.annotations.soft import read_soft_mask
from foveal.images.content import about, identify
from foveal.images.masks import binary_mask, check_grid, labelled_masks
from foveal.images.names import region_name, split_stem
from foveal.images.patterns import RegionFile, bare_stem, is_pattern, region_files
from foveal.images.photo import decode
from foveal.images.reading import MAX_PIXELS

_SUFFIXES = (".png", ".tif", ".tiff", ".nii", ".gz", ".nrrd", ".mha", ".mhd", ".roi")
"""Of files in a folder that are taken for masks of one photograph."""
_THRESHOLD = 0.5
"""Where fractional segmentations are cut unless asked otherwise."""


def read_regions(
    path: str | PathLike[str],
    *,
    image: Image | None = None,
    names: Mapping[str, str] | None = None,
    labels: Mapping[int, str | None] | None = None,
    threshold: float | None = None,
    grader: str | None = None,
    consensus: Method | None = None,
) -> list[Region]:
    """The regions of one photograph, on its original grid.

    The content decides how a file is read, not its suffix: masks and label images (PNG, TIFF,
    NIfTI, NRRD, MetaImage), ImageJ ROIs, DICOM segmentations, and the exports of COCO, VGG Image
    Annotator, Labelbox, CVAT and ASAP, of which the part is read that names the photograph's file.

    Masks are named after their photograph and what they mark; the codes of the field are spelled
    out, so `IDRiD_01_MA.png` gives "microaneurysms". A mask has one value beside 0. An empty mask
    is a region without pixels. In a file of marks, those of one label and one grader are one
    region; `Region.facts["shape"]` says when they are boxes or points rather than outlines.

    Args:
        path: A file, a folder of masks, or a pattern such as `masks/{grader}/{stem}_{region}.png`,
            where {stem} is the name of the image's file.
        image: The photograph. Masks must have its size, and of a folder only those named after it
            are read.
        names: What to call regions by their code, beyond or instead of the known ones.
        labels: What the values of a label image mean, `None` for background. 0 is background
            unless named.
        threshold: Read masks as probabilities, and keep the pixels that reach it; of DICOM
            segmentations the fractional ones, at 0.5 by default.
        grader: Only what this grader marked.
        consensus: One region for each name where several graders marked them, "majority" or
            "staple"; by default each grader's are returned.

    Raises:
        ImageError: No mask there, masks of several photographs, a file that is no mask and no
            annotation, values without a label, marks without one, a photograph or a grader that a
            file does not mention, or another size than the photograph's.
        ValueError: A pattern with {stem} without an image that was read from a file, or a threshold
            outside (0, 1].
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise ValueError(f"a threshold of probabilities must be in (0, 1], but is {threshold}")
    reading = _Reading(image, names or {}, labels, threshold)
    regions: list[Region] = []
    unmentioned: list[Path] = []
    files = _files(str(path), image)
    for file in files:
        found = reading.of(file)
        if found is None:
            unmentioned.append(file.path)
        for region in found or ():
            if any((r.name, r.grader) == (region.name, region.grader) for r in regions):
                with about(file.path, part=f"the mask {region.name!r}"):
                    raise ImageError(f"is a second mask of {region.name!r}; read one at a time")
            regions.append(region)
    if len(unmentioned) == len(files):
        with about(unmentioned[0], part="the file of annotations"):
            raise reading.strangers
    if grader is not None:
        regions = _of_grader(regions, grader, Path(path))
    if consensus is None or len({region.grader for region in regions}) < 2:
        return regions
    return [found.region for found in consensus_of(regions, consensus)]


def has_regions(path: str, image: Image, namesakes: Iterable[Path] = ()) -> bool:
    """Whether there are files of a photograph's regions: masks, or annotations that mention it.

    Args:
        path: As for `read_regions`.
        image: The photograph.
        namesakes: Other photographs with the name of its file, which must not share its regions.

    Raises:
        ImageError: Annotations that cannot be read, or regions that are those of a namesake too.

    Warns:
        FovealWarning: Annotations have a picture of its name in other folders only.
    """
    files = region_files(path, Path(str(image.source)).stem)
    reading = _Reading(image, {}, None, None)
    found = [reading.mentions(file, namesakes) for file in files]
    return any(found)


class _Reading:
    """How files are read, one by one."""

    def __init__(
        self,
        image: Image | None,
        names: Mapping[str, str],
        labels: Mapping[int, str | None] | None,
        threshold: float | None,
    ) -> None:
        self.image, self.names = image, names
        self.labels, self.threshold = labels, threshold
        self.strangers = ImageError("does not mention this photograph")
        """What to say of a file that does not mention the image."""

    def of(self, file: RegionFile) -> list[Region] | None:
        """The regions in a file; `None` where it does not mention the image."""
        part = f"the mask {file.code!r}" if file.code else "the file of regions"
        with about(file.path, part=part):
            kind = annotation_kind(file.path)
            if self.threshold is not None and kind in (None, "NIfTI"):
                soft = read_soft_mask(file.path, image=self.image, name=self._name(file))
                return [soft.region(self.threshold, grader=file.grader)]
            if kind is None:
                return self._masks(file)
            pictures = self._pictures(file, kind)
            picture = picture_of(pictures, self.image)
            if picture is None:
                self.strangers = not_mentioned(pictures, self.image)
                return None
            found = regions_in(picture, self.image, self.names, str(file.path))
            if file.grader is None:
                return found
            return [replace(region, grader=file.grader) for region in found]

    def mentions(self, file: RegionFile, namesakes: Iterable[Path]) -> bool:
        source = Path(str(self.image and self.image.source)).absolute()
        others = [one for one in namesakes if one.absolute().parent != source.parent]
        with about(file.path, part="the file of regions"):
            kind = annotation_kind(file.path)
            if kind not in ("JSON", "XML", "CSV", "DICOM SEG"):
                _refuse_shared(bool(others))
                return True
            pictures = self._pictures(file, kind)
            picture = picture_of(pictures, self.image)
            if picture is not None:
                _refuse_shared(is_shared(picture, pictures, source, others))
            elif is_elsewhere(pictures, source):
                told = f"of the pictures in the annotations {ELSEWHERE}"
                warnings.warn(told, FovealWarning, stacklevel=4)
            return picture is not None

    def _pictures(self, file: RegionFile, kind: str) -> Sequence[Picture]:
        return read_pictures(
            file.path,
            kind,
            code=file.code or "",
            image=self.image,
            labels=self.labels,
            threshold=self.threshold or _THRESHOLD,
        )

    def _name(self, file: RegionFile) -> str:
        return region_name(file.code or "", self.names)[0]

    def _masks(self, file: RegionFile) -> list[Region]:
        found = _decoded(file, self.image, self.labels)
        return [
            Region(
                name=region_name(code, self.names)[0] if self.labels is None else code,
                mask=mask,
                kind=region_name(code, self.names)[1],
                source=str(file.path),
                grader=file.grader,
            )
            for code, mask in found.items()
        ]


def _decoded(
    file: RegionFile, image: Image | None, labels: Mapping[int, str | None] | None
) -> dict[str, Bool[np.ndarray, "row column"]]:
    rows, columns = (1, 1) if image is None else image.original_grid
    limit = max(MAX_PIXELS, rows * columns)
    content = identify(file.path)
    if content == "DICOM":
        raise ImageError("is a DICOM file; masks are read from segmentations, PNG and TIFF")
    raster = decode(file.path, content, frame=None, max_pixels=limit)
    if image is not None:
        check_grid((raster.samples.shape[0], raster.samples.shape[1]), image.original_grid)
    return (
        {file.code or "": binary_mask(raster)} if labels is None else labelled_masks(raster, labels)
    )


def _refuse_shared(shared: bool) -> None:
    if shared:
        raise ImageError(
            "fits several images of this name in different folders, so it cannot be told whose it "
            "is; in annotations, name each picture with the folders of its file, and of masks give "
            "each folder of images its own, as a part of the plan of its own"
        )


def _files(path: str, image: Image | None) -> Sequence[RegionFile]:
    """The files, each with the code of its region."""
    stem = None if image is None or image.source is None else Path(image.source).stem
    if "{stem}" in path and stem is None:
        raise ValueError(f"{path!r} needs an image that was read from a file, to know its {{stem}}")
    literal = Path(path.replace("{stem}", stem or ""))
    if literal.is_dir():
        files = _folder(literal, stem)
    elif is_pattern(path) and not literal.exists():
        files = [_coded(file, stem) for file in region_files(path, stem or "")]
    else:
        files = [_coded(RegionFile(path=literal), stem)]
    if not files:
        with about(Path(path)):
            raise ImageError("there is no mask file of this photograph; check the name and folder")
    return files


def _folder(folder: Path, stem: str | None) -> list[RegionFile]:
    """The masks in a folder, which must be of one photograph."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in _SUFFIXES]
    found = [(*_code(file, stem), file) for file in files]
    if stem is not None:
        found = [one for one in found if one[0] in ("", stem)]
    count = len({photograph for photograph, _, _ in found})
    if stem is None and count > 1:
        with about(folder):
            raise ImageError(
                f"holds masks of {count} photographs; pass image= to read those of one"
            )
    return [RegionFile(path=file, code=code) for _, code, file in found]


def _coded(file: RegionFile, stem: str | None) -> RegionFile:
    """The file with a code, where its pattern has none."""
    if file.code is not None:
        return file
    return RegionFile(path=file.path, code=_code(file.path, stem)[1], grader=file.grader)


def _code(file: Path, stem: str | None) -> tuple[str, str]:
    """The photograph and the region in a mask's name; a folder may name the region instead."""
    own = bare_stem(file)
    photograph, code = split_stem(own)
    if stem is None or photograph == stem:
        return photograph, code
    if own == stem:
        return stem, file.parent.name
    rest = own.removeprefix(stem)
    # A known region ends the name: "eye_1_2_MA" is of "eye_1_2", not a "2_MA" of "eye_1".
    unknown = region_name(code, {})[1] == "unknown"
    follows = rest != own and rest[0] in "_- ."
    return (stem, rest[1:]) if follows and unknown else (photograph, code)


def _of_grader(regions: Sequence[Region], grader: str, path: Path) -> list[Region]:
    found = [region for region in regions if region.grader == grader]
    if not found:
        known = sorted({region.grader for region in regions if region.grader})
        with about(path):
            raise ImageError(
                f"holds nothing of the grader {grader!r}; it has "
                f"{', '.join(known) or 'no graders at all'}"
            )
    return found
