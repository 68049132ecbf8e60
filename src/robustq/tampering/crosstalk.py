"""A co-tenant of the chip drives ZZ interactions between the victim's qubits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from robustq.circuits import Circuit, Operation, op, theta
from robustq.contracts import CircuitClassifier
from robustq.errors import CircuitError
from robustq.tampering.surface import Surface, extended, rewritten
from robustq.threats import Knobs

Couplings = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Crosstalk:
    """After every layer of gates each coupling turns by its own ZZ angle, at most ``eps`` radians.

    The co-tenant of Ash-Saki, Alam & Ghosh (ISLPED 2020) chooses how hard to drive each coupling, and
    keeps to it while the victim's circuit runs. The co-tenant's own qubits are not simulated: what
    they do to the victim is the rotation.

    Args:
        eps: largest angle a layer, in radians.
        couplings: pairs of qubits; None for neighbours on a ring.
        at_most: how many couplings may be driven; None for all.

    >>> Crosstalk(0.1).threat(None).eps
    0.1
    """

    eps: float = 0.1
    couplings: Couplings | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        if self.couplings is not None:
            object.__setattr__(self, "couplings", _pairs(self.couplings))
        self.threat(None)  # refuses an impossible budget now

    def threat(self, model: CircuitClassifier | None) -> Knobs:
        """One knob a coupling."""
        return Knobs(self.eps, at_most=self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model with a ZZ rotation on every coupling after every layer."""
        circuit, pairs = model.circuit, self._on(model.circuit.qubits)
        driven = [op("rzz", i, j, angles=[theta(circuit.parameters + k)]) for k, (i, j) in enumerate(pairs)]
        operations = [o for layer in layers(circuit) for o in (*layer, *driven)]
        names = [f"ZZ on {i}, {j}" for i, j in pairs]
        return rewritten(model, x, extended(circuit, operations, len(pairs)), names)

    def _on(self, qubits: int) -> Couplings:
        pairs = ring_pairs(qubits) if self.couplings is None else self.couplings
        if not pairs or max(map(max, pairs)) >= qubits:
            raise CircuitError(f"crosstalk: expected couplings of qubits in 0..{qubits - 1}, got {pairs}")
        return pairs


def _pairs(couplings: Any) -> Couplings:
    """Couplings as tuples, lists taken too."""
    try:
        pairs = tuple((int(i), int(j)) for i, j in couplings)
    except TypeError as failure:
        raise CircuitError(f"crosstalk: expected pairs of qubits, got {couplings!r}") from failure
    if not pairs or any(i == j or min(i, j) < 0 for i, j in pairs):
        raise CircuitError(f"crosstalk: expected pairs of different qubits >= 0, got {pairs}")
    return pairs


def ring_pairs(qubits: int) -> Couplings:
    """Neighbours on a ring, each pair once.

    >>> ring_pairs(3)
    ((0, 1), (1, 2), (0, 2))
    """
    pairs = [(min(q, (q + 1) % qubits), max(q, (q + 1) % qubits)) for q in range(qubits)]
    return tuple(dict.fromkeys(p for p in pairs if p[0] != p[1]))


def layers(circuit: Circuit) -> list[list[Operation]]:
    """The operations in layers that can run at the same time, each as early as it can.

    >>> from robustq.circuits import ansaetze
    >>> [len(layer) for layer in layers(ansaetze.brickwork(4, layers=1))]
    [4, 2]
    """
    moments: list[list[Operation]] = [[] for _ in range(circuit.depth)]
    level = [0] * circuit.qubits
    for operation in circuit.operations:
        start = max(level[q] for q in operation.qubits)
        moments[start].append(operation)
        for q in operation.qubits:
            level[q] = start + 1
    return moments
