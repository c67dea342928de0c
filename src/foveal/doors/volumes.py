"""Explanations of whole volumes: section by section, or by a model that takes all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from foveal.core import Image, ImageError, Prediction, Volume
from foveal.doors.clinical import explain
from foveal.doors.maps import Info, explained
from foveal.explainers.engine import batch_bound
from foveal.explainers.plan import Layers, MethodLike, named_explainers
from foveal.explainers.request import MAX_BATCH, Progress, Request
from foveal.images import find_field, read_volume
from foveal.models import Model
from foveal.models.model import PreparedVolume
from foveal.models.targets import TargetLike
from foveal.report.carry import Way
from foveal.report.colour import evidence
from foveal.report.stack_figures import stack_figure
from foveal.report.stacks import Stack, evenly
from foveal.report.words import map_name, target_in_words
from foveal.run.one_image import network_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foveal.doors.result import Result


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeMap:
    """One method's map of a volume, on the sections' original grid."""

    key: str
    target: str
    stack: Stack
    """The values with the sections they belong to; section, row and column."""
    weights: Float[np.ndarray, " section"] | None = None
    """What the model itself gave to each section, for models that attend over sections."""
    weights_from: str | None = None
    """Where the weights come from: `attention`, or `gradient x input` where the model has none."""

    @property
    def values(self) -> Float[np.ndarray, "section row column"]:
        """Raw and signed; NaN in sections that have no map."""
        return self.stack.values

    @property
    def shares(self) -> Mapping[int, float | None]:
        """What each section has of all that speaks for the target, by its number.

        They add up to 1; by chance each has the same. `None` for a section without a map.
        """
        shares = self.stack.shares
        return {
            number: None if np.isnan(share) else float(share)
            for number, share in zip(self.stack.numbers, shares, strict=True)
        }

    @property
    def en_face(self) -> Float[np.ndarray, "section column"]:
        """From above: the mean over the retina of what speaks for the target, NaN where unknown."""
        return self.stack.en_face

    def figure(self, *, alpha: float = 0.5) -> "Figure":
        """A strip of sections, the map from above, the cut across, and each section's share."""
        words = target_in_words(self.target)
        return stack_figure(self.stack, f"{self.key} for {words}", alpha=alpha)


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeResult(Mapping[str, VolumeMap]):
    """The maps of a volume by name."""

    volume: Volume
    maps: Mapping[str, VolumeMap]
    prediction: Prediction | None
    """What a model of volumes says; a model of images says something about each section."""
    sections: "Result | None" = None
    """The images behind it for a model of images: to be measured, diagnosed and saved."""
    info: Mapping[str, Info] | None = None
    """What belongs to the maps of a model of volumes."""

    def __getitem__(self, key: str) -> VolumeMap:
        return self.maps[key]

    def __iter__(self):
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)


def explain_volume(
    model: Model,
    volume: Volume | str | Path,
    methods: MethodLike | Sequence[MethodLike] | Mapping[str, MethodLike] = "gradcam",
    *,
    target: str | TargetLike = None,
    sections: int | None = None,
    layers: Layers = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] = "float32",
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> VolumeResult:
    """Explain what a model says about a volume of sections.

    A model of images is asked about each section; a model of volumes, whose card says how many
    `sections` it takes, about the volume as a whole. Maps come back on the original sections, in
    their order in the eye.

    Args:
        model: From `foveal.load_model`.
        volume: From `foveal.read_volume`, or what that reads.
        methods: As for `foveal.explain`. For models that attend over sections
            `foveal.explainers.VisitAttention` gives the weight of each section.
        target: As for `foveal.explain`. A model of images explains what it predicts for each
            section unless a class is named, and only maps of one class can be compared.
        sections: How many sections to explain, evenly spread; all by default. Only for models of
            images.
        layers: For methods that watch a layer.
        seed: Where a method draws by chance.
        precision: `bf16` runs the model under bfloat16 autocast.
        max_batch: Images in one pass at most.
        progress: Called with the probes done and planned of each method that sends probes.

    Raises:
        ImageError: A volume that cannot be read or has fewer sections than the model takes.
        ModelError: The model cannot give what a method needs.
        ValueError: A target, layer, method or number of sections that does not fit.
    """
    whole = volume if isinstance(volume, Volume) else read_volume(volume)
    wanted = model.target(target) if isinstance(target, str) else target
    if model.card.input.sections is None:
        places = _places(len(whole), sections)
        result = explain(
            model,
            [whole.section(place) for place in places],
            methods,
            target=target,
            layers=layers,
            seed=seed,
            precision=precision,
            max_batch=max_batch,
            progress=progress,
        )
        return VolumeResult(
            volume=whole, maps=_by_section(whole, places, result), prediction=None, sections=result
        )
    if sections is not None:
        raise ValueError(
            f"{model.card.name} takes {model.card.input.sections} sections at once, as its card "
            "says; leave sections out"
        )
    request = Request(
        target=wanted, head=model.head, seed=seed, precision=precision, max_batch=max_batch,
        progress=progress,
    )  # fmt: skip
    return _at_once(model, whole, methods, layers, request)


