"""Slit lamp photographs of eyes that never were, and the whole truth about them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from foveal.core import Image, Region
from foveal.synthetic.layers import smoothstep
from foveal.synthetic.mixing import Picture, Plane, planes
from foveal.synthetic.slitlamp_draw import (
    SLIT_LAMPS,
    draw_cornea,
    draw_iris,
    draw_lids,
    draw_lighting,
    draw_pupil,
    draw_sclera,
)
from foveal.synthetic.slitlamp_lesions import (
    FRONT_CLASSES,
    FRONT_KINDS,
    draw_front_lesions,
    draw_kinds,
    front_class_of,
)
from foveal.synthetic.slitlamp_paint import Mask, light_front, paint_front, set_light
from foveal.synthetic.slitlamp_spec import (
    FrontKind,
    FrontLesion,
    Highlight,
    Illumination,
    SlitLampSpec,
)
from foveal.synthetic.spec import Side
from foveal.synthetic.view import View

VISIBLE_LEVELS = 6
"""A pixel belongs to a lesion when the lesion changes a channel by so many of 255 levels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrontEye:
    """A slit lamp photograph of one eye, what is where in it, and its class."""

    image: Image
    regions: tuple[Region, ...]
    """The kinds of lesions that show, then what is seen of cornea, limbus, iris, pupil, sclera,
    palpebral fissure, eyelids and lashes, then specular highlights."""
    label: int
    """0 healthy, 1 keratitis, 2 cataract; see `slitlamp_lesions.front_class_of`."""
    spec: SlitLampSpec
    """What the photograph was rendered from."""


def draw_slitlamp(
    seed: int,
    *,
    findings: Collection[FrontKind] | None = None,
    laterality: Side | None = None,
    device: str | None = None,
    illumination: Illumination | None = None,
) -> SlitLampSpec:
    """Everything about the front of an eye as plain numbers, before it is rendered.

    What is not given is drawn from the seed. One seed is one eye: its anatomy, redness, arcus and
    highlights do not depend on the findings, so none of them gives the class away.

    Args:
        seed: Of the eye.
        findings: Kinds of lesions; none at all for a healthy eye.
        laterality: Of the eye.
        device: A name in `slitlamp_draw.SLIT_LAMPS`.
        illumination: Diffuse light or the slit's beam.

    Raises:
        ValueError: An unknown finding, side, device or illumination, or a negative seed.
    """
    _check(findings, laterality, device, illumination)
    anatomy, taking, illness = (np.random.default_rng([seed, stream]) for stream in range(3, 6))
    lids, sclera, cornea = draw_lids(anatomy), draw_sclera(anatomy), draw_cornea(anatomy)
    iris, pupil = draw_iris(anatomy), draw_pupil(anatomy)
    drawn_side: Side = "right" if taking.random() < 0.5 else "left"
    drawn_device = list(SLIT_LAMPS)[taking.integers(len(SLIT_LAMPS))]
    lamp = SLIT_LAMPS[device or drawn_device]
    drawn_kinds = draw_kinds(illness, int(illness.integers(len(FRONT_CLASSES))))
    kinds: tuple[FrontKind, ...] = tuple(
        kind for kind in FRONT_KINDS if kind in (drawn_kinds if findings is None else findings)
    )
    return SlitLampSpec(
        seed=seed,
        laterality=laterality or drawn_side,
        lids=lids,
        sclera=sclera,
        cornea=cornea,
        iris=iris,
        pupil=pupil,
        lesions=draw_front_lesions(illness, kinds, cornea, pupil),
        device=lamp,
        lighting=draw_lighting(taking, lamp, illumination),
    )


