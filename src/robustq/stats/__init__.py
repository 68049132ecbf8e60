"""Intervals and calibration; knows nothing of torch."""

from robustq.stats.calibration import (
    Bin,
    bootstrap,
    brier,
    expected_calibration_error,
    reliability,
)
from robustq.stats.intervals import Interval, mean, proportion, ratio, wilson

__all__ = [
    "Bin",
    "Interval",
    "bootstrap",
    "brier",
    "expected_calibration_error",
    "mean",
    "proportion",
    "ratio",
    "reliability",
    "wilson",
]
