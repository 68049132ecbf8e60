"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.null import Vacuous
from robustq.certify.spread import Global, spreads
from robustq.certify.state import ExactState
from robustq.certify.verdict import believed, certify

__all__ = ["ExactAmplitude", "ExactState", "Global", "Vacuous", "believed", "certify", "spreads"]
