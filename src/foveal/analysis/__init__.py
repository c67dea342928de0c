"""Tables in, conclusions out: how sure, for whom, and which is better. Never sees a model."""

from foveal.analysis.auc import Auc, MacroAuc, auc, compare_auc
from foveal.analysis.checks import (
    ClassLine,
    OverlapLine,
    check_class_report,
    check_overlap_table,
)
from foveal.analysis.comparisons import Family, compare_many, compare_two, sign_flip
from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.mixed import mixed_model
from foveal.analysis.multiplicity import benjamini_hochberg, holm
from foveal.analysis.performance import (
    ClassScores,
    Grades,
    MacroF1,
    QuadraticKappa,
    accuracy,
    class_table,
    confusion_matrix,
    grade_error,
    grades,
    macro_f1,
    quadratic_kappa,
    rates,
)
from foveal.analysis.proportions import mcnemar, proportion, wilson
from foveal.analysis.resampling import Bootstrap, interval, mean_intervals
from foveal.analysis.sample_size import (
    auc_error,
    design_effect,
    size_for_auc,
    size_for_paired_difference,
    size_for_proportion,
)
from foveal.analysis.shift import hodges_lehmann
from foveal.analysis.statistic import AbstractStatistic, Mean, Spearman
from foveal.analysis.subgroups import Subgroup, bands, subgroup_table
from foveal.analysis.units import Units, unit_means, units_of

__all__ = [
    "AbstractStatistic",
    "Auc",
    "Bootstrap",
    "ClassLine",
    "ClassScores",
    "Comparison",
    "Estimate",
    "Family",
    "Grades",
    "MacroAuc",
    "MacroF1",
    "Mean",
    "OverlapLine",
    "QuadraticKappa",
    "Spearman",
    "Subgroup",
    "Units",
    "accuracy",
    "auc",
    "auc_error",
    "bands",
    "benjamini_hochberg",
    "check_class_report",
    "check_overlap_table",
    "class_table",
    "compare_auc",
    "compare_many",
    "compare_two",
    "confusion_matrix",
    "design_effect",
    "grade_error",
    "grades",
    "hodges_lehmann",
    "holm",
    "interval",
    "macro_f1",
    "mcnemar",
    "mean_intervals",
    "mixed_model",
    "proportion",
    "quadratic_kappa",
    "rates",
    "sign_flip",
    "size_for_auc",
    "size_for_paired_difference",
    "size_for_proportion",
    "subgroup_table",
    "unit_means",
    "units_of",
    "wilson",
]
