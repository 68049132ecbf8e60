"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.amplitude_box import AmplitudeBox
from robustq.certify.amplitude_linf import AmplitudeLinf
from robustq.certify.null import Vacuous
from robustq.certify.state import ExactState
from robustq.certify.verdict import believed, certify

__all__ = [
    "AmplitudeBox", "AmplitudeLinf", "ExactAmplitude", "ExactState", "Vacuous", "believed", "certify",
]  # fmt: skip