def _at_once(
    model: Model,
    volume: Volume,
    methods: MethodLike | Sequence[MethodLike] | Mapping[str, MethodLike],
    layers: Layers,
    request: Request,
) -> VolumeResult:
    seen = model.look_at(volume)
    request = replace(request, max_batch=model.batch or batch_bound(seen.tensor, request.max_batch))
    named = list(model.card.explain.layers) or None
    maps = explained(
        network_of(model),
        seen.tensor,
        named_explainers(methods),
        named if layers is None else layers,
        request,
    )
    found = {key: _volume_map(key, maps[key], maps.info[key], volume, seen, model) for key in maps}
    return VolumeResult(
        volume=volume, maps=found, prediction=model.predict(seen.tensor), info=maps.info
    )


def _volume_map(
    key: str, values: Tensor, info: Info, volume: Volume, seen: PreparedVolume, model: Model
) -> VolumeMap:
    grid = seen.images[0].grid
    own = _sections_first(values[0], model, len(seen.images), grid)
    weights = info.parts.get("visits")
    index = info.targets[0]
    name = model.card.classes[index] if isinstance(index, int) and model.card.classes else index
    return VolumeMap(
        key=key,
        target=str(name),
        stack=_stack(volume, seen.numbers, seen.images, own),
        weights=weights[0].cpu().numpy() if isinstance(weights, Tensor) else None,
        weights_from=str(info.parts["source"]) if isinstance(weights, Tensor) else None,
    )


def _sections_first(
    values: Tensor, model: Model, count: int, grid: tuple[int, int]
) -> Float[np.ndarray, "section row column"]:
    """A map without its channels, its first axis as long as the model's sections.

    A map whose layer has fewer sections is taken along to the sections linearly.
    """
    if values.ndim == 4:
        values = values.sum(dim=0 if model.card.input.axes.startswith("channel") else 1)
    if values.ndim != 3:
        raise ImageError(
            f"has a map of shape {tuple(values.shape)}, which says nothing of single sections; ask "
            "a method or a layer whose map has sections, rows and columns"
        )
    array = values.cpu().numpy()
    if len(array) != count:
        places = (np.arange(count) + 0.5) * len(array) / count - 0.5
        low = np.clip(np.floor(places).astype(int), 0, len(array) - 1)
        high = np.minimum(low + 1, len(array) - 1)
        share = np.clip(places - low, 0, 1).astype(np.float32)[:, None, None]
        array = (1 - share) * array[low] + share * array[high]
    return array


def _by_section(volume: Volume, places: Sequence[int], result: "Result") -> dict[str, VolumeMap]:
    """The maps of the sections, put together method by method."""
    numbers = tuple(place + 1 for place in places)
    images = tuple(reading.seen.image for reading in result.readings)
    keys = [answer.key for answer in result.readings[0].answers]
    found = {}
    for key in keys:
        made = [
            next(answer.attribution for answer in reading.answers if answer.key == key)
            for reading in result.readings
        ]
        values = [evidence(one) if one.reason is None else None for one in made]
        targets = dict.fromkeys(one.target for one in made)
        found[key] = VolumeMap(
            key=map_name(key, made[0]),
            target=next(iter(targets)) if len(targets) == 1 else "predicted",
            stack=_stack(volume, numbers, images, values),
        )
    return found


def _stack(
    volume: Volume,
    numbers: tuple[int, ...],
    images: Sequence[Image],
    values: Sequence[Float[np.ndarray, "row column"] | None] | Float[np.ndarray, "s r c"],
) -> Stack:
    """Maps carried onto the original sections, which are shown as they were read."""
    grid = volume.pixels.shape[2], volume.pixels.shape[3]
    carried = np.full((len(numbers), *grid), np.nan, np.float32)
    for place, (image, own) in enumerate(zip(images, values, strict=True)):
        if own is not None:
            way = Way(steps=image.steps, original=grid, prepared=image.grid, picture=grid)
            carried[place] = way.carry(own)
    places = [number - 1 for number in numbers]
    grey = volume.pixels[places].mean(axis=1)
    return Stack(
        name=Path(volume.source or "volume").name,
        numbers=numbers,
        pictures=np.rint(255 * grey).astype(np.uint8),
        values=carried,
        inside=np.stack([retina_of(volume.section(place)) for place in places]),
        spacing_mm=volume.spacing_mm,
        slice_spacing_mm=volume.slice_spacing_mm,
    )


def retina_of(section: Image) -> Bool[np.ndarray, "row column"]:
    """Between the inner and the outer boundary where both are known, else what the scan shows."""
    inner, outer = (
        next((section.lines[name] for name in names if name in section.lines), None)
        for names in (("ILM",), ("BM", "RPE"))
    )
    if inner is None or outer is None:
        return find_field(section)
    rows = np.arange(section.grid[0])[:, np.newaxis] + 0.5
    return (rows >= inner) & (rows < outer)


def _places(count: int, wanted: int | None) -> list[int]:
    if wanted is None:
        return list(range(count))
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise ValueError(f"sections must be a number from 1 on, but is {wanted!r}")
    return list(evenly(count, wanted))
