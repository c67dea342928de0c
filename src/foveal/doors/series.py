"""A series of visits: what a model looks at in one eye, from visit to visit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, UInt8

from foveal.core import REASONS, Image, ImageError, Region, Target
from foveal.doors.clinical import ImageLike, explain, image_of
from foveal.explainers.plan import Layers, MethodLike
from foveal.explainers.request import MAX_BATCH, Progress
from foveal.images import RigidMotion, carry_to_first, register
from foveal.images.preparation.resample import bilinear
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.report.carry import Way
from foveal.report.colour import evidence
from foveal.report.series import SeriesMap
from foveal.report.series_figures import series_figure
from foveal.report.words import map_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foveal.doors.result import Reading, Result

_SIDE = 1024
"""Larger side of the grid on which visits are laid on each other; maps are coarser than that."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Photograph:
    """One photograph of the series, thinned, and how it lies on the first one."""

    kind: Literal["visit", "repeat"]
    number: int
    image: Image
    """As it was read."""
    thinned: Image
    motion: RigidMotion | None = None
    """`None` of the first one, and of one that does not fit."""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}"

    def on_first(self, plane: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "_ _"]:
        """What lies on its thinned pixels, on those of the first one."""
        return plane if self.motion is None else carry_to_first(plane, self.motion)

    @property
    def picture(self) -> UInt8[np.ndarray, "row column 3"]:
        """On the first one's pixels; black where it does not reach."""
        planes = [self.on_first(plane.astype(np.float64)) for plane in self.thinned.pixels]
        coloured = np.stack(planes if len(planes) == 3 else planes * 3, axis=2)
        return np.rint(255 * np.nan_to_num(coloured)).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesResult(Mapping[str, SeriesMap]):
    """The maps of an eye's visits by the method's name."""

    maps: Mapping[str, SeriesMap]
    result: "Result"
    """The images behind it, visits first and repeats after them: to be measured and saved."""
    motions: Mapping[int, RigidMotion]
    """How each later visit lies on the first one, by its number counted from 1, in pixels of the
    grid of the maps."""
    refused: Mapping[str, str]
    """What was left out and why: visits and repeats that do not fit on the first visit, and methods
    without a map at two visits."""

    def __getitem__(self, key: str) -> SeriesMap:
        return self.maps[key]

    def __iter__(self):
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def rows(self, regions: Sequence[Region] = ()) -> list[dict[str, object]]:
        """How much changed, for all methods; see `foveal.doors.SeriesMap.rows`."""
        return [row for made in self.maps.values() for row in made.rows(regions)]

    def show(self, method: str | None = None, *, alpha: float = 0.5) -> "Figure":
        """The visits, their maps and the changes of one method, by default of the first."""
        made = next(iter(self.maps.values())) if method is None else self.maps[method]
        left = {**self.refused, **made.missing}
        notes = [f"Left out: {name} ({why})." for name, why in left.items()]
        return series_figure(made, notes=notes, alpha=alpha)


def explain_series(
    model: Model,
    visits: Sequence[ImageLike],
    methods: MethodLike | Sequence[MethodLike] | Mapping[str, MethodLike] = "gradcam",
    *,
    target: str | TargetLike,
    repeats: Sequence[ImageLike] = (),
    layers: Layers = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] = "float32",
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> SeriesResult:
    """Explain what a model looks at in one eye, visit after visit, and how that changes.

    Each visit is laid on the first one by a turn and a shift, and its maps are carried to the first
    one's pixels (thinned to 1024 where it has more). A visit that does not fit is left out and
    named. A change of a map is a change of what the model looks at, and no measurement of disease.

    Args:
        model: From `foveal.load_model`.
        visits: Photographs of one eye in their order, from `foveal.read` or as paths.
        methods: As for `foveal.explain`.
        target: One class or value for all visits: maps of different classes cannot be compared.
        repeats: Two or more photographs of one state, taken again at one visit; what their maps
            differ by is the noise floor of every change. Best they are not among the visits.
        layers: For methods that watch a layer.
        seed: Where a method draws by chance; the same for all visits.
        precision: `bf16` runs the model under bfloat16 autocast.
        max_batch: Images in one pass at most.
        progress: Called with the probes done and planned of each method that sends probes.

    Raises:
        ImageError: A file that cannot be read, photographs of different eyes or patients, or no
            later visit that fits on the first one.
        ModelError: The model cannot give what a method needs.
        ValueError: Fewer than two visits, a target that may differ between visits, or a layer,
            method or setting that does not exist.
    """
    if len(visits) < 2:
        raise ValueError(f"a series needs two visits or more, but has {len(visits)}")
    wanted = _fixed_target(model, target)
    laid, refused = _laid(_photographs(visits, repeats))
    result = explain(
        model,
        [one.image for one in laid],
        methods,
        target=wanted,
        layers=layers,
        seed=seed,
        precision=precision,
        max_batch=max_batch,
        progress=progress,
    )
    made = [_made(one, reading) for one, reading in zip(laid, result.readings, strict=True)]
    series, without = _series(laid, made, result.readings[0])
    motions = {
        one.number: one.motion for one in laid if one.kind == "visit" and one.motion is not None
    }
    return SeriesResult(maps=series, result=result, motions=motions, refused=refused | without)


