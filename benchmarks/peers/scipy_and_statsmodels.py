"""Tests and intervals of scipy and statsmodels, by other ways than ours."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, samplesize_confint_proportion

from benchmarks.peers.row import Row, cases, values
from foveal import analysis
from foveal.analysis.faithfulness import kendall_w
from foveal.measures import entropy, map_pearson, map_spearman


def rows() -> Iterator[Row]:
    yield from _alike()
    yield from _paired()
    yield from _many()
    yield from _counts()
    yield _line()


def _alike() -> Iterator[Row]:
    every = cases()
    pairs = [(one.map, other.rectified) for one, other in pairwise(every)]
    for measure, peer in ((map_pearson, stats.pearsonr), (map_spearman, stats.spearmanr)):
        yield Row(
            measure=measure.__name__, peer=f"scipy {peer.__name__}", how="two maps, one with ties",
            ours=values([measure(first, second) for first, second in pairs]),
            theirs=[peer(first.ravel(), second.ravel()).statistic for first, second in pairs],
        )  # fmt: skip
    said = np.random.default_rng(10).dirichlet([0.5] * 5, 6)
    yield Row(
        measure="entropy", peer="scipy entropy", how="of five probabilities, by ln 5",
        ours=values([entropy(row) for row in said]),
        theirs=stats.entropy(said, axis=1) / np.log(5),
    )  # fmt: skip


def _paired() -> Iterator[Row]:
    random = np.random.default_rng(11)
    first = random.normal(size=14).round(2)
    second = first + random.normal(0.3, 0.4, 14).round(1) * (random.random(14) > 0.3)
    units = analysis.units_of([f"P{row}" for row in range(14)])
    made = analysis.compare_two(first, second, units)
    pratt = stats.wilcoxon((second - first).round(6), zero_method="pratt")
    yield Row(
        measure="compare_two", peer="scipy wilcoxon", how="the one we call: ties and zeros (Pratt)",
        ours=made.p, theirs=pratt.pvalue,
    )  # fmt: skip
    yield Row(
        measure="compare_two", peer="scipy wilcoxon", same=False,
        how="its default (wilcox) leaves zeros out, which is where the methods agree",
        ours=made.p, theirs=stats.wilcoxon((second - first).round(6)).pvalue,
    )  # fmt: skip
    flips = stats.permutation_test(
        (second - first,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    yield Row(
        measure="sign_flip", peer="scipy permutation_test", how="all 2^14 flips, two-sided",
        ours=analysis.sign_flip(first, second, units), theirs=flips.pvalue,
    )  # fmt: skip


def _many() -> Iterator[Row]:
    random = np.random.default_rng(12)
    table = random.normal([0, 0.2, 0.4, 0.6], size=(20, 4)).round(1)
    units = analysis.units_of([f"P{row}" for row in range(20)])
    family = analysis.compare_many(table, units, names=list("ABCD"))
    ranks = stats.rankdata(table.round(6), axis=1)
    long = pd.DataFrame(
        [(unit, name, rank) for unit, row in enumerate(ranks) for name, rank in enumerate(row)],
        columns=["unit", "method", "rank"],
    )
    fitted = AnovaRM(long, "rank", "unit", ["method"]).fit().anova_table
    yield Row(
        measure="compare_many", peer="statsmodels AnovaRM",
        how="F and p of Iman and Davenport are those of the ranks' repeated-measures ANOVA",
        ours=[family.statistic, family.p],
        theirs=[fitted["F Value"].iloc[0], fitted["Pr > F"].iloc[0]],
    )  # fmt: skip
    chi = stats.friedmanchisquare(*table.round(6).T).statistic
    yield Row(
        measure="kendall_w", peer="scipy friedmanchisquare", how="chi^2 by raters x (items - 1)",
        ours=kendall_w(table.round(6)), theirs=chi / (20 * 3),
    )  # fmt: skip
    p = [0.001, 0.04, 0.03, 0.005, 0.6, 0.03]
    adjusted = {"holm": analysis.holm, "fdr_bh": analysis.benjamini_hochberg}
    for method, ours in adjusted.items():
        yield Row(
            measure=ours.__name__, peer="statsmodels multipletests", how=f"method {method}, ties",
            ours=ours(p), theirs=multipletests(p, method=method)[1],
        )  # fmt: skip


def _counts() -> Iterator[Row]:
    counts = [(0, 20), (3, 20), (19, 20), (20, 20), (180, 200)]
    yield Row(
        measure="wilson", peer="statsmodels proportion_confint", how="method wilson, 0 and all too",
        ours=[analysis.wilson(hits, cases) for hits, cases in counts],
        theirs=[proportion_confint(hits, cases, method="wilson") for hits, cases in counts],
    )  # fmt: skip
    yield Row(
        measure="size_for_proportion", peer="statsmodels samplesize_confint", how="rounded up",
        ours=[analysis.size_for_proportion(p, 0.05) for p in (0.7, 0.8, 0.9)],
        theirs=[np.ceil(samplesize_confint_proportion(p, 0.05)) for p in (0.7, 0.8, 0.9)],
    )  # fmt: skip
    random = np.random.default_rng(13)
    first, second = random.random((2, 60)) < [[0.6], [0.8]]
    units = analysis.units_of([f"P{row}" for row in range(60)])
    table = [[np.sum(a & b) for b in (second, ~second)] for a in (first, ~first)]
    yield Row(
        measure="mcnemar", peer="statsmodels mcnemar", how="exact, one row a patient",
        ours=analysis.mcnemar(first, second, units).p, theirs=mcnemar(table, exact=True).pvalue,
    )  # fmt: skip


def _line() -> Row:
    """Platt's line is logistic regression on his targets, which a binomial GLM takes."""
    random = np.random.default_rng(14)
    odds = random.normal(size=200)
    truth = (random.random(200) < 1 / (1 + np.exp(-2 * odds - 1))).astype(int)
    said = 1 / (1 + np.exp(-odds))
    cases, others = truth.sum(), (1 - truth).sum()
    target = np.where(truth, (cases + 1) / (cases + 2), 1 / (others + 2))
    line = sm.GLM(target, sm.add_constant(odds), family=sm.families.Binomial()).fit()
    made = analysis.fit_platt(np.stack([1 - said, said], axis=1), truth)
    return Row(
        measure="fit_platt", peer="statsmodels GLM", how="binomial on Platt's targets",
        ours=[made.intercepts[1], made.slopes[1]], theirs=line.params,
    )  # fmt: skip
