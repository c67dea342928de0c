"""The numbers: a structured report after TID 1500, one for each map."""

from collections.abc import Iterator

import highdicom
from highdicom.sr import (
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from foveal.core import REASONS, Score
from foveal.report.dicom import codes as own
from foveal.report.dicom.geometry import derived_uid
from foveal.report.dicom.making import Maker, Place, finished
from foveal.report.dicom.plate import WARNING
from foveal.report.dicom.shown import Explanation, Shown
from foveal.report.dicom.source import Source
from foveal.report.words import measure_name

Group = MeasurementsAndQualitativeEvaluations


def measurement_report(
    source: Source, explanation: Explanation, maker: Maker, place: Place
) -> Dataset:
    """The scores of all frames with their chance, and what the diagnosis says.

    A score without a value is a coded evaluation whose value is the reason. It is complete, but not
    final and not verified: no person has looked at it.
    """
    groups = [
        group for shown in explanation.frames for group in _groups(source, explanation, shown)
    ]
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(maker)),
        procedure_reported=own.EXPLANATION,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,  # pyright: ignore[reportAttributeAccessIssue]
    )
    made = highdicom.sr.Comprehensive3DSR(
        evidence=[source.dataset],
        content=content[0],
        is_complete=True,
        **maker.equipment,
        **place,
    )
    return finished(made, source)


def _observer(maker: Maker) -> ObserverContext:
    return ObserverContext(
        observer_type=codes.DCM.Device,  # pyright: ignore[reportAttributeAccessIssue]
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=derived_uid(f"foveal {maker.version}, run {maker.run}"),
            name="foveal",
            manufacturer_name="foveal",
            model_name=f"foveal {maker.version}",
            serial_number=maker.run,
        ),
    )


def _groups(source: Source, explanation: Explanation, shown: Shown) -> Iterator[Group]:
    """What was said of the whole map, then what was measured on each region."""
    measured = shown.explained.scores
    regions = dict.fromkeys(one.region for one in measured if one.region is not None)
    for region in (None, *regions):
        scores = [one.score for one in measured if one.region == region]
        group = Group(
            tracking_identifier=_tracked(source, explanation, shown, region),
            finding_type=own.EXPLANATION,
            measurements=[item for score in scores for item in _numbers(score)],
            qualitative_evaluations=[
                *(_evaluations(shown) if region is None else ()),
                *(_missing(score) for score in scores if score.value is None),
            ],
            source_images=[_image(source, shown)],
        )
        texts = _words(shown) if region is None else [(own.REGION, region)]
        group[0].ContentSequence.extend(_text(name, text) for name, text in texts)
        yield group


def _numbers(score: Score) -> Iterator[Measurement]:
    """The value, then what a map without information would reach."""
    if score.value is None:
        return
    name = measure_name(score.name)
    yield Measurement(name=own.private(score.name, name), value=score.value, unit=own.NO_UNITS)
    if score.chance is not None:
        chance = own.private(f"{score.name}.chance", f"Chance level of: {name}")
        yield Measurement(name=chance, value=score.chance, unit=own.NO_UNITS)


def _missing(score: Score) -> QualitativeEvaluation:
    reason = str(score.reason)
    name = own.private(score.name, measure_name(score.name))
    return QualitativeEvaluation(name=name, value=own.private(reason, REASONS[reason]))


def _evaluations(shown: Shown) -> Iterator[QualitativeEvaluation]:
    finding, reason = shown.explained.finding, shown.explained.attribution.reason
    if finding is not None:
        value = own.private(finding.label, finding.text)
        yield QualitativeEvaluation(name=own.FINDING, value=value)
    if reason is not None:
        yield QualitativeEvaluation(
            name=own.NO_MAP, value=own.private(reason, REASONS.get(reason, reason))
        )


def _words(shown: Shown) -> Iterator[tuple[CodedConcept, str]]:
    """In whole sentences what codes must cut short."""
    finding = shown.explained.finding
    yield own.COMMENT, WARNING
    yield own.TARGET, shown.explained.attribution.target or "as predicted"
    if shown.answer:
        yield own.ANSWER, shown.answer
    if finding is not None:
        cause = "" if finding.cause is None else f" ({finding.cause})"
        yield own.COMMENT, f"{finding.label}: {finding.text}{cause}"
        yield own.NEXT_STEP, finding.next_step


def _text(name: CodedConcept, text: str) -> TextContentItem:
    return TextContentItem(name=name, value=text, relationship_type=RelationshipTypeValues.CONTAINS)


def _tracked(
    source: Source, explanation: Explanation, shown: Shown, region: str | None
) -> TrackingIdentifier:
    made = shown.explained.attribution
    where = "" if region is None else f", on {region}"
    name = f"{explanation.name}, {made.model}, frame {shown.frame}{where}"
    return TrackingIdentifier(
        identifier=name, uid=derived_uid(f"{source.dataset.SOPInstanceUID} {name}")
    )


def _image(source: Source, shown: Shown) -> SourceImageForMeasurementGroup:
    known = source.dataset
    return SourceImageForMeasurementGroup(
        referenced_sop_class_uid=known.SOPClassUID,
        referenced_sop_instance_uid=known.SOPInstanceUID,
        referenced_frame_numbers=[shown.frame] if source.frames > 1 else None,
    )
