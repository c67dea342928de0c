"""What the statistics over all images answer to a reviewer, in one sentence each."""

from collections.abc import Iterator, Mapping

from foveal.analysis.estimate import Estimate
from foveal.report.proof.conclude import Proof
from foveal.report.proof.trust import Trust
from foveal.report.words import counted, listed, number

_TOLD = 2
"""Numbers of a model's performance that a sentence holds; its chapter has all."""


def conclusions(proof: Proof) -> Mapping[str, str]:
    """The answers by the names of the facts that they answer; none where nothing is known."""
    found = {
        "performance": _performance(proof),
        "confidence": _confidence(proof),
        "comparisons": _comparisons(proof),
        "subgroups": _subgroups(proof),
        "gallery": _gallery(proof),
    }
    return {name: text for name, text in found.items() if text is not None}


def _performance(proof: Proof) -> str | None:
    told = []
    for one in proof.performances:
        numbers = [f"{name.lower()} {_with_interval(value)}" for name, _, value in one.numbers]
        told.append(f"{one.model} on {counted(one.images, 'image')}: {', '.join(numbers[:_TOLD])}")
    return f"{'; '.join(told)}; intervals by {proof.unit}." if told else None


def _confidence(proof: Proof) -> str | None:
    told = [text for one in proof.trusts for text in (*_calibration(one), _deferral(one))]
    return f"{'; '.join(told)}." if told else None


def _calibration(one: Trust) -> Iterator[str]:
    for reading in one.readings:
        if reading.top.ece is not None:
            yield (
                f"{one.model}, {reading.name} probabilities: expected calibration error "
                f"{number(reading.top.ece)}"
            )


def _deferral(one: Trust) -> str:
    if one.threshold is None:
        return f"{one.model}: no threshold of deferral could be chosen"
    return f"{one.model}: unsure answers, below {number(one.threshold)}, go to a person"


def _with_interval(value: Estimate) -> str:
    if value.estimate is None or value.low is None or value.high is None:
        bare = "not known" if value.estimate is None else number(value.estimate)
        return f"{bare} ({value.reason})"
    return f"{number(value.estimate)} ({number(value.low)} to {number(value.high)})"


def _comparisons(proof: Proof) -> str | None:
    tests = sum(row.contest.p is not None for match in proof.matches for row in match.rows)
    pairs = sum(len(row.contest.pairs) for match in proof.matches for row in match.rows)
    if not tests and not pairs:
        return None
    return (
        f"{counted(tests, 'overall test')} and {counted(pairs, 'pair')} of methods, each family "
        "adjusted after Holm."
    )


def _subgroups(proof: Proof) -> str | None:
    columns = dict.fromkeys(table.column for table in proof.groups.tables)
    if not columns:
        return None
    by, gaps, found = listed(list(columns)), proof.groups.gaps, len(proof.groups.found)
    if not gaps:
        return f"By {by}: no gap could be tested."
    return f"By {by}: {counted(gaps, 'gap')} tested, {found} with an adjusted p below 0.05."


def _gallery(proof: Proof) -> str | None:
    told = [f"{pick.title.lower()} ({len(pick.images)})" for pick in proof.picks if pick.images]
    return f"Chosen by rule: {', '.join(told)}." if told else None
