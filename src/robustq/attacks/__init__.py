"""Attacks: the author supplies the search, :func:`run_attack` the verdict."""

from robustq.attacks.carlini_wagner import CarliniWagner
from robustq.attacks.ddn import DDN
from robustq.attacks.deepfool import DeepFool
from robustq.attacks.fab import FAB
from robustq.attacks.fgsm import FGSM
from robustq.attacks.fmn import FMN
from robustq.attacks.losses import margin
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.problem import SearchProblem
from robustq.attacks.verdict import run_attack

__all__ = [
    "DDN", "FAB", "FGSM", "FMN", "PGD", "CarliniWagner", "DeepFool", "Identity", "SearchProblem",
    "UniformNoise", "margin", "run_attack",
]  # fmt: skip
