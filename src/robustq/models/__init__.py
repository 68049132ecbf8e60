"""Quantum, hybrid and classical classifiers, one training loop, files without pickle."""

from robustq.models.checkpoint import Checkpoint
from robustq.models.convnet import ConvNet
from robustq.models.files import load, parameter_count, save
from robustq.models.hybrid_net import HybridNet
from robustq.models.perceptron import Perceptron
from robustq.models.quantum_net import QuantumNet
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
