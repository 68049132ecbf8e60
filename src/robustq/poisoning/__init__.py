"""Poisoned training data: the author supplies the rows, :func:`poison` the verdict."""

from robustq.poisoning.backdoor import Backdoor
from robustq.poisoning.label_flip import LabelFlip
from robustq.poisoning.null import RandomFlip
from robustq.poisoning.quid import Quid
from robustq.poisoning.task import Poison, TrainingData, Triggered
from robustq.poisoning.verdict import PoisonResult, poison

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
