"""Tomography of maculas that never were, and the whole truth about them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from jaxtyping import Bool

from foveal.core import Image, Region, Volume
from foveal.synthetic.oct_draw import (
    OCT_CLASSES,
    OCT_KINDS,
    SCANNERS,
    draw_cysts,
    draw_domes,
    draw_macula,
    draw_oct_kinds,
    draw_pose,
    draw_retinal_vessels,
    oct_class_of,
)
from foveal.synthetic.oct_layers import LINES
from foveal.synthetic.oct_paint import Section
from foveal.synthetic.oct_spec import OctKind, OctSpec
from foveal.synthetic.spec import Side


@dataclass(frozen=True, kw_only=True, eq=False)
class OctEye:
    """One section of a macula, what is where in it, and its class."""

    image: Image
    """One channel, with its spacing and the layers' lines; see `oct_layers.LINES`."""
    regions: tuple[Region, ...]
    """The kinds of lesions that the section crosses, then its layers."""
    label: int
    """0 normal, 1 drusen, 2 fluid, of what this section shows; see `oct_draw.oct_class_of`."""
    spec: OctSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class OctVolume:
    """Neighbouring sections of one macula; a lesion hangs together over those it reaches."""

    volume: Volume
    sections: tuple[OctEye, ...]
    masks: Mapping[str, Bool[np.ndarray, "slice row column"]]
    """Each kind of lesion and each layer over all sections."""
    label: int
    """The highest class among the sections."""
    spec: OctSpec


def draw_oct(
    seed: int,
    *,
    findings: Collection[OctKind] | None = None,
    laterality: Side | None = None,
    scanner: str | None = None,
) -> OctSpec:
    """Everything about a macula as plain numbers, before it is rendered.

    What is not given is drawn from the seed. One seed is one eye: its layers, vessels, tilt and
    scanner do not depend on the findings, so none of them gives the class away.

    Raises:
        ValueError: An unknown finding, side or scanner, or a negative seed.
    """
    unknown = set(findings or ()) - set(OCT_KINDS)
    if unknown:
        raise ValueError(f"findings must be among {list(OCT_KINDS)}, but {sorted(unknown)} is not")
    for name, value, known in (
        ("laterality", laterality, get_args(Side)),
        ("scanner", scanner, tuple(SCANNERS)),
    ):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {list(known)}, but is {value!r}")
    anatomy, taking, illness = (np.random.default_rng([seed, stream]) for stream in range(6, 9))
    macula, vessels = draw_macula(anatomy), draw_retinal_vessels(anatomy)
    hyaloid = anatomy.uniform(0.1, 0.4) if anatomy.random() < 0.3 else None
    drawn_side: Side = "right" if taking.random() < 0.5 else "left"
    device = SCANNERS[scanner or list(SCANNERS)[taking.integers(len(SCANNERS))]]
    drawn_kinds = draw_oct_kinds(illness, int(illness.integers(len(OCT_CLASSES))))
    kinds = drawn_kinds if findings is None else findings
    cysts, swelling = draw_cysts(illness)
    oedema = "intraretinal fluid" in kinds
    return OctSpec(
        seed=seed,
        laterality=laterality or drawn_side,
        macula=macula,
        vessels=vessels,
        domes=draw_domes(illness, (kind for kind in OCT_KINDS if kind in kinds)),
        cysts=cysts if oedema else (),
        swellings=(swelling,) if oedema else (),
        pose=draw_pose(taking, device),
        hyaloid_mm=hyaloid,
        brightness=taking.uniform(0.9, 1.1),
        scanner=device,
        scan_seed=int(taking.integers(2**31)),
    )


def render_oct(
    spec: OctSpec, *, rows: int = 496, columns: int = 512, row_mm: float = 0.0
) -> OctEye:
    """One section, by default through the fovea; `row_mm` is how far below the fovea it lies.

    Lines are exact, and masks hold the pixels whose centre lies in the lesion or layer: a druse or
    a detachment between Bruch's membrane and the pigment epithelium, subretinal fluid between the
    epithelium and the photoreceptors, a cyst within its ellipsoid.

    Raises:
        ValueError: Fewer than 64 rows or columns.
    """
    if min(rows, columns) < 64:
        raise ValueError(f"a section needs at least 64 rows and columns, but has {rows}, {columns}")
    section = Section(spec, row_mm, rows=rows, columns=columns)
    number = round(1000 * row_mm) + 2**20
    pixels = section.picture(np.random.default_rng([spec.scan_seed, number]))
    lesions = section.lesions()
    image = Image(
        pixels=pixels[np.newaxis],
        spacing_mm=section.spacing_mm,
        modality="oct",
        laterality=spec.laterality,
        lines=section.lines,
        facts={"device": spec.scanner.name, "seed": spec.seed, "row_mm": row_mm},
    )
    return OctEye(
        image=image,
        regions=(
            *(Region(name=k, mask=mask, kind="lesion") for k, mask in lesions.items()),
            *(Region(name=k, mask=mask, kind="anatomy") for k, mask in section.layers().items()),
        ),
        label=oct_class_of(lesions),
        spec=spec,
    )


def oct_volume(
    spec: OctSpec,
    *,
    sections: int = 19,
    slice_spacing_mm: float = 0.24,
    rows: int = 496,
    columns: int = 512,
) -> OctVolume:
    """Sections evenly apart around the fovea, the uppermost first.

    Raises:
        ValueError: No sections, a spacing that is not positive, or too few rows or columns.
    """
    if sections < 1 or slice_spacing_mm <= 0:
        raise ValueError(
            "a volume needs a section or more, a positive distance apart, "
            f"but has {sections} and {slice_spacing_mm} mm"
        )
    places = (np.arange(sections) - (sections - 1) / 2) * slice_spacing_mm
    eyes = tuple(
        render_oct(spec, rows=rows, columns=columns, row_mm=float(place)) for place in places
    )
    first = eyes[0].image
    volume = Volume(
        pixels=np.stack([eye.image.pixels for eye in eyes]),
        spacing_mm=first.spacing_mm,
        slice_spacing_mm=slice_spacing_mm,
        laterality=spec.laterality,
        lines={name: np.stack([eye.image.lines[name] for eye in eyes]) for name in LINES},
        facts={"device": spec.scanner.name, "seed": spec.seed},
    )
    return OctVolume(
        volume=volume,
        sections=eyes,
        masks=_stacked(eyes),
        label=max(eye.label for eye in eyes),
        spec=spec,
    )


def without_oct(spec: OctSpec, *kinds: OctKind) -> OctSpec:
    """The same eye without these kinds of lesions, or without any when none is named.

    The swelling goes with the cysts.
    """
    gone = kinds or OCT_KINDS
    oedema = "intraretinal fluid" not in gone
    return replace(
        spec,
        domes=tuple(dome for dome in spec.domes if dome.kind not in gone),
        cysts=spec.cysts if oedema else (),
        swellings=spec.swellings if oedema else (),
    )


def _stacked(eyes: tuple[OctEye, ...]) -> dict[str, Bool[np.ndarray, "slice row column"]]:
    found: dict[str, Bool[np.ndarray, "slice row column"]] = {}
    for number, eye in enumerate(eyes):
        for region in eye.regions:
            mask = found.setdefault(region.name, np.zeros((len(eyes), *eye.image.grid), bool))
            mask[number] = region.mask
    return found
