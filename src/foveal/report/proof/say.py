"""Words for what statistics say."""

from foveal.analysis.deferral import Deferral
from foveal.analysis.estimate import Estimate
from foveal.analysis.records import PREDICTED
from foveal.report.words import number, percent, target_in_words


def estimate_in_words(found: Estimate) -> str:
    """A number with its interval, or why it lacks one."""
    if found.estimate is None:
        return f"not known: {found.reason}"
    if found.low is None or found.high is None:
        return f"{number(found.estimate)} (no interval: {found.reason})"
    return f"{number(found.estimate)} ({number(found.low)} to {number(found.high)})"


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
