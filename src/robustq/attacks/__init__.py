"""Attacks: the author supplies the search, :func:`run_attack` the verdict."""

from robustq.attacks.fgsm import FGSM
from robustq.attacks.losses import margin
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.problem import SearchProblem
from robustq.attacks.verdict import run_attack

__all__ = ["FGSM", "PGD", "Identity", "SearchProblem", "UniformNoise", "margin", "run_attack"]
