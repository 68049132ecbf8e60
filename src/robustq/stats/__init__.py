"""Intervals, calibration, selection and detection; knows nothing of torch."""

from robustq.stats.calibration import (
    Bin,
    adaptive_calibration_error,
    bootstrap,
    brier,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from robustq.stats.detection import auroc, auroc_interval, false_alarms
from robustq.stats.exact import at_least, clopper_pearson
from robustq.stats.intervals import Interval, difference, mean, proportion, ratio, relative, wilson
from robustq.stats.line import slope
from robustq.stats.paired import mcnemar
from robustq.stats.selective import aurc, errors_removed, excess_aurc, risk_coverage

__all__ = [
    "Bin",
    "Interval",
    "adaptive_calibration_error",
    "at_least",
    "aurc",
    "auroc",
    "auroc_interval",
    "bootstrap",
    "brier",
    "clopper_pearson",
    "difference",
    "errors_removed",
    "excess_aurc",
    "expected_calibration_error",
    "false_alarms",
    "mcnemar",
    "mean",
    "negative_log_likelihood",
    "proportion",
    "ratio",
    "relative",
    "reliability",
    "risk_coverage",
    "slope",
    "wilson",
]
