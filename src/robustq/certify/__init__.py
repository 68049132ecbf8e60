"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.branching import Branching
from robustq.certify.curvature import Curvature
from robustq.certify.lipschitz import Lipschitz
from robustq.certify.null import Vacuous
from robustq.certify.state import ExactState
from robustq.certify.verdict import believed, certify

__all__ = [
    "Branching", "Curvature", "ExactAmplitude", "ExactState", "Lipschitz", "Vacuous", "believed", "certify",
]  # fmt: skip
