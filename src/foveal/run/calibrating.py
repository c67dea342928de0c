"""The calibrator that a model's card names: read, found to be the model's own, and applied."""

from dataclasses import replace

import numpy as np

from foveal.analysis.calibrator_file import FittedCalibrator, read_calibrator
from foveal.core import ModelError, Prediction
from foveal.models import Model

_TASKS = ("binary", "multiclass", "ordinal")


def calibrator_of(model: Model) -> FittedCalibrator | None:
    """The model's calibrator; `None` where its card names none.

    Raises:
        ModelError: A file that cannot be read, was fitted for another model or other classes, or a
            task that has no single class an image.
    """
    if model.calibrator is None:
        return None
    if model.card.task not in _TASKS:
        raise ModelError(
            f"{model.card.name} is a {model.card.task} model, and calibrators are for "
            f"{', '.join(_TASKS)}; take `calibrator` out of its card"
        )
    fitted = read_calibrator(model.calibrator)
    if fitted.fingerprint != model.fingerprint:
        raise ModelError(
            f"the calibrator {model.calibrator.name} was fitted for another model than "
            f"{model.card.name}, or its card or weights have changed since; fit it again"
        )
    if fitted.classes != model.card.classes:
        raise ModelError(
            f"the calibrator {model.calibrator.name} knows the classes {fitted.classes}, but the "
            f"card of {model.card.name} has {model.card.classes}"
        )
    return fitted


def calibrated(prediction: Prediction, fitted: FittedCalibrator | None) -> Prediction:
    """The prediction with its calibrated probabilities beside its own.

    Its class stays the model's, since that is what is explained.
    """
    if fitted is None:
        return prediction
    row = np.array([list(prediction.values.values())])
    (better,) = fitted.calibrator(row).tolist()
    return replace(prediction, calibrated=dict(zip(prediction.values, better, strict=True)))
