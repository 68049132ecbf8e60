"""What the parts of the library promise each other.

Shapes: the batch axis comes first everywhere. Angles are in radians, probabilities in [0, 1].
"""

from robustq.contracts.attacks import Attack, AttackResult, Problem, Search, Threat
from robustq.contracts.certificates import SAME, Bounds, Certificate, Certifier, Prover
from robustq.contracts.classifiers import (
    AmplitudeClassifier,
    AngleClassifier,
    Classifier,
    GateAngles,
    QuantumClassifier,
    RandomisedClassifier,
    RejectingClassifier,
    ShotClassifier,
    SquashedClassifier,
    StateClassifier,
    TamperableClassifier,
    TurnableClassifier,
    TwinnedClassifier,
    check_logits,
)
from robustq.contracts.defences import Defence, Defences, Guard, Step
from robustq.contracts.uncertainty import Predictive

__all__ = [
    "SAME",
    "AmplitudeClassifier",
    "AngleClassifier",
    "Attack",
    "AttackResult",
    "Bounds",
    "Certificate",
    "Certifier",
    "Classifier",
    "Defence",
    "Defences",
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
    "SquashedClassifier",
    "StateClassifier",
    "Step",
    "TamperableClassifier",
    "Threat",
    "TurnableClassifier",
    "TwinnedClassifier",
    "check_logits",
]