def _fixed_target(model: Model, target: str | TargetLike) -> TargetLike:
    wanted = model.target(target) if isinstance(target, str) else target
    free = wanted is None or (
        isinstance(wanted, Target) and wanted.index is None and wanted.at_least is None
    )
    if free and model.card.outputs > 1 and model.card.classes:
        raise ValueError(
            "a series needs one class for all visits, since maps of different classes cannot be "
            f"compared; name one of {', '.join(model.card.classes)}"
        )
    return wanted


def _photographs(visits: Sequence[ImageLike], repeats: Sequence[ImageLike]) -> list[_Photograph]:
    """All of them as they are read, thinned by what the first one needs.

    Raises:
        ImageError: Photographs of different eyes or patients.
    """
    images = [image_of(one) for one in (*visits, *repeats)]
    share = min(1.0, _SIDE / max(images[0].grid))
    found = [
        _Photograph(
            kind="visit" if place < len(visits) else "repeat",
            number=1 + (place if place < len(visits) else place - len(visits)),
            image=image,
            thinned=_thinned(image, share),
        )
        for place, image in enumerate(images)
    ]
    _check_one_eye(found)
    return found


def _thinned(image: Image, share: float) -> Image:
    """At a share of its rows and columns; all of a series at the same, so that scales agree."""
    if share == 1:
        return Image(pixels=image.pixels, spacing_mm=image.spacing_mm)
    grid = max(1, round(image.grid[0] * share)), max(1, round(image.grid[1] * share))
    spacing = image.spacing_mm
    return Image(
        pixels=np.stack([bilinear(plane, grid) for plane in image.pixels]).clip(0, 1),
        spacing_mm=None if spacing is None else (spacing[0] / share, spacing[1] / share),
    )


def _check_one_eye(photographs: Sequence[_Photograph]) -> None:
    for what in ("laterality", "patient", "eye"):
        known = [(one, getattr(one.image, what)) for one in photographs]
        known = [(one, told) for one, told in known if told not in (None, "unknown")]
        for one, told in known:
            if told != known[0][1]:
                word = "side" if what == "laterality" else what
                raise ImageError(
                    f"{one.name} is of another {word} than {known[0][0].name}; a series is of one "
                    "eye, so explain the others on their own"
                )


def _laid(photographs: Sequence[_Photograph]) -> tuple[list[_Photograph], dict[str, str]]:
    """Those that fit on the first one, and why the others do not.

    Raises:
        ImageError: No later visit fits.
    """
    first, *others = photographs
    laid, refused = [first], {}
    for one in others:
        try:
            laid.append(replace(one, motion=register(one.thinned, first.thinned)))
        except ImageError as problem:
            refused[one.name] = str(problem)
    if sum(one.kind == "visit" for one in laid) < 2:
        told = "; ".join(f"{name} {why}" for name, why in refused.items())
        raise ImageError(f"no later visit fits on the first one: {told}")
    return laid, refused


def _made(one: _Photograph, reading: "Reading") -> dict[str, Float[np.ndarray, "row column"] | str]:
    """The maps of one photograph on the first one's pixels, or why there is none, by method."""
    seen = reading.seen
    way = Way(
        steps=seen.image.steps[len(one.image.steps) :],
        original=one.image.grid,
        prepared=seen.image.grid,
        picture=one.thinned.grid,
    )
    inside = (way.carry(seen.field.mask.astype(np.float32)) >= 0.5) & way.seen
    made = {}
    for answer in reading.answers:
        reason = answer.attribution.reason
        if reason is None:
            values = np.where(inside, way.carry(evidence(answer.attribution)), np.nan)
            made[answer.key] = one.on_first(values.astype(np.float64))
        else:
            made[answer.key] = REASONS[reason]
    return made


def _series(
    laid: Sequence[_Photograph],
    made: Sequence[Mapping[str, Float[np.ndarray, "row column"] | str]],
    first: "Reading",
) -> tuple[dict[str, SeriesMap], dict[str, str]]:
    """The maps method by method, and the methods without a map at two visits."""
    pictures = {one.name: one.picture for one in laid if one.kind == "visit"}
    series, without = {}, {}
    for answer in first.answers:
        own = [(one, maps[answer.key]) for one, maps in zip(laid, made, strict=True)]
        maps = [(one, values) for one, values in own if not isinstance(values, str)]
        missing = {one.name: why for one, why in own if isinstance(why, str)}
        visits = [(one, values) for one, values in maps if one.kind == "visit"]
        if len(visits) < 2:
            told = "; ".join(f"{name}: {why}" for name, why in missing.items())
            without[answer.key] = f"has no map at two visits ({told})"
            continue
        repeats = [values for one, values in maps if one.kind == "repeat"]
        series[answer.key] = SeriesMap(
            key=answer.key,
            name=map_name(answer.key, answer.attribution),
            target=answer.attribution.target,
            numbers=tuple(one.number for one, _ in visits),
            pictures=np.stack([pictures[one.name] for one, _ in visits]),
            values=np.stack([values for _, values in visits]),
            repeats=np.stack(repeats) if repeats else np.empty((0, *laid[0].thinned.grid)),
            original=first.image.grid,
            missing=missing,
        )
    return series, without
