"""Defences: values that make a training step safer, or stand around a model."""

from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.encoding.error_detecting import ErrorDetecting
from robustq.defences.encoding.randomised import RandomisedEncoding
from robustq.defences.encoding.smoothed import SmoothedEncoding
from robustq.defences.encoding.trainable import TrainableEncoding
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.fronted import Fronted
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.noise.aware import NoiseAware
from robustq.defences.noise.depolarising import Depolarising
from robustq.defences.noise.injection import NoiseInjection
from robustq.defences.noise.phase_damping import PhaseDamping
from robustq.defences.noise.random_inputs import RandomisedInputs
from robustq.defences.plain import Plain
from robustq.defences.recipe import Recipe

__all__ = [
    "AdversarialTraining",
    "Depolarising",
    "ErrorDetecting",
    "FeatureSqueezing",
    "Fronted",
    "LipschitzMargin",
    "NoiseAware",
    "NoiseInjection",
    "PhaseDamping",
    "Plain",
    "RandomisedEncoding",
    "RandomisedInputs",
    "Recipe",
    "SmoothedEncoding",
    "TrainableEncoding",
]
