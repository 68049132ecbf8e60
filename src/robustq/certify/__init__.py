"""Certificates: the author supplies the proof, :func:`certify` checks what can be checked of it."""

from robustq.certify.amplitude import AmplitudeBox, AmplitudeLinf, ExactAmplitude
from robustq.certify.auto import Auto, Strongest
from robustq.certify.literature import Depolarising, Guan, Hoelder, HypothesisTesting, SpectralBox
from robustq.certify.null import Vacuous
from robustq.certify.shots import Shots
from robustq.certify.slopes import Branching, Curvature, Lipschitz
from robustq.certify.smoothing import ExactSmoothing, GaussianSmoothing
from robustq.certify.spread import Global, spreads
from robustq.certify.state import ExactState
from robustq.certify.tightness import tightness
from robustq.certify.verdict import certify
from robustq.certify.verifier import Complete

__all__ = [
    "AmplitudeBox",
    "AmplitudeLinf",
    "Auto",
    "Branching",
    "Complete",
    "Curvature",
    "Depolarising",
    "ExactAmplitude",
    "ExactSmoothing",
    "ExactState",
    "GaussianSmoothing",
    "Global",
    "Guan",
    "Hoelder",
    "HypothesisTesting",
    "Lipschitz",
    "Shots",
    "SpectralBox",
    "Strongest",
    "Vacuous",
    "certify",
    "spreads",
    "tightness",
]
