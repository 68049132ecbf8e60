"""Gates that a compiler or a cloud adds to the circuit, or leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.circuits import Circuit, Operation, op, theta
from robustq.contracts import CircuitClassifier
from robustq.tampering.surface import Surface, described, extended, rewritten, surface
from robustq.threats import Knobs, Switches

AXES = ("rx", "ry", "rz")


@dataclass(frozen=True)
class GateInsertion:
    """At most ``at_most`` extra rotations by at most ``eps`` radians, anywhere in the circuit.

    After every gate an RX, an RY and an RZ wait at angle zero on each of its qubits. Small gates that
    hide in a circuit are the hardware Trojans of Roy, Das & Ghosh (ISQED 2024), there placed by hand.

    Args:
        eps: largest angle of an inserted gate, in radians.
        at_most: how many gates are inserted; None for any number.
        norm: ``"linf"`` (each gate) or ``"l2"`` (all together).

    >>> GateInsertion(0.5, at_most=2).threat(None).at_most
    2
    """

    eps: float = 0.5
    at_most: int | None = 3
    norm: str = "linf"

    def __post_init__(self) -> None:
        self.threat(None)  # refuses an impossible budget now

    def threat(self, model: CircuitClassifier | None) -> Knobs:
        """One knob an inserted gate."""
        return Knobs(self.eps, self.norm, self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model with the waiting gates."""
        circuit, names = _with_waiting_gates(model.circuit)
        return rewritten(model, x, circuit, names)


def _with_waiting_gates(circuit: Circuit) -> tuple[Circuit, list[str]]:
    operations: list[Operation] = []
    names: list[str] = []
    for k, operation in enumerate(circuit.operations):
        operations.append(operation)
        for qubit in operation.qubits:
            for axis in AXES:
                slot = theta(circuit.parameters + len(names))
                operations.append(op(axis, qubit, angles=[slot]))
                names.append(f"{axis} on {qubit} after gate {k} ({described(operation)})")
    return extended(circuit, operations, len(names)), names


@dataclass(frozen=True)
class GateRemoval:
    """At most ``at_most`` gates are left out of the circuit, encoding gates included.

    The reverse of an insertion, in the Trojan taxonomy of Das & Ghosh (2023); as a search over sets of
    gates it is this library's.

    Args:
        at_most: how many gates are left out.

    >>> GateRemoval(2).threat(None).at_most
    2
    """

    at_most: int = 2

    def __post_init__(self) -> None:
        self.threat(None)  # refuses an impossible budget now

    def threat(self, model: CircuitClassifier | None) -> Switches:
        """One switch a gate."""
        return Switches(self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model without the gates that are switched off (setting 1)."""
        features, circuit = model.encoder_inputs(x).detach(), model.circuit
        angles = model.angles.detach()

        def logits(settings: Tensor) -> Tensor:
            removed = (settings > 0.5).tolist()
            pairs = zip(circuit.operations, removed, strict=True)
            reduced = extended(circuit, (o for o, gone in pairs if not gone), 0)
            with torch.no_grad():
                return model.read(model.measured(features, angles, circuit=reduced))

        names = [f"gate {k} ({described(o)})" for k, o in enumerate(circuit.operations)]
        return surface(names, features, logits)
