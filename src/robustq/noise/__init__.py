"""Noise as values: channels, rules, read-out error, calibrated devices, drift and routing."""

from robustq.noise.calibration import Coupling, Qubit
from robustq.noise.channels import CHANNELS, Channel
from robustq.noise.device import Device
from robustq.noise.model import NoiseModel, Readout, Rule
from robustq.noise.routing import Mapped, Noise, mapped
from robustq.noise.uncertainty import Uncertainty, uncertainty

__all__ = [
    "CHANNELS",
    "Channel",
    "Coupling",
    "Device",
    "Mapped",
    "Noise",
    "NoiseModel",
    "Qubit",
    "Readout",
    "Rule",
    "Uncertainty",
    "mapped",
    "uncertainty",
]
