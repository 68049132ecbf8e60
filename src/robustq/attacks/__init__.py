"""Attacks: the author supplies the search, :func:`run_attack` the verdict."""

from robustq.attacks.adaptive import Adaptive
from robustq.attacks.apgd import APGD
from robustq.attacks.eot import EOT
from robustq.attacks.exact import ExactL2, ExactState
from robustq.attacks.fgsm import FGSM
from robustq.attacks.hopskipjump import HopSkipJump
from robustq.attacks.losses import margin
from robustq.attacks.mim import MIM
from robustq.attacks.nearest.carlini_wagner import CarliniWagner
from robustq.attacks.nearest.ddn import DDN
from robustq.attacks.nearest.deepfool import DeepFool
from robustq.attacks.nearest.fab import FAB
from robustq.attacks.nearest.fmn import FMN
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.problem import SearchProblem
from robustq.attacks.quantum_auto import QuantumAutoAttack
from robustq.attacks.spsa import SPSA
from robustq.attacks.square import Square
from robustq.attacks.transfer import Transfer
from robustq.attacks.universal import Universal
from robustq.attacks.verdict import run_attack

__all__ = [
    "APGD",
    "DDN",
    "EOT",
    "FAB",
    "FGSM",
    "FMN",
    "MIM",
    "PGD",
    "SPSA",
    "Adaptive",
    "CarliniWagner",
    "DeepFool",
    "ExactL2",
    "ExactState",
    "HopSkipJump",
    "Identity",
    "QuantumAutoAttack",
    "SearchProblem",
    "Square",
    "Transfer",
    "UniformNoise",
    "Universal",
    "margin",
    "run_attack",
]
