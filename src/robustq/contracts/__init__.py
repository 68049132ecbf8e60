"""What the parts of the library promise each other.

Shapes: the batch axis comes first everywhere. Angles are in radians, probabilities in [0, 1].
"""

from robustq.contracts.attacks import Attack, AttackResult, Problem, Search, Threat
from robustq.contracts.certificates import SAME, Bounds, Certificate, Certifier, Prover
from robustq.contracts.classifiers import (
    AmplitudeClassifier,
    CircuitClassifier,
    Classifier,
    FrozenClassifier,
    GateAngles,
    QuantumClassifier,
    RandomisedClassifier,
    RejectingClassifier,
    ShotClassifier,
    StateClassifier,
    TwinnedClassifier,
    check_logits,
    frozen,
)
from robustq.contracts.defences import Defence, Defences, Guard, Step
from robustq.contracts.uncertainty import Predictive

__all__ = [
    "SAME",
    "AmplitudeClassifier",
    "Attack",
    "AttackResult",
    "Bounds",
    "Certificate",
    "Certifier",
    "CircuitClassifier",
    "Classifier",
    "Defence",
    "Defences",
    "FrozenClassifier",
    "GateAngles",
    "Guard",
    "Predictive",
    "Problem",
    "Prover",
    "QuantumClassifier",
    "RandomisedClassifier",
    "RejectingClassifier",
    "Search",
    "ShotClassifier",
    "StateClassifier",
    "Step",
    "Threat",
    "TwinnedClassifier",
    "check_logits",
    "frozen",
]
