"""Attacks: the author supplies the search, :func:`run_attack` the verdict."""

from robustq.attacks.fgsm import FGSM
from robustq.attacks.hopskipjump import HopSkipJump
from robustq.attacks.losses import margin
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.problem import SearchProblem
from robustq.attacks.spsa import SPSA
from robustq.attacks.square import Square
from robustq.attacks.transfer import Transfer
from robustq.attacks.universal import Universal
from robustq.attacks.verdict import run_attack

__all__ = [
    "FGSM", "PGD", "SPSA", "HopSkipJump", "Identity", "SearchProblem", "Square", "Transfer", "UniformNoise",
    "Universal", "margin", "run_attack",
]  # fmt: skip
