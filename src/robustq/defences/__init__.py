"""Defences: values that make a training step safer, or stand around a model."""

from robustq.defences.detection.guard import Detection
from robustq.defences.detection.immutable import ImmutableFeatures
from robustq.defences.detection.rates import DetectionRates, detection_rates
from robustq.defences.detection.rejection import Rejecting
from robustq.defences.encoding.approximation import ApproximateEncoding
from robustq.defences.encoding.error_detecting import ErrorDetecting
from robustq.defences.encoding.randomisation import RandomisedEncoding
from robustq.defences.encoding.smooth_step import SmoothedEncoding
from robustq.defences.encoding.trainable import TrainableEncoding
from robustq.defences.filters.clipping import Clipping
from robustq.defences.filters.projection import Projection
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.filters.smoothing import Smoothing
from robustq.defences.front import Fronted
from robustq.defences.noise.aware import NoiseAware
from robustq.defences.noise.depolarising import Depolarising
from robustq.defences.noise.injection import NoiseInjection
from robustq.defences.noise.phase_damping import PhaseDamping
from robustq.defences.noise.random_inputs import RandomisedInputs
from robustq.defences.recipe import Recipe
from robustq.defences.response.drift import DriftMonitor
from robustq.defences.response.online import Adapting, OnlineDefence
from robustq.defences.response.policy import Policy, Rule
from robustq.defences.training.adversarial import AdversarialTraining
from robustq.defences.training.angles import AngleTraining
from robustq.defences.training.augmentation import NoisyInputs
from robustq.defences.training.certified_bound import CertifiedBound
from robustq.defences.training.certified_radius import CertifiedRadius
from robustq.defences.training.curriculum import Curriculum
from robustq.defences.training.fast import Fast
from robustq.defences.training.free import Free
from robustq.defences.training.gradient_penalty import GradientPenalty
from robustq.defences.training.label_smoothing import LabelSmoothing
from robustq.defences.training.lipschitz_margin import LipschitzMargin
from robustq.defences.training.lipschitz_penalty import LipschitzPenalty
from robustq.defences.training.mart import MART
from robustq.defences.training.mixed_threats import MixedThreats
from robustq.defences.training.plain import Plain
from robustq.defences.training.reweighting import CVaR, GroupDRO
from robustq.defences.training.states import StateTraining
from robustq.defences.training.trades import TRADES

__all__ = [
    "MART",
    "TRADES",
    "Adapting",
    "AdversarialTraining",
    "AngleTraining",
    "ApproximateEncoding",
    "CVaR",
    "CertifiedBound",
    "CertifiedRadius",
    "Clipping",
    "Curriculum",
    "Depolarising",
    "Detection",
    "DetectionRates",
    "DriftMonitor",
    "ErrorDetecting",
    "Fast",
    "FeatureSqueezing",
    "Free",
    "Fronted",
    "GradientPenalty",
    "GroupDRO",
    "ImmutableFeatures",
    "LabelSmoothing",
    "LipschitzMargin",
    "LipschitzPenalty",
    "MixedThreats",
    "NoiseAware",
    "NoiseInjection",
    "NoisyInputs",
    "OnlineDefence",
    "PhaseDamping",
    "Plain",
    "Policy",
    "Projection",
    "RandomisedEncoding",
    "RandomisedInputs",
    "Recipe",
    "Rejecting",
    "Rule",
    "SmoothedEncoding",
    "Smoothing",
    "StateTraining",
    "TrainableEncoding",
    "detection_rates",
]
