"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.null import Vacuous
from robustq.certify.state import ExactState
from robustq.certify.verdict import believed, certify
from robustq.certify.verifier import Complete

__all__ = ["Complete", "ExactAmplitude", "ExactState", "Vacuous", "believed", "certify"]
