"""Words for what statistics say."""

from collections.abc import Sequence

from foveal.analysis.calibration import CalibrationErrors
from foveal.analysis.deferral import Deferral
from foveal.analysis.estimate import Estimate
from foveal.analysis.records import PREDICTED
from foveal.report.words import listed, number, percent, target_in_words

_NEGLIGIBLE = 1e-4
_SMALL_P = 0.05


def estimate_in_words(found: Estimate) -> str:
    """A number with its interval, or why it lacks one."""
    if found.estimate is None:
        return f"not known: {found.reason}"
    if found.low is None or found.high is None:
        return f"{number(found.estimate)} (no interval: {found.reason})"
    return f"{number(found.estimate)} ({limits_in_words(found)})"


def limits_in_words(found: Estimate) -> str:
    """An interval; a limit that is next to nothing beside the interval's length is 0."""
    if found.low is None or found.high is None:
        return "no interval"
    least = _NEGLIGIBLE * (found.high - found.low)
    low, high = (0.0 if abs(one) < least else one for one in (found.low, found.high))
    return f"{number(low)} to {number(high)}"


def methods_in_words(numbers: Sequence[tuple[str, str, Estimate]]) -> str:
    """How the intervals of named numbers were made, each way once."""
    made: dict[str, list[str]] = {}
    for name, _, value in numbers:
        if value.low is not None:
            made.setdefault(value.method, []).append(name)
    if len(made) < 2:
        return next(iter(made), "none could be made")
    return "; ".join(f"{method} ({listed(names)})" for method, names in made.items())


def null_in_words(found: CalibrationErrors) -> str:
    """What perfect calibration would show; a few large errors may lift its mean over its bulk."""
    if found.null_mean is None or found.null_high is None or found.p is None:
        return f"not known: {found.reason}"
    said = (
        f"perfect calibration: {number(found.null_mean)} on average, at most "
        f"{number(found.null_high)} in 95 of 100 samples"
    )
    if found.null_mean > found.null_high:
        said += " (a rare wrong answer among sure ones is a large error, and lifts the average)"
    return f"{said}; {p_in_words(found.p)}"


def debiased_in_words(found: CalibrationErrors) -> str:
    """The error without chance, or why it is 0 where the plain one is not."""
    if found.debiased is None or found.debiased_squared is None:
        return f"not known: {found.reason}"
    if found.debiased_squared >= 0:
        return number(found.debiased)
    said = (
        f"0, cut: its square is {number(found.debiased_squared)}, since chance in the share of "
        "right answers of each bin could make gaps as large"
    )
    if found.p is not None and found.p < _SMALL_P:
        said += "; the small p-value takes chance from the probabilities instead"
    return said


def p_in_words(p: float) -> str:
    """A p-value with two digits; small ones by their bound."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.2g}" if p < 0.995 else "p > 0.99"


def question(target: str) -> str:
    """What maps were asked for, for the middle of a sentence."""
    return "the predicted class" if target == PREDICTED else target_in_words(target)


def rule_in_words(deferral: Deferral) -> str:
    """What a threshold promises."""
    asked = percent(deferral.asked)
    if deferral.rule == "coverage":
        return f"keep at least {asked} of the answers"
    if deferral.rule == "risk":
        return f"at most {asked} of the kept wrong, on the patients it was chosen on"
    sure = percent(1 - (deferral.delta or 0))
    return f"at most {asked} of the kept wrong on new patients, with {sure} certainty"


def sentence(text: str) -> str:
    """A note with a capital and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
