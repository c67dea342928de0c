"""Segmentations: where the evidence is strongest, and how strong it is everywhere.

Both lie on the source's own pixels, since viewers refuse another size.
"""

from typing import Literal

import highdicom
import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from foveal.report.colour import Scale
from foveal.report.dicom.codes import EVIDENCE_SHARE, HIGHLIGHTED, METHOD_FAMILY
from foveal.report.dicom.making import (
    NATIVE,
    Maker,
    Place,
    compressed,
    described,
    finished,
    long_string,
)
from foveal.report.dicom.positions import positions_of
from foveal.report.dicom.shown import SHARES, Explanation
from foveal.report.dicom.source import Source

LEVELS = 255
"""MaximumFractionalValue: of a pixel at the end of the scale or beyond."""
_CATEGORY = codes.SCT.SpatialAndRelationalConcept  # pyright: ignore[reportAttributeAccessIssue]


def binary(
    source: Source, explanation: Explanation, scale: Scale, maker: Maker, place: Place
) -> Dataset:
    """A segment for each of `SHARES`: the pixels with the most evidence."""
    masks = [explanation.strongest(scale, share) for share in SHARES]
    labels = [f"Top {share:.0%} of {_evidence(scale)}" for share in SHARES]
    stacked = np.stack(masks, axis=-1).astype(np.uint8)
    return _segmentation(source, explanation, maker, place, "BINARY", stacked, labels)


def fractional(
    source: Source, explanation: Explanation, scale: Scale, maker: Maker, place: Place
) -> Dataset:
    """One segment whose value is the place of each pixel on the map's scale.

    The standard knows two kinds of fraction, probability and occupancy (PS3.3 C.8.20.2.3). No pixel
    is filled by evidence to a part, so it is a probability, and true as one of this alone: that the
    pixel is highlighted when the threshold is drawn evenly between zero and the end of the scale.
    It is no probability of a disease, and the label says so.
    """
    label = f"Relative {_evidence(scale)}; no probability of disease"
    stacked = explanation.strength(scale)[..., np.newaxis]
    return _segmentation(source, explanation, maker, place, "FRACTIONAL", stacked, [label])


def _segmentation(
    source: Source,
    explanation: Explanation,
    maker: Maker,
    place: Place,
    kind: Literal["BINARY", "FRACTIONAL"],
    stacked: np.ndarray,
    labels: list[str],
) -> Dataset:
    property_type = HIGHLIGHTED if kind == "BINARY" else EVIDENCE_SHARE
    made = highdicom.seg.Segmentation(
        source_images=[source.dataset],
        pixel_array=stacked,
        segmentation_type=kind,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=long_string(label),
                segmented_property_category=_CATEGORY,
                segmented_property_type=property_type,
                algorithm_type="AUTOMATIC",
                algorithm_identification=_algorithm(explanation, maker),
            )
            for number, label in enumerate(labels, 1)
        ],
        max_fractional_value=LEVELS,
        transfer_syntax_uid=NATIVE,
        content_label="EXPLANATION",
        content_description=described(explanation, source),
        plane_positions=positions_of(source, explanation),
        omit_empty_frames=False,
        **maker.equipment,
        **place,
    )
    if kind == "FRACTIONAL":
        compressed(made)
    if "AnatomicRegionSequence" in source.dataset:  # the eye, and its side
        for segment in made.SegmentSequence:
            segment.AnatomicRegionSequence = source.dataset.AnatomicRegionSequence
    return finished(made, source)


def _evidence(scale: Scale) -> str:
    return "evidence for or against" if scale.signed else "evidence for the answer"


def _algorithm(explanation: Explanation, maker: Maker) -> AlgorithmIdentificationSequence:
    """The method that made the map, and the model that it explains."""
    made = explanation.first.attribution
    settings = {"model": made.model, "fingerprint": made.fingerprint, "target": made.target}
    layer = {} if made.layer is None else {"layer": made.layer}
    chosen = {name: str(value) for name, value in made.settings.items()}
    return AlgorithmIdentificationSequence(
        name=long_string(made.method),
        family=METHOD_FAMILY,
        version=maker.version,
        source="foveal",
        parameters={**settings, **layer, **chosen},
    )
