"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.literature import Depolarising, Guan, Hoelder, HypothesisTesting, SpectralBox
from robustq.certify.null import Vacuous
from robustq.certify.state import ExactState
from robustq.certify.tightness import tightness
from robustq.certify.verdict import believed, certify

__all__ = [
    "Depolarising",
    "ExactAmplitude",
    "ExactState",
    "Guan",
    "Hoelder",
    "HypothesisTesting",
    "SpectralBox",
    "Vacuous",
    "believed",
    "certify",
    "tightness",
]
