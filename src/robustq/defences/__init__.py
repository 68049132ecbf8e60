"""Defences: values that make a training step safer, or stand around a model."""

from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.fronted import Fronted
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.plain import Plain
from robustq.defences.recipe import Recipe

__all__ = [
    "AdversarialTraining",
    "FeatureSqueezing",
    "Fronted",
    "LipschitzMargin",
    "Plain",
    "Recipe",
]
