"""Tables in, conclusions out: how sure, for whom, and which is better. Never sees a model."""

from foveal.analysis.added_value import AddedValue, added_value
from foveal.analysis.agreement import (
    FleissKappa,
    KrippendorffAlpha,
    fleiss_kappa,
    gwet_ac,
    icc,
    krippendorff_alpha,
    raw_agreement,
    weighted_kappa,
)
from foveal.analysis.agreement_size import (
    SimulatedSize,
    size_for_agreement,
    size_for_icc,
    size_for_icc_above,
)
from foveal.analysis.auc import Auc, MacroAuc, auc, compare_auc
from foveal.analysis.calibration import (
    CalibrationError,
    CalibrationErrors,
    classwise_ece,
    ece,
    top_label,
)
from foveal.analysis.calibration_line import CalibrationLine, smooth_curve
from foveal.analysis.calibrator_file import FittedCalibrator, read_calibrator, write_calibrator
from foveal.analysis.calibrators import (
    AbstractCalibrator,
    BayesianTemperature,
    Isotonic,
    Platt,
    Temperature,
)
from foveal.analysis.checks import (
    ClassLine,
    OverlapLine,
    check_class_report,
    check_overlap_table,
)
from foveal.analysis.comparisons import Family, compare_many, compare_two, sign_flip
from foveal.analysis.confidence import (
    ConfidenceLocalisation,
    PartialSpearman,
    ProxyCheck,
    conf_loc_corr,
    decide,
    validate_proxy,
)
from foveal.analysis.contest import Contest, Standing, compare_measures
from foveal.analysis.cox_design import Cut
from foveal.analysis.crossed import CrossedReads, crossed_reads
from foveal.analysis.decision import NetBenefit, decision_curve
from foveal.analysis.deferral import (
    Deferral,
    defer_by_coverage,
    defer_by_risk,
    defer_with_guarantee,
)
from foveal.analysis.diagnosis import ROWS, diagnose_map, frequencies, variance_limit
from foveal.analysis.discrimination import AucAt, UnoC, auc_at, uno_c
from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.faithfulness import (
    RankAgreement,
    Separation,
    informative_gain,
    rank_agreement,
    separations,
    uninformative,
)
from foveal.analysis.icc_anova import icc_anova
from foveal.analysis.locus import Locus, Tertiles, locus_frequency, signal_tertiles
from foveal.analysis.mixed import mixed_model
from foveal.analysis.mrmc import Mrmc, NonInferiority, mrmc
from foveal.analysis.mrmc_size import mrmc_power, size_for_mrmc
from foveal.analysis.multiplicity import benjamini_hochberg, holm
from foveal.analysis.obuchowski_rockette import VarianceComponents
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
from foveal.analysis.proper_scores import Murphy, log_losses, murphy, squared_errors
from foveal.analysis.proportions import mcnemar, proportion, wilson
from foveal.analysis.reader_figures import (
    ReaderFigures,
    reader_aucs,
    reader_figures,
    reader_rates,
)
from foveal.analysis.reader_overlap import (
    ReaderOverlap,
    RoiAgreement,
    reader_overlap,
    region_dice,
    roi_agreement,
)
from foveal.analysis.recalibrated import Recalibration, recalibrate, split_by_patient
from foveal.analysis.recalibration import (
    fit_bayesian,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)
from foveal.analysis.reliability import ReliabilityBin, reliability_table
from foveal.analysis.reliance import Reading, Reliance, reliance, reliance_model
from foveal.analysis.resampling import Bootstrap, interval, mean_intervals
from foveal.analysis.sample_size import (
    auc_error,
    design_effect,
    size_for_auc,
    size_for_paired_difference,
    size_for_proportion,
)
from foveal.analysis.selective import (
    AtCoverage,
    RiskCoverage,
    SelectiveRate,
    SelectiveRisk,
    at_coverage,
    aurc,
    risk_coverage,
)
from foveal.analysis.shift import hodges_lehmann
from foveal.analysis.statistic import AbstractStatistic, Mean, Spearman
from foveal.analysis.subgroups import Subgroup, bands, subgroup_table
from foveal.analysis.survival import Cox, HazardRatio, cox
from foveal.analysis.truth import Truth, truth_of
from foveal.analysis.units import Units, unit_means, units_of

