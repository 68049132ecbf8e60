"""Defences: values that make a training step safer, or stand around a model."""

from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.certified_bound import CertifiedBound
from robustq.defences.certified_radius import CertifiedRadius
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.fronted import Fronted
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.lipschitz_penalty import LipschitzPenalty
from robustq.defences.plain import Plain
from robustq.defences.recipe import Recipe

__all__ = [
    "AdversarialTraining",
    "CertifiedBound",
    "CertifiedRadius",
    "FeatureSqueezing",
    "Fronted",
    "LipschitzMargin",
    "LipschitzPenalty",
    "Plain",
    "Recipe",
]
