"""The experiments: each plans what to ask of a model, and reads the tables."""

from foveal.protocols.preparation import (
    MEASURED,
    PreparationStudy,
    StudyRow,
    StudyVariant,
    prepare_study,
    variants_of,
)

__all__ = [
    "MEASURED",
    "PreparationStudy",
    "StudyRow",
    "StudyVariant",
    "prepare_study",
    "variants_of",
]
