"""Noise as values: channels, read-out error, and the model that says where they strike."""

from robustq.noise.channels import CHANNELS, Channel
from robustq.noise.model import NoiseModel, Readout, Rule

__all__ = ["CHANNELS", "Channel", "NoiseModel", "Readout", "Rule"]
