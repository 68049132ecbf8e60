"""Tampering: what an adversary may do to the machine rather than to an input.

A tampering says what is touched and how much; it lays open a row of settings that all inputs share, and
any attack that asks for losses and gradients only can search it.
"""

from robustq.tampering.crosstalk import Crosstalk
from robustq.tampering.encoding import EncodingMismatch, FeatureSwap
from robustq.tampering.greedy import Greedy
from robustq.tampering.insertion import GateInsertion, GateRemoval
from robustq.tampering.null import Untouched
from robustq.tampering.parameters import ParameterDrift, smallest_drift
from robustq.tampering.readout import ReadoutTamper
from robustq.tampering.starts import ManyStarts
from robustq.tampering.surface import Surface, Tampering
from robustq.tampering.trojan import CircuitTrojan, TrojanResult, plant
from robustq.tampering.unitary import UniversalUnitary
from robustq.tampering.verdict import TamperResult, tamper

__all__ = [
    "CircuitTrojan",
    "Crosstalk",
    "EncodingMismatch",
    "FeatureSwap",
    "GateInsertion",
    "GateRemoval",
    "Greedy",
    "ManyStarts",
    "ParameterDrift",
    "ReadoutTamper",
    "Surface",
    "TamperResult",
    "Tampering",
    "TrojanResult",
    "UniversalUnitary",
    "Untouched",
    "plant",
    "smallest_drift",
    "tamper",
]
