"""A fitted calibrator on disk, beside the model card that names it."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from foveal.analysis.calibrators import (
    AbstractCalibrator,
    BayesianTemperature,
    Isotonic,
    Platt,
    Temperature,
)
from foveal.analysis.deferral import Deferral
from foveal.core import ModelError

Made = TypeVar("Made")
FORMAT = "foveal-calibrator"
VERSION = 1
_KINDS: Mapping[str, type[AbstractCalibrator]] = {
    kind.method: kind for kind in (Temperature, BayesianTemperature, Platt, Isotonic)
}


@dataclass(frozen=True, kw_only=True)
class FittedCalibrator:
    """A calibrator with where it came from.

    Raises:
        ValueError: A deferral threshold that no probability can be set against.
    """

    calibrator: AbstractCalibrator
    model: str
    """The card's name."""
    fingerprint: str
    """Of the model it was fitted for; another's probabilities must not go through it."""
    classes: tuple[str, ...]
    rows: int
    units: int
    unit: str
    """What `units` counts: patients, unless their ids were missing."""
    split: str
    """Which patients it was fitted on, in words."""
    measured: Mapping[str, tuple[float, float]]
    """Raw and calibrated numbers on patients that it was not fitted on."""
    deferral: Deferral | None = None
    """Chosen on calibrated probabilities of the predicted class."""

    def __post_init__(self) -> None:
        threshold = None if self.deferral is None else self.deferral.threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(
                f"the deferral threshold is one of probabilities, 0 to 1, but is {threshold}"
            )


def write_calibrator(fitted: FittedCalibrator, path: Path) -> None:
    """Write the file that a model card names as `calibrator`.

    Raises:
        ModelError: A file that cannot be written.
    """
    table = {
        "format": FORMAT,
        "version": VERSION,
        **{key: value for key, value in vars(fitted).items() if key != "calibrator"},
        "deferral": None if fitted.deferral is None else asdict(fitted.deferral),
        "measured": dict(fitted.measured),
        "method": fitted.calibrator.method,
        "numbers": asdict(fitted.calibrator),  # type: ignore[call-overload]
    }
    text = json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as problem:
        raise ModelError(f"cannot write the calibrator {path}: {problem.strerror}") from problem


def read_calibrator(path: Path) -> FittedCalibrator:
    """The calibrator in a file.

    Raises:
        ModelError: A file that is missing, is something else, or of a version that is not known.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ModelError(f"cannot read the calibrator {path}: {problem.strerror}") from problem
    except ValueError as problem:
        raise ModelError(f"the calibrator {path} is no valid JSON: {problem}") from problem
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise ModelError(f"{path} is no calibrator; write one with write_calibrator")
    if table.get("version") != VERSION or table.get("method") not in _KINDS:
        raise ModelError(
            f"the calibrator {path} has version {table.get('version')} and method "
            f"{table.get('method')!r}, which are not known here; update foveal, or fit it again"
        )
    try:
        return _fitted(table)
    except (KeyError, TypeError, ValueError) as problem:
        raise ModelError(f"the calibrator {path} is damaged ({problem}); fit it again") from problem


def _fitted(table: Mapping[str, object]) -> FittedCalibrator:
    kind = _KINDS[str(table["method"])]
    deferral = table["deferral"]
    return FittedCalibrator(
        calibrator=_made(kind, table["numbers"]),
        deferral=None if deferral is None else _made(Deferral, deferral),
        **{  # type: ignore[arg-type]
            field.name: _tupled(table[field.name])
            for field in fields(FittedCalibrator)
            if field.name not in ("calibrator", "deferral")
        },
    )


def _made(kind: type, numbers: object):
    """An instance from its own numbers, none missing and none unknown."""
    if not isinstance(numbers, Mapping):
        raise TypeError(f"{kind.__name__} needs a table of numbers")
    lacking = [f.name for f in fields(kind) if f.default is MISSING and f.name not in numbers]
    if lacking:
        raise KeyError(f"{kind.__name__} lacks {', '.join(lacking)}")
    return kind(**{name: _tupled(value) for name, value in numbers.items()})


def _tupled(value: object) -> object:
    """JSON knows lists only."""
    if isinstance(value, list):
        return tuple(_tupled(one) for one in value)
    if isinstance(value, dict):
        return {key: _tupled(one) for key, one in value.items()}
    return value
