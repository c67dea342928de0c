"""Orders that no explanation made: what a map's curves have to be compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Unpack

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.ndimage import distance_transform_edt, gaussian_gradient_magnitude

from foveal.measures.base import Array, as_numpy, ground, ranked
from foveal.measures.curves import (
    CurveKeywords,
    CurveSettings,
    Order,
    RemovalCurves,
    curves_of_orders,
    random_orders,
)
from foveal.measures.effects import PatchEffects
from foveal.measures.patches import Patches
from foveal.measures.perturbation import ScoreOf, Subject

EDGES, CENTRE, OWN, EXPERT = "edges", "centre", "model's own order", "lesions first"
_EDGE_SIGMA = 1.0
_EDGE_REACH = 5.0
"""Pixels nearer to the field's rim show the rim, not the eye."""


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Curves of orders that depend on no map, for one image, target, baseline and seed."""

    random: tuple[RemovalCurves, ...] = ()
    fixed: Mapping[str, RemovalCurves] = field(default_factory=lambda: MappingProxyType({}))
    """`edges`: strongest edges first; `centre`: from the middle of the field outwards; `model's own
    order`: by the effect of each patch alone, about the best that this model can show;
    `lesions first`: the expert's order, which describes the model and judges no map."""


def control_curves(
    score: ScoreOf,
    image: Array,
    *,
    mask: Shaped[Array, "row column"] | None = None,
    field: Shaped[Array, "row column"] | None = None,
    orders: int = 10,
    effects: PatchEffects | None = None,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> Controls:
    """The curves of all controls: once for an image, whatever explanations it has.

    The inverted map needs no pass: its curves are the map's own, read backwards, up to where the
    steps lie.

    Args:
        score: From images in display units to one number a probe.
        image: The prepared image in display units.
        mask: An expert's lesions; without them that order is left out.
        field: The field of view; the whole image by default.
        orders: Random orders.
        effects: What each patch does alone, from `patch_effects`; without them the model's own
            order is left out.
        subject: The image under perturbation, where it was made before for these settings.
        **settings: Those of `CurveSettings`.
    """
    chosen = CurveSettings(**settings)
    pixels = as_numpy(image)
    on = ground(np.zeros(pixels.shape[1:]), mask, field, needs_mask=False)
    patches = Patches.over(on.field, chosen.patch_px)
    known = {
        EDGES: patches.mean(edge_map(pixels, on.field)),
        CENTRE: patches.mean(centre_map(on.field)),
    }
    if effects is not None:
        known[OWN] = effects.effects
    if on.mask.any():
        known[EXPERT] = patches.mean(on.mask.astype(np.float64))
    fixed = [Order(patches=ranked(v, v, chosen.seed)) for v in known.values()]
    drawn = random_orders(patches, orders, chosen.seed)
    asked = subject or chosen.subject(score, image, on.field)
    made = curves_of_orders(asked, patches, [*fixed, *drawn], chosen.fractions)
    return Controls(
        random=tuple(made[len(fixed) :]),
        fixed=MappingProxyType(dict(zip(known, made, strict=False))),
    )


def edge_map(
    image: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "row column"]:
    """How steep the image is: what any map looks like that only follows edges."""
    steep = gaussian_gradient_magnitude(image.mean(axis=0), _EDGE_SIGMA)
    inside = np.asarray(distance_transform_edt(np.pad(field, 1)))[1:-1, 1:-1] > _EDGE_REACH
    return np.where(inside, steep, 0.0)


def centre_map(field: Bool[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Nearness to the middle of the field, where photographers put what matters."""
    rows, columns = np.indices(field.shape)
    middle = np.argwhere(field).mean(axis=0)
    away = np.hypot(rows - middle[0], columns - middle[1])
    return away[field].max() - away
