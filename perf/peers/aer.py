"""Qiskit Aer's state vector simulator: the loss alone, for it has no gradient of its own."""

from __future__ import annotations

from typing import Any

import torch

from perf.workload import CLASSES, Answer, Step, Workload


def make(work: Workload) -> Step:
    """One run of the whole batch, features bound at run time, parameters bound before."""
    from qiskit_aer import AerSimulator

    circuit, slots = _circuit(work)
    x, _, y = work.data()
    binds = [{slot: x[:, q].tolist() for q, slot in enumerate(slots)}]
    simulator = AerSimulator(method="statevector", precision="single")

    def step() -> Answer:
        done = simulator.run(circuit, parameter_binds=binds, shots=1, runtime_parameter_bind_enable=True).result()
        rows = [done.data(sample) for sample in range(work.batch)]
        scores = torch.tensor([[row[f"z{k}"] for k in range(CLASSES)] for row in rows])
        return torch.nn.functional.cross_entropy(scores, y), None, None

    return step


def _circuit(work: Workload) -> tuple[Any, list[Any]]:
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector
    from qiskit.quantum_info import SparsePauliOp

    theta = work.data()[1].tolist()
    slots = ParameterVector("x", work.qubits)
    circuit = QuantumCircuit(work.qubits)
    for q in range(work.qubits):
        circuit.ry(slots[q], q)
    for layer, pairs in enumerate(work.entanglers()):
        for q in range(work.qubits):  # RZ(c) RY(b) RZ(a) is U(b, c, a) up to a phase
            a, b, c = theta[layer][q]
            circuit.u(b, c, a, q)
        for pair in pairs:
            circuit.cx(*pair)
    for k in range(CLASSES):
        circuit.save_expectation_value(SparsePauliOp("Z"), [k], label=f"z{k}")
    return circuit, list(slots)
