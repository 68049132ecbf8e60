"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.null import Vacuous
from robustq.certify.shots import Shots
from robustq.certify.smoothing import ExactSmoothing, GaussianSmoothing
from robustq.certify.state import ExactState
from robustq.certify.verdict import believed, certify

__all__ = [
    "ExactAmplitude",
    "ExactSmoothing",
    "ExactState",
    "GaussianSmoothing",
    "Shots",
    "Vacuous",
    "believed",
    "certify",
]