def render_slitlamp(spec: SlitLampSpec, *, size: int = 512) -> FrontEye:
    """Photographs the front of an eye on `size` columns and three quarters as many rows.

    The mask of a kind of lesion holds the pixels that change visibly, by at least `VISIBLE_LEVELS`,
    when all lesions of the kind are taken out of the eye, and likewise that of the highlights.
    Anatomy ends at its outline, and where a lid covers it.

    Raises:
        ValueError: Fewer than 64 columns.
    """
    if size < 64:
        raise ValueError(f"size must be at least 64 columns, but is {size}")
    view = _view(spec, size)
    front, light = paint_front(spec, view), set_light(spec, view)

    def photograph(lesions: tuple[FrontLesion, ...], highlights: tuple[Highlight, ...]) -> Picture:
        lit = light_front(front, light, view, lesions)
        return _photograph(_shine(lit, front.open, view, highlights), spec, view)

    lamps = spec.lighting.highlights
    pixels = photograph(spec.lesions, lamps)
    image = Image(
        pixels=pixels,
        spacing_mm=(1 / view.pixels_per_unit, 1 / view.pixels_per_unit),
        modality="slit-lamp",
        laterality=spec.laterality,
        facts={
            "device": spec.device.name,
            "illumination": spec.lighting.illumination,
            "seed": spec.seed,
        },
    )
    changed = (
        (kind, _differs(pixels, photograph(without_front(spec, kind).lesions, lamps)))
        for kind in FRONT_KINDS
        if any(lesion.kind == kind for lesion in spec.lesions)
    )
    lesions = [Region(name=k, mask=mask, kind="lesion") for k, mask in changed if mask.any()]
    anatomy = [Region(name=k, mask=m, kind="anatomy") for k, m in front.anatomy.items()]
    shine = _differs(pixels, photograph(spec.lesions, ()))
    highlights = Region(name="specular highlights", mask=shine)
    return FrontEye(
        image=image,
        regions=(*lesions, *anatomy, highlights),
        label=front_class_of(spec.lesions),
        spec=spec,
    )


def without_front(spec: SlitLampSpec, *kinds: FrontKind) -> SlitLampSpec:
    """The same eye without these kinds of lesions, or without any when none is named."""
    gone = kinds or FRONT_KINDS
    return replace(spec, lesions=tuple(x for x in spec.lesions if x.kind not in gone))


def _view(spec: SlitLampSpec, size: int) -> View:
    rows, scale = size * 3 // 4, size / spec.lighting.width_mm
    nose = 1.0 if spec.laterality == "right" else -1.0
    row, column = spec.lighting.middle
    return View(
        rows=row + (np.arange(rows) + 0.5 - rows / 2) / scale,
        columns=column + nose * (np.arange(size) + 0.5 - size / 2) / scale,
        pixels_per_unit=scale,
    )


def _shine(
    picture: Picture, opened: Plane, view: View, highlights: tuple[Highlight, ...]
) -> Picture:
    row, column = view.offsets
    for lamp in highlights:
        away = ((row - lamp.row) / lamp.half_height) ** 4
        away = (away + ((column - lamp.column) / lamp.half_width) ** 4) ** 0.25
        glare = lamp.strength * smoothstep((1.15 - away) / 0.3) + 0.12 * np.exp(-(away**2) / 3)
        picture = picture + planes((1.25, 1.25, 1.22)) * (glare * opened).astype(np.float32)
    return picture


def _photograph(picture: Picture, spec: SlitLampSpec, view: View) -> Picture:
    """The picture as it would be stored: 8 bit, here as shares of 255."""
    device, (rows, columns) = spec.device, picture.shape[1:]
    gains = planes(device.gains) * np.float32(spec.lighting.brightness)
    down, right = (np.arange(rows) + 0.5) / rows - 0.5, (np.arange(columns) + 0.5) / columns - 0.5
    dark = 1 - device.vignette * 2 * (down[:, None] ** 2 + right**2)
    exposed = np.clip(picture * gains * dark.astype(np.float32), 0, 1.6)
    toned = _shoulder(exposed) ** np.float32(device.contrast)
    blur = device.blur_mm * view.pixels_per_unit
    sharp = np.stack([gaussian_filter(plane, blur) for plane in toned])
    random = np.random.default_rng(spec.lighting.seed)
    grain = random.standard_normal((4, rows, columns), dtype=np.float32)
    noise = np.float32(device.noise) * (0.85 * grain[:1] + 0.5 * grain[1:])
    return np.round(np.clip(sharp + noise, 0, 1) * 255) / np.float32(255)


def _shoulder(picture: Picture) -> Picture:
    bright = np.maximum(picture, 0.75)
    return np.minimum(picture, 0.75) + 0.25 * np.tanh((bright - 0.75) / 0.25)


def _differs(one: Picture, other: Picture) -> Mask:
    return np.any(np.round(np.abs(one - other) * 255) >= VISIBLE_LEVELS, axis=0)


def _check(
    findings: Collection[FrontKind] | None,
    laterality: Side | None,
    device: str | None,
    illumination: Illumination | None,
) -> None:
    unknown = set(findings or ()) - set(FRONT_KINDS)
    if unknown:
        raise ValueError(
            f"findings must be among {list(FRONT_KINDS)}, but {sorted(unknown)} is not"
        )
    for name, value, known in (
        ("laterality", laterality, get_args(Side)),
        ("device", device, tuple(SLIT_LAMPS)),
        ("illumination", illumination, get_args(Illumination)),
    ):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {list(known)}, but is {value!r}")
