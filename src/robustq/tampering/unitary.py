"""One small unitary on every encoded state."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.circuits import op, theta
from robustq.contracts import CircuitClassifier
from robustq.tampering.crosstalk import ring_pairs
from robustq.tampering.surface import Surface, extended, rewritten
from robustq.threats import Knobs


@dataclass(frozen=True)
class UniversalUnitary:
    """Pauli rotations after the last encoding gate, the same for every input.

    The universal adversarial perturbation of Gong & Deng (NSR 9, 2022) as a product of rotations: X, Y
    and Z on every qubit, then XX, YY and ZZ on neighbours of a ring.

    Args:
        eps: largest size of all angles together, in radians.
        norm: ``"l2"`` or ``"linf"`` (each angle).
        at_most: how many rotations there may be; None for any number.

    >>> UniversalUnitary(0.3).threat(None).norm
    'l2'
    """

    eps: float = 0.5
    norm: str = "l2"
    at_most: int | None = None

    def __post_init__(self) -> None:
        self.threat(None)  # refuses an impossible budget now

    def threat(self, model: CircuitClassifier | None) -> Knobs:
        """One knob a rotation."""
        return Knobs(self.eps, self.norm, self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model with the rotations behind its encoder."""
        circuit = model.circuit
        places: list[tuple[str, tuple[int, ...]]] = [(f"r{a}", (q,)) for q in range(circuit.qubits) for a in "xyz"]
        places += [(f"r{a}{a}", pair) for pair in ring_pairs(circuit.qubits) for a in "xyz"]
        turns = [op(gate, *qubits, angles=[theta(circuit.parameters + k)]) for k, (gate, qubits) in enumerate(places)]
        encoding = [k + 1 for k, o in enumerate(circuit.operations) if o.has_inputs]
        split = max(encoding, default=0)
        operations = (*circuit.operations[:split], *turns, *circuit.operations[split:])
        names = [f"{gate} on {', '.join(map(str, qubits))}" for gate, qubits in places]
        return rewritten(model, x, extended(circuit, operations, len(turns)), names)
