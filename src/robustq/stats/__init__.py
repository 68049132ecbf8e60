"""Intervals and calibration; knows nothing of torch."""

from robustq.stats.calibration import (
    Bin,
    bootstrap,
    brier,
    expected_calibration_error,
    reliability,
)
from robustq.stats.exact import at_least, clopper_pearson
from robustq.stats.intervals import (
    Interval,
    difference,
    mean,
    proportion,
    ratio,
    relative,
    wilson,
)
from robustq.stats.line import slope
from robustq.stats.paired import mcnemar

__all__ = [
    "Bin",
    "Interval",
    "at_least",
    "bootstrap",
    "brier",
    "clopper_pearson",
    "difference",
    "expected_calibration_error",
    "mcnemar",
    "mean",
    "proportion",
    "ratio",
    "relative",
    "reliability",
    "slope",
    "wilson",
]
