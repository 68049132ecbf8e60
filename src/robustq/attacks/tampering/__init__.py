"""Tampering: what an adversary may do to the machine rather than to an input.

A tampering says what is touched and how much; it lays open a row of settings that all inputs share, and
any attack that asks for losses and gradients only can search it.
"""

from robustq.attacks.tampering.crosstalk import Crosstalk
from robustq.attacks.tampering.encoding import EncodingMismatch, FeatureSwap
from robustq.attacks.tampering.greedy import Greedy
from robustq.attacks.tampering.insertion import GateInsertion, GateRemoval
from robustq.attacks.tampering.null import Untouched
from robustq.attacks.tampering.parameters import ParameterDrift, smallest_drift
from robustq.attacks.tampering.readout import ReadoutTamper
from robustq.attacks.tampering.starts import ManyStarts
from robustq.attacks.tampering.surface import Surface, Tampering
from robustq.attacks.tampering.trojan import CircuitTrojan, TrojanResult, plant
from robustq.attacks.tampering.unitary import UniversalUnitary
from robustq.attacks.tampering.verdict import TamperResult, tamper

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
