"""Quantum, hybrid and classical classifiers, one training loop, files without pickle."""

from robustq.models.checkpoint import Checkpoint
from robustq.models.classical import Perceptron
from robustq.models.convolutional import ConvNet
from robustq.models.files import load, parameter_count, save
from robustq.models.hybrid import HybridNet
from robustq.models.quantum import QuantumNet
from robustq.models.svm import RBFSVM
from robustq.models.training import Epoch, History, Training, fit

__all__ = [
    "RBFSVM",
    "Checkpoint",
    "ConvNet",
    "Epoch",
    "History",
    "HybridNet",
    "Perceptron",
    "QuantumNet",
    "Training",
    "fit",
    "load",
    "parameter_count",
    "save",
]
