"""The cohort's numbers in plain values, for the audit file: no array of all images is in it."""

from collections.abc import Mapping
from dataclasses import asdict

from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.performance import ClassScores
from foveal.report.proof.conclude import Proof
from foveal.report.proof.groups import GroupTable
from foveal.report.proof.matches import Match, MatchRow
from foveal.report.proof.performance import Performance
from foveal.report.proof.place import Placed, Proxy
from foveal.report.proof.readings import Reading
from foveal.report.proof.trust import Trust

Table = dict[str, object]


def plain(proof: Proof) -> Table:
    """What the page says of all images, number by number."""
    return {
        "unit": proof.unit,
        "units": proof.units,
        "intervals": proof.how,
        "notes": list(proof.notes),
        "means": [
            {**place._asdict(), **estimate(found)} for place, found in proof.intervals.items()
        ],
        "matches": [_match(match) for match in proof.matches],
        "performance": [_performance(found) for found in proof.performances],
        "trust": [_trust(found) for found in proof.trusts],
        "not_judged": dict(proof.unjudged),
        "groups": [_group(table) for table in proof.groups.tables],
        "groups_left_out": dict(proof.groups.skipped),
        "gallery": [asdict(pick) for pick in proof.picks],
    }


def estimate(found: Estimate) -> Table:
    """One number with its interval."""
    return asdict(found)


def _comparison(pair: Comparison) -> Table:
    return asdict(pair)


def _match(match: Match) -> Table:
    return {
        "model": match.model,
        "target": match.target,
        "methods": list(match.methods),
        "measures": [_row(row) for row in match.rows],
    }


def _row(row: MatchRow) -> Table:
    contest = row.contest
    return {
        "measure": row.measure,
        "region": row.region,
        "direction": row.direction,
        "methods": [
            {**asdict(standing), "missing": dict(missing), "mean_chance": chance}
            for standing, missing, chance in zip(
                contest.standings, row.missing, row.chance, strict=True
            )
        ],
        "pairs": [_comparison(pair) for pair in contest.pairs],
        "p": contest.p,
        "p_adjusted": contest.p_adjusted,
        "test": contest.test,
        "n_units": contest.n_units,
        "notes": list(contest.notes),
        "reason": contest.reason,
    }


def _performance(found: Performance) -> Table:
    return {
        "model": found.model,
        "classes": list(found.classes),
        "images": found.images,
        "truth": found.truth,
        "numbers": {name: estimate(value) for name, _, value in found.numbers},
        "cuts": [
            {
                "yes": cut.name,
                "positives": cut.positives,
                "auc": estimate(cut.auc),
                **{name: estimate(rate) for name, rate in cut.rates.items()},
            }
            for cut in found.cuts
        ],
        "classes_one_by_one": [_class(one) for one in found.table],
        "confusion": found.confusion.tolist(),
        "notes": list(found.notes),
    }


def _class(one: ClassScores) -> Table:
    return {**asdict(one), "label": str(one.label)}


def _trust(found: Trust) -> Table:
    return {
        "model": found.model,
        "readings": [_reading(reading) for reading in found.readings],
        "areas": {name: estimate(value) for name, _, value in found.areas},
        "accuracy_at_coverage": [
            {"coverage": share, **estimate(value)} for share, value in found.accuracy
        ],
        "thresholds": [asdict(kept) for kept in found.kept],
        "sure_from": found.threshold,
        "sure_from_words": found.threshold_from,
        "own_thresholds": None if found.parts is None else found.parts.words,
        "place": [_placed(one) for one in found.placed],
        "notes": list(found.notes),
    }


def _reading(reading: Reading) -> Table:
    numbers: Mapping[str, Estimate] = {name: value for name, _, value in reading.numbers}
    return {
        "probabilities": reading.name,
        "top_label": asdict(reading.top),
        "classwise_ece": reading.classwise,
        "numbers": {name: estimate(value) for name, value in numbers.items()},
        "murphy": asdict(reading.murphy),
        "bins": [asdict(one) for one in reading.bins],
    }


def _placed(one: Placed) -> Table:
    return {
        "method": one.method,
        "target": one.target,
        "correlation": {**asdict(one.correlation), "held_still": list(one.held)},
        "decisions": dict(one.decisions),
        "proxies": [_proxy(proxy) for proxy in one.proxies],
        "no_proxy": one.no_proxy,
    }


def _proxy(proxy: Proxy) -> Table:
    return {**asdict(proxy.check), **{k: v for k, v in asdict(proxy).items() if k != "check"}}


def _group(table: GroupTable) -> Table:
    return asdict(table)
