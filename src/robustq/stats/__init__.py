"""Intervals and calibration; knows nothing of torch."""

from robustq.stats.calibration import (
    Bin,
    bootstrap,
    brier,
    expected_calibration_error,
    reliability,
)
from robustq.stats.intervals import (
    Interval,
    difference,
    mean,
    proportion,
    ratio,
    relative,
    wilson,
)
from robustq.stats.paired import mcnemar

__all__ = [
    "Bin",
    "Interval",
    "bootstrap",
    "brier",
    "difference",
    "expected_calibration_error",
    "mcnemar",
    "mean",
    "proportion",
    "ratio",
    "relative",
    "reliability",
    "wilson",
]
