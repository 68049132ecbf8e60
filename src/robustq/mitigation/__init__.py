"""Error mitigation: what one would have read without noise, estimated from what one can run."""

from robustq.mitigation.cdr import CDR
from robustq.mitigation.correction.technique import PartialCorrection
from robustq.mitigation.distillation import VirtualDistillation
from robustq.mitigation.idling import Decoupling, Idle
from robustq.mitigation.net import MitigatedNet
from robustq.mitigation.pec import PEC
from robustq.mitigation.plan import Plan, Problem, Run, Technique, Unmitigated
from robustq.mitigation.readout import ReadoutHistogram, ReadoutInversion
from robustq.mitigation.regression import Learned
from robustq.mitigation.stack import Stack
from robustq.mitigation.symmetry import SymmetryVerification
from robustq.mitigation.zne import ZNE

__all__ = [
    "CDR",
    "PEC",
    "ZNE",
    "Decoupling",
    "Idle",
    "Learned",
    "MitigatedNet",
    "PartialCorrection",
    "Plan",
    "Problem",
    "ReadoutHistogram",
    "ReadoutInversion",
    "Run",
    "Stack",
    "SymmetryVerification",
    "Technique",
    "Unmitigated",
    "VirtualDistillation",
]
