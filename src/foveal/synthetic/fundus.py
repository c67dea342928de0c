"""Fundus photographs of eyes that never were, and the whole truth about them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from foveal.core import Image, Region
from foveal.synthetic.camera import draw_exposure, set_up
from foveal.synthetic.choroid import draw_choroid
from foveal.synthetic.devices import DEVICES
from foveal.synthetic.grading import GRADES, grade_of
from foveal.synthetic.lesions import draw_lesions
from foveal.synthetic.retina import Mask, Picture, Retina, add_lesions, paint_retina
from foveal.synthetic.site import Site, larger_vessels
from foveal.synthetic.spec import Disc, FundusSpec, Ground, Lesion, LesionKind, Side
from foveal.synthetic.vessels import draw_vessels
from foveal.synthetic.view import View, view_of

VISIBLE_LEVELS = 6
"""A pixel belongs to a lesion when the lesion changes a channel by so many of 255 levels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Eye:
    """A photograph of one eye, what is where in it, and its grade."""

    image: Image
    regions: tuple[Region, ...]
    """The kinds of lesions that show, then optic disc, optic cup, vessels, macula and field."""
    grade: int
    """Of diabetic retinopathy, 0 to 4; see `foveal.synthetic.grading.grade_of`."""
    spec: FundusSpec
    """What the photograph was rendered from."""


def fundus(
    seed: int,
    *,
    grade: int | None = None,
    laterality: Side | None = None,
    device: str | None = None,
    size: int = 512,
) -> Eye:
    """A fundus photograph of `size` rows and columns; what is not given is drawn from the seed.

    One seed is one eye: its anatomy does not depend on grade, side and device. The same call gives
    the same photograph on every machine, up to one level of 255 where exponentials round
    differently.

    Raises:
        ValueError: An unknown grade, side or device, a negative seed or fewer than 64 rows.
    """
    spec = draw_fundus(seed, grade=grade, laterality=laterality, device=device)
    return render(spec, size=size)


def draw_fundus(
    seed: int,
    *,
    grade: int | None = None,
    laterality: Side | None = None,
    device: str | None = None,
) -> FundusSpec:
    """Everything about an eye as plain numbers, before it is rendered; arguments as `fundus`."""
    for name, value, known in (
        ("grade", grade, range(len(GRADES))),
        ("laterality", laterality, get_args(Side)),
        ("device", device, tuple(DEVICES)),
    ):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {list(known)}, but is {value!r}")
    anatomy, taking, illness = (np.random.default_rng([seed, stream]) for stream in range(3))
    disc, ground = _draw_disc(anatomy), _draw_ground(anatomy)
    vessels, exposure = draw_vessels(anatomy, disc), draw_exposure(taking)
    drawn_side: Side = "right" if taking.random() < 0.5 else "left"
    drawn_device, drawn_grade = taking.integers(len(DEVICES)), int(illness.integers(len(GRADES)))
    camera = DEVICES[device or list(DEVICES)[drawn_device]]
    site = Site(
        random=illness,
        disc=disc,
        device=camera,
        exposure=exposure,
        vessels=larger_vessels(vessels),
    )
    return FundusSpec(
        seed=seed,
        laterality=laterality or drawn_side,
        disc=disc,
        ground=ground,
        vessels=vessels,
        lesions=draw_lesions(site, drawn_grade if grade is None else grade),
        device=camera,
        exposure=exposure,
    )


def without(spec: FundusSpec, *kinds: LesionKind) -> FundusSpec:
    """The same eye without these kinds of lesions, or without any when none is named."""
    gone = kinds or get_args(LesionKind)
    return replace(spec, lesions=tuple(x for x in spec.lesions if x.kind not in gone))


def render(spec: FundusSpec, *, size: int = 512) -> Eye:
    """Photographs an eye and outlines what is in it.

    The mask of a kind of lesion holds the pixels in the field that change visibly, by at least
    `VISIBLE_LEVELS`, when all lesions of the kind are taken out of the eye. The disc and the cup
    end where they cover half of what lies behind, vessels at their walls; the macula is what lies
    within one disc diameter of the fovea, as in the clinical rule for macular oedema.

    Raises:
        ValueError: Fewer than 64 rows.
    """
    if size < 64:
        raise ValueError(f"size must be at least 64 rows, but is {size}")
    view = view_of(spec, size)
    retina, camera = paint_retina(spec, view), set_up(spec, view)

    def photograph(lesions: tuple[Lesion, ...]) -> Picture:
        return camera.photograph(add_lesions(retina, lesions, view))

    image = Image(
        pixels=photograph(spec.lesions),
        modality="fundus",
        laterality=spec.laterality,
        facts={"device": spec.device.name, "seed": spec.seed},
    )
    changed = (
        (kind, _differs(image.pixels, photograph(without(spec, kind).lesions)) & camera.field)
        for kind in get_args(LesionKind)
        if any(lesion.kind == kind for lesion in spec.lesions)
    )
    lesions = (Region(name=k, mask=mask, kind="lesion") for k, mask in changed if mask.any())
    anatomy = (
        Region(name=name, mask=mask & camera.field, kind="anatomy")
        for name, mask in _anatomy(spec, view, retina)
    )
    field = Region(name="field", mask=camera.field, kind="field")
    grade = grade_of(spec.lesions)
    return Eye(image=image, regions=(*lesions, *anatomy, field), grade=grade, spec=spec)


def _differs(one: Picture, other: Picture) -> Mask:
    return np.any(np.round(np.abs(one - other) * 255) >= VISIBLE_LEVELS, axis=0)


def _anatomy(spec: FundusSpec, view: View, retina: Retina) -> Iterator[tuple[str, Mask]]:
    yield "optic disc", retina.disc
    yield "optic cup", retina.cup
    yield "vessels", retina.vessels
    row, column = view.offsets
    yield "macula", np.hypot(row, column) <= 2 * spec.disc.radius


def _draw_disc(random: np.random.Generator) -> Disc:
    return Disc(
        row=random.normal(-1.6, 0.5),
        column=random.normal(15.6, 0.5),
        radius=random.uniform(3.0, 3.7),
        aspect=random.uniform(1.04, 1.2),
        cup_ratio=random.uniform(0.3, 0.55),
        pallor=random.uniform(0.1, 0.7),
        crescent=max(0.0, random.uniform(-0.6, 0.8)),
    )


def _draw_ground(random: np.random.Generator) -> Ground:
    return Ground(
        pigment=random.beta(2, 2),
        tessellation=random.beta(1.2, 2.2),
        choroid=draw_choroid(random),
        macula=random.uniform(0.5, 1.0),
        reflex=max(0.0, random.uniform(-0.4, 0.5)),
        fibres=random.uniform(0, 0.3),
        seed=int(random.integers(2**31)),
    )
