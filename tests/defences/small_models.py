"""Small models and data that several defences are tried on."""

import torch

from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.models import HybridNet, QuantumNet
from robustq.seeding import torch_generator


def small(encoder=None, *, seed=0, layers=2, classes=2):
    """A float64 model of as many qubits as the encoder has (three by default)."""
    encoder = encoder or encodings.angle(3)
    circuit = encoder.then(ansaetze.strongly_entangling(encoder.qubits, layers=layers))
    return QuantumNet(
        circuit, per_qubit_z(classes, circuit.qubits), generator=torch_generator(seed, "init"), spread=1.0
    ).double()


def dressed(*, seed=0, features=4, classes=3):
    """A float64 hybrid around a circuit of three qubits."""
    core = small(seed=seed)
    return HybridNet(features, classes, core, generator=torch_generator(seed, "layers")).double()


def points(rows, features, seed=1):
    """Random inputs of [0, 1] and labels of a smooth rule that needs interactions."""
    x = torch.rand(rows, features, generator=torch_generator(seed, "points"))
    score = (x[:, 0] - 0.5) * (x[:, 1] - 0.5) + 0.15 * (x[:, -1] - 0.5)
    return x, (score > 0).long()


def no_weaker(result, other):
    """Whether an attack on a random model flips as many inputs as another, up to the luck of the votes."""
    gained = (result.success & ~other.success).sum()
    lost = (other.success & ~result.success).sum()
    return int(lost - gained) <= 2 * float(gained + lost) ** 0.5
