"""What is measured: loss and gradient of a batch, in inputs and parameters, ours and theirs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from robustq import engine
from robustq.circuits import ansaetze, encodings, per_qubit_z

Step = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One workload: RY encoding, strongly entangling layers, two <Z>, softmax cross-entropy."""

    qubits: int
    layers: int
    batch: int

    def data(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Inputs, parameters ``(layers, qubits, 3)`` and labels, the same for everybody."""
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(self.batch, self.qubits, generator=generator)
        theta = torch.randn(self.layers, self.qubits, 3, generator=generator)
        return x, theta, torch.randint(0, 2, (self.batch,), generator=generator)


def ours(row: Row) -> Step:
    """The engine's gradient in inputs and parameters."""
    circuit = encodings.angle(row.qubits, scale=1.0)
    circuit = circuit.then(ansaetze.strongly_entangling(row.qubits, layers=row.layers))
    x, theta, y = row.data()
    x.requires_grad_(True)
    flat = theta.flatten().requires_grad_(True)
    observables = per_qubit_z(2, row.qubits)

    def step() -> object:
        scores = engine.expectations(circuit, observables, inputs=x, parameters=flat)
        loss = torch.nn.functional.cross_entropy(scores, y)
        return torch.autograd.grad(loss, (x, flat))

    return step


def frozen(row: Row) -> Step:
    """The input gradient of the frozen model, which is what an attack calls."""
    circuit = encodings.angle(row.qubits, scale=1.0)
    circuit = circuit.then(ansaetze.strongly_entangling(row.qubits, layers=row.layers))
    x, theta, y = row.data()
    x.requires_grad_(True)
    model = engine.FrozenModel(circuit, per_qubit_z(2, row.qubits), theta.flatten())

    def step() -> object:
        return torch.autograd.grad(torch.nn.functional.cross_entropy(model(x), y), x)

    return step


def pennylane(row: Row) -> Step:
    """PennyLane's ``default.qubit`` with torch and back-propagation, broadcast over the batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pennylane as qml

    x, theta, y = row.data()
    x.requires_grad_(True)
    theta.requires_grad_(True)

    @qml.qnode(
        qml.device("default.qubit", wires=row.qubits), interface="torch", diff_method="backprop"
    )
    def node(features: torch.Tensor, weights: torch.Tensor) -> object:
        qml.AngleEmbedding(features, wires=range(row.qubits), rotation="Y")
        qml.StronglyEntanglingLayers(weights, wires=range(row.qubits))
        return [qml.expval(qml.Z(k)) for k in range(2)]

    def step() -> object:
        scores = torch.stack(node(x, theta), dim=1).float()
        loss = torch.nn.functional.cross_entropy(scores, y)
        return torch.autograd.grad(loss, (x, theta))

    return step


CONTENDERS: Mapping[str, Callable[[Row], Step]] = {
    "robustq": ours,
    "robustq-frozen": frozen,
    "pennylane": pennylane,
}
ROWS = (Row(4, 6, 256), Row(6, 6, 256), Row(8, 6, 256), Row(10, 6, 256))
