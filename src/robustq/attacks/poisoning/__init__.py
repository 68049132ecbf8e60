"""Poisoned training data: the author supplies the rows, :func:`poison` the verdict."""

from robustq.attacks.poisoning.backdoor import Backdoor
from robustq.attacks.poisoning.label_flip import LabelFlip
from robustq.attacks.poisoning.null import RandomFlip
from robustq.attacks.poisoning.quid import Quid
from robustq.attacks.poisoning.task import Poison, TrainingData, Triggered
from robustq.attacks.poisoning.verdict import PoisonResult, poison

__all__ = [
    "Backdoor",
    "LabelFlip",
    "Poison",
    "PoisonResult",
    "Quid",
    "RandomFlip",
    "TrainingData",
    "Triggered",
    "poison",
]
