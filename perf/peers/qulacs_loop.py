"""Qulacs: compiled C++, back-propagation through a parametric circuit, one sample at a time.

``backprop`` takes one observable, so the scores are read first and the loss's own derivative in
them weighs the two Z of the second sweep. Qulacs turns the other way round: angles and gradients change sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from perf.workload import CLASSES, Answer, Step, Workload


def make(work: Workload) -> Step:
    """A loop over the samples."""
    import qulacs

    circuit, (x, theta, y) = _circuit(work), work.data()
    reads = [_z([k], [1.0]) for k in range(CLASSES)]
    state = qulacs.QuantumState(work.qubits)
    weights = -theta.flatten().numpy().astype(float)
    for k, value in enumerate(weights):
        circuit.set_parameter(work.qubits + k, float(value))

    def step() -> Answer:
        losses, found = zip(
            *(_sample(circuit, state, reads, row, label) for row, label in zip(x, y, strict=True)), strict=True
        )
        gradient = -np.array(found) / work.batch
        inputs, parameters = np.split(gradient, [work.qubits], axis=1)
        return np.mean(losses), inputs, parameters.sum(0).reshape(theta.shape)

    return step


def _sample(circuit: Any, state: Any, reads: list[Any], x: torch.Tensor, label: torch.Tensor) -> tuple[float, Any]:
    """Loss of one sample and its derivative in the circuit's own parameters."""
    for q, value in enumerate(x.tolist()):
        circuit.set_parameter(q, -value)
    state.set_zero_state()
    circuit.update_quantum_state(state)
    scores = np.array([read.get_expectation_value(state) for read in reads])
    chances = np.exp(scores) / np.exp(scores).sum()
    slope = chances - np.eye(CLASSES)[int(label)]
    return -np.log(chances[int(label)]), circuit.backprop(_z(range(CLASSES), slope))


def _z(qubits: Any, weights: Any) -> Any:
    import qulacs

    found = qulacs.Observable(CLASSES)
    for qubit, weight in zip(qubits, weights, strict=True):
        found.add_operator(float(weight), f"Z {qubit}")
    return found


def _circuit(work: Workload) -> Any:
    import qulacs

    circuit = qulacs.ParametricQuantumCircuit(work.qubits)
    for q in range(work.qubits):
        circuit.add_parametric_RY_gate(q, 0.0)
    for pairs in work.entanglers():
        for q in range(work.qubits):
            circuit.add_parametric_RZ_gate(q, 0.0)
            circuit.add_parametric_RY_gate(q, 0.0)
            circuit.add_parametric_RZ_gate(q, 0.0)
        for pair in pairs:
            circuit.add_CNOT_gate(*pair)
    return circuit
