"""Defences: values that turn a training step into a safer one."""

from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.plain import Plain

__all__ = ["AdversarialTraining", "LipschitzMargin", "Plain"]
