"""What everybody computes: one circuit, one batch, one loss, the same numbers for all.

RY(x_i) on each qubit; L layers of a general rotation on each qubit and a ring of CNOTs of range
``l mod (n - 1) + 1``; <Z> of the first two qubits are the scores of a softmax cross-entropy. One call is
the loss and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.circuits import Circuit, Observable, ansaetze, encodings, per_qubit_z
from robustq.noise import NoiseModel

CLASSES = 2
# Loss, gradient in the inputs (batch, qubits), gradient in the parameters (layers, qubits, 3); arrays
# of whatever library, None for what was not asked or cannot be had.
Answer = tuple[Any, Any, Any]
Step = Callable[[], Answer]


@dataclass(frozen=True)
class Workload:
    """One size of the workload.

    Attributes:
        qubits: also the number of features.
        layers: depth L.
        batch: samples in a call.
        noise: depolarising probability after every gate on the qubits it touched; 0 for pure states.
        trains: whether the gradient in the parameters is wanted beside that in the inputs.
    """

    qubits: int
    layers: int
    batch: int
    noise: float = 0.0
    trains: bool = True

    def data(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs ``(batch, qubits)``, parameters ``(layers, qubits, 3)`` and labels ``(batch,)``."""
        generator = torch.Generator().manual_seed(0)
        theta = torch.randn(self.layers, self.qubits, 3, generator=generator)
        x = torch.rand(self.batch, self.qubits, generator=generator)
        return x, theta, torch.randint(0, CLASSES, (self.batch,), generator=generator)

    def circuit(self) -> Circuit:
        """The circuit in our own words."""
        encoder = encodings.angle(self.qubits, scale=1.0)
        return encoder.then(ansaetze.strongly_entangling(self.qubits, layers=self.layers))

    def observables(self) -> tuple[Observable, ...]:
        """One score a class."""
        return tuple(per_qubit_z(CLASSES, self.qubits))

    def noise_model(self) -> NoiseModel | None:
        """The noise in our own words."""
        return NoiseModel.uniform(gate_error=self.noise) if self.noise else None

    def entanglers(self) -> list[list[tuple[int, int]]]:
        """Control and target of the CNOTs of every layer, for the other libraries."""
        step = max(1, self.qubits - 1)
        rings = [encodings.ring(self.qubits, layer % step + 1) for layer in range(self.layers)]
        return [[(o.qubits[0], o.qubits[1]) for o in ring] for ring in rings]
