"""The workload as a PennyLane QNode, for its torch, JAX and lightning contenders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perf.workload import CLASSES, Workload


def node(work: Workload, interface: str) -> Callable[[Any, Any], Any]:
    """``default.qubit``, or ``default.mixed`` with noise, differentiated by back-propagation."""
    import pennylane as qml

    device = qml.device("default.mixed" if work.noise else "default.qubit", wires=work.qubits)
    made: Callable[[Any, Any], Any] = qml.QNode(function(work), device, interface=interface, diff_method="backprop")
    return made


def function(work: Workload) -> Callable[[Any, Any], Any]:
    """The quantum function of features ``(..., qubits)`` and weights; a list of scores."""
    import pennylane as qml

    def channel(*wires: int) -> None:
        for wire in wires if work.noise else ():
            # PennyLane's p is the chance of a Pauli error, three quarters of being replaced.
            qml.DepolarizingChannel(0.75 * work.noise, wires=wire)

    def circuit(x: Any, theta: Any) -> Any:
        for q in range(work.qubits):
            qml.RY(x[..., q], wires=q)
            channel(q)
        for layer, pairs in enumerate(work.entanglers()):
            for q in range(work.qubits):
                qml.Rot(theta[layer, q, 0], theta[layer, q, 1], theta[layer, q, 2], wires=q)
                channel(q)
            for pair in pairs:
                qml.CNOT(wires=pair)
                channel(*pair)
        return [qml.expval(qml.Z(k)) for k in range(CLASSES)]

    return circuit
