"""The audit: checks that distrust our own numbers."""

from robustq.audit.catalogue import AUDITS, Flag, judge, measured
from robustq.audit.evidence import Count, Evidence, Level, Pair, Plateau
from robustq.audit.leakage import shared_rows
from robustq.audit.measure import Plan, inside_certified, measure, overruns
from robustq.audit.plateau import gradient_variance

__all__ = [
    "AUDITS",
    "Count",
    "Evidence",
    "Flag",
    "Level",
    "Pair",
    "Plan",
    "Plateau",
    "gradient_variance",
    "inside_certified",
    "judge",
    "measure",
    "measured",
    "overruns",
    "shared_rows",
]
