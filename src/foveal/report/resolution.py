"""How small a thing a run's maps can show, and of which classes they say nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from foveal.report.cohort import Cohort
from foveal.report.limits import Limit
from foveal.report.summary import map_label
from foveal.report.traits import Traits
from foveal.report.words import counted, listed, number

_MICROANEURYSM_UM = 125
"""At most so wide is a microaneurysm (Early Treatment Diabetic Retinopathy Study, report 10)."""


def own_limits(header: Mapping[str, Any], cohort: Cohort, traits: Traits) -> tuple[Limit, ...]:
    """The limits of one run, found in its own numbers."""
    return (
        *_of_cells(header, traits),
        *_of_spacing(header, cohort, traits),
        *_of_lesions(traits),
        *_of_classes(header, cohort, traits),
        Limit(
            "Evidence against",
            "Grad-CAM and its relatives are drawn for what speaks for the target; what speaks "
            "against it is kept in the run and told as a share beside each map, but not drawn.",
        ),
        Limit(
            "One moment",
            "Each image is judged by itself. Nothing here follows an eye over time.",
        ),
    )


def _of_cells(header: Mapping[str, Any], traits: Traits) -> Iterator[Limit]:
    known = [(key, cell) for key in traits.keys if (cell := traits.cell_mm(key)) is not None]
    if not known:
        return
    told = [
        f"{map_label(header, key)} {_um(rows)} × {_um(columns)} µm"
        for key, (rows, columns) in known
    ]
    coarse = [
        map_label(header, key)
        for key, sides in known
        if 1000 * max(sides) > _MICROANEURYSM_UM and traits.modalities["fundus"]
    ]
    beyond = (
        f" A microaneurysm is at most {_MICROANEURYSM_UM} µm wide: {listed(coarse)} cannot point "
        "at a single one."
        if coarse
        else ""
    )
    yield Limit(
        "Resolution in micrometres",
        f"One cell of a map covers, as the median over the images: {'; '.join(told)}. Nothing "
        f"smaller can be told apart.{beyond}",
    )


def _of_spacing(header: Mapping[str, Any], cohort: Cohort, traits: Traits) -> Iterator[Limit]:
    unknown = cohort.explained - traits.spaced
    if not unknown:
        return
    told = [
        f"{map_label(header, key)} {number(cell[0])} × {number(cell[1])}"
        for key in traits.keys
        if (cell := traits.cell(key)) is not None
    ]
    yield Limit(
        "Images without a scale",
        f"The pixel spacing of {counted(unknown, 'image')} of {cohort.explained} is not known, so "
        "for these nothing can be said in micrometres."
        + (
            f" In pixels of the original, one cell of a map covers, as the median over the images: "
            f"{'; '.join(told)}."
            if told
            else ""
        ),
    )


def _of_lesions(traits: Traits) -> Iterator[Limit]:
    small = traits.lost - traits.outside
    if traits.outside:
        yield Limit(
            "Outlines outside the eye",
            f"{traits.outside} of {counted(traits.lesions, 'outlined area')} lie outside what the "
            "model sees of the eye, as where a mask belongs to another image. No number speaks of "
            "them.",
        )
    if small:
        yield Limit(
            "Lesions too small for the model",
            f"{small} of {counted(traits.lesions, 'outlined area')} vanish on the grid that "
            "the model sees. No number speaks of them.",
        )
    if not traits.regions:
        yield Limit(
            "Nothing outlined",
            "No lesion and no structure was outlined, so nothing says whether a map lies in the "
            "right place.",
        )


def _of_classes(header: Mapping[str, Any], cohort: Cohort, traits: Traits) -> Iterator[Limit]:
    for model in header["models"]:
        said = cohort.predictions.get(model["name"], {})
        unseen = [n for n in model["classes"] if n not in said and n not in traits.named_targets]
        if unseen and cohort.explained:
            yield Limit(
                f"Classes without an example: {model['name']}",
                f"The model gave no image the answer {listed(unseen)}, and no map was asked for "
                "it. This report says nothing about explanations of that answer.",
            )


def _um(side_mm: float) -> str:
    return number(round(1000 * side_mm))
