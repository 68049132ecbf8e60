"""Defences: values that make a training step safer, or stand around a model."""

from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.detection.guard import Detection
from robustq.defences.detection.rates import DetectionRates, detection_rates
from robustq.defences.detection.rejecting import Rejecting
from robustq.defences.filters.clipping import Clipping
from robustq.defences.filters.immutable import ImmutableFeatures
from robustq.defences.filters.projection import Projection
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.filters.smoothing import Smoothing
from robustq.defences.fronted import Fronted
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.plain import Plain
from robustq.defences.recipe import Recipe
from robustq.defences.response.drift import DriftMonitor
from robustq.defences.response.online import Adapting, OnlineDefence
from robustq.defences.response.policy import Policy, Rule

__all__ = [
    "Adapting",
    "AdversarialTraining",
    "Clipping",
    "Detection",
    "DetectionRates",
    "DriftMonitor",
    "FeatureSqueezing",
    "Fronted",
    "ImmutableFeatures",
    "LipschitzMargin",
    "OnlineDefence",
    "Plain",
    "Policy",
    "Projection",
    "Recipe",
    "Rejecting",
    "Rule",
    "Smoothing",
    "detection_rates",
]