__all__ = [
    "ROWS",
    "AbstractCalibrator",
    "AbstractStatistic",
    "AddedValue",
    "AtCoverage",
    "Auc",
    "AucAt",
    "BayesianTemperature",
    "Bootstrap",
    "CalibrationError",
    "CalibrationErrors",
    "CalibrationLine",
    "ClassLine",
    "ClassScores",
    "Comparison",
    "ConfidenceLocalisation",
    "Contest",
    "Cox",
    "CrossedReads",
    "Cut",
    "Deferral",
    "Estimate",
    "Family",
    "FittedCalibrator",
    "FleissKappa",
    "Grades",
    "HazardRatio",
    "Isotonic",
    "KrippendorffAlpha",
    "Locus",
    "MacroAuc",
    "MacroF1",
    "Mean",
    "Mrmc",
    "Murphy",
    "NetBenefit",
    "NonInferiority",
    "OverlapLine",
    "PartialSpearman",
    "Platt",
    "ProxyCheck",
    "QuadraticKappa",
    "RankAgreement",
    "ReaderFigures",
    "ReaderOverlap",
    "Reading",
    "Recalibration",
    "ReliabilityBin",
    "Reliance",
    "RiskCoverage",
    "RoiAgreement",
    "SelectiveRate",
    "SelectiveRisk",
    "Separation",
    "SimulatedSize",
    "Spearman",
    "Standing",
    "Subgroup",
    "Temperature",
    "Tertiles",
    "Truth",
    "Units",
    "UnoC",
    "VarianceComponents",
    "accuracy",
    "added_value",
    "at_coverage",
    "auc",
    "auc_at",
    "auc_error",
    "aurc",
    "bands",
    "benjamini_hochberg",
    "check_class_report",
    "check_overlap_table",
    "class_table",
    "classwise_ece",
    "compare_auc",
    "compare_many",
    "compare_measures",
    "compare_two",
    "conf_loc_corr",
    "confusion_matrix",
    "cox",
    "crossed_reads",
    "decide",
    "decision_curve",
    "defer_by_coverage",
    "defer_by_risk",
    "defer_with_guarantee",
    "design_effect",
    "diagnose_map",
    "ece",
    "fit_bayesian",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature",
    "fleiss_kappa",
    "frequencies",
    "grade_error",
    "grades",
    "gwet_ac",
    "hodges_lehmann",
    "holm",
    "icc",
    "icc_anova",
    "informative_gain",
    "interval",
    "krippendorff_alpha",
    "locus_frequency",
    "log_losses",
    "macro_f1",
    "mcnemar",
    "mean_intervals",
    "mixed_model",
    "mrmc",
    "mrmc_power",
    "murphy",
    "proportion",
    "quadratic_kappa",
    "rank_agreement",
    "rates",
    "raw_agreement",
    "read_calibrator",
    "reader_aucs",
    "reader_figures",
    "reader_overlap",
    "reader_rates",
    "recalibrate",
    "region_dice",
    "reliability_table",
    "reliance",
    "reliance_model",
    "risk_coverage",
    "roi_agreement",
    "separations",
    "sign_flip",
    "signal_tertiles",
    "size_for_agreement",
    "size_for_auc",
    "size_for_icc",
    "size_for_icc_above",
    "size_for_mrmc",
    "size_for_paired_difference",
    "size_for_proportion",
    "smooth_curve",
    "split_by_patient",
    "squared_errors",
    "subgroup_table",
    "top_label",
    "truth_of",
    "uninformative",
    "unit_means",
    "units_of",
    "uno_c",
    "validate_proxy",
    "variance_limit",
    "weighted_kappa",
    "wilson",
    "write_calibrator",
]
