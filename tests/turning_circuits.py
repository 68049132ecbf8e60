"""Random circuits whose features turn gates any number of times, for the certificates by slopes."""

import torch
from hypothesis import strategies as st

from robustq.circuits import Circuit, op, theta, x, z
from robustq.models import HybridNet, QuantumNet
from robustq.noise import NoiseModel
from strategies import circuits, noise_models, observables


@st.composite
def frozen_models(draw, max_qubits=2, noisy=True):
    """A frozen model of three features: any gates, products of features, noise, maybe a sigmoid."""
    circuit = draw(circuits(max_qubits=max_qubits, max_operations=6, amplitudes=False))
    read = [draw(observables(circuit.qubits)) for _ in range(draw(st.integers(2, 3)))]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    model = QuantumNet(circuit, read, generator=generator, spread=1.0)
    if noisy and draw(st.booleans()):
        model.noise = draw(noise_models(circuit.qubits))
    if draw(st.booleans()):
        model = HybridNet(4, draw(st.integers(2, 3)), model, generator=generator)
        with torch.no_grad():
            model.before.weight.mul_(4)
            model.after.bias.mul_(0.1)
    return model.freeze(), model


def features(model):
    return model.features if isinstance(model, HybridNet) else model.circuit.inputs


def published_circle(generator):
    """The circle model of Berberich et al. (2024): three qubits, three layers, two features."""
    operations, slot = [], 0
    for _ in range(3):
        for qubit in range(3):
            turns = [theta(slot + 2 * f) * x(f) + theta(slot + 2 * f + 1) for f in range(2)]
            operations.append(op("rot", qubit, angles=[*turns, theta(slot + 4)]))
            slot += 5
        operations += [op("cx", 0, 1), op("cx", 1, 2), op("cx", 2, 0)]
    return QuantumNet(Circuit.of(3, operations), [z(0), -z(0)], generator=generator)


def uniform(strength):
    return NoiseModel.uniform(gate_error=strength)
