"""Attacks: the author supplies the search, :func:`run_attack` the verdict."""

from robustq.attacks.apgd import APGD
from robustq.attacks.eot import EOT
from robustq.attacks.exact import ExactL2
from robustq.attacks.fgsm import FGSM
from robustq.attacks.losses import margin
from robustq.attacks.mim import MIM
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.problem import SearchProblem
from robustq.attacks.quantum_auto import QuantumAutoAttack
from robustq.attacks.verdict import run_attack

__all__ = [
    "APGD",
    "EOT",
    "FGSM",
    "MIM",
    "PGD",
    "ExactL2",
    "Identity",
    "QuantumAutoAttack",
    "SearchProblem",
    "UniformNoise",
    "margin",
    "run_attack",
]
