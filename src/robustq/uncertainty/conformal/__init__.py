"""Conformal prediction: sets of labels with a guarantee, with finite shots and under attack too."""

from robustq.uncertainty.conformal.class_pair import versus
from robustq.uncertainty.conformal.evaluate import Evaluation, coverage, evaluate
from robustq.uncertainty.conformal.robust import Certified, robust_calibrate, robust_sets
from robustq.uncertainty.conformal.scores import (
    SCORES,
    Adaptive,
    LeastAmbiguous,
    LogitMargin,
    Margin,
    Nearest,
    RegularisedAdaptive,
    Score,
)
from robustq.uncertainty.conformal.shots import ShotAnswers
from robustq.uncertainty.conformal.split import GROUPS, Conformal, calibrate, guarantee, rows_needed

__all__ = [
    "GROUPS",
    "SCORES",
    "Adaptive",
    "Certified",
    "Conformal",
    "Evaluation",
    "LeastAmbiguous",
    "LogitMargin",
    "Margin",
    "Nearest",
    "RegularisedAdaptive",
    "Score",
    "ShotAnswers",
    "calibrate",
    "coverage",
    "evaluate",
    "guarantee",
    "robust_calibrate",
    "robust_sets",
    "rows_needed",
    "versus",
]
