"""Noise amplified by gates that undo each other: ``U -> U U^dagger U``.

Giurgica-Tiron, Hindy, LaRose, Mari & Zeng, "Digital zero noise extrapolation for quantum error mitigation",
IEEE QCE 2020. A folded circuit does the same without noise, and is ``scale`` times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robustq.circuits import Circuit
from robustq.circuits.circuit import Operation
from robustq.errors import SpecError


def fold_global(circuit: Circuit, scale: float) -> Circuit:
    """The whole circuit and its inverse in turn, then as many of its last gates as are missing.

    >>> from robustq.circuits import ansaetze
    >>> circuit = ansaetze.brickwork(2)
    >>> len(circuit.operations), len(fold_global(circuit, 3).operations)
    (8, 24)
    """
    operations = circuit.operations
    whole, part = _counts(len(operations), scale)
    backwards = tuple(o.inverse() for o in reversed(operations))
    last = operations[len(operations) - part :]
    tail = backwards[:part] + last
    return _with(circuit, operations + (backwards + operations) * whole + tail)


def fold_gates(circuit: Circuit, scale: float) -> Circuit:
    """Every gate and its inverse in turn; what is missing is spread evenly over the circuit.

    >>> from robustq.circuits import ansaetze
    >>> [o.gate for o in fold_gates(ansaetze.brickwork(2), 3).operations[:3]]
    ['ry', 'ry', 'ry']
    """
    operations = circuit.operations
    whole, part = _counts(len(operations), scale)
    folded: list[Operation] = []
    for k, operation in enumerate(operations):
        # Bresenham: `part` of the gates, spread evenly
        once_more = (k + 1) * part // len(operations) > k * part // len(operations)
        folded += [operation] + [operation.inverse(), operation] * (whole + once_more)
    return _with(circuit, tuple(folded))


FOLDINGS: Mapping[str, Callable[[Circuit, float], Circuit]] = {"global": fold_global, "local": fold_gates}


def reached(circuit: Circuit, scale: float) -> float:
    """The scale that folding reaches: each fold adds a gate and its inverse, so it is not continuous.

    >>> from robustq.circuits import ansaetze
    >>> reached(ansaetze.brickwork(2), 1.4)
    1.5
    """
    count = len(circuit.operations)
    whole, part = _counts(count, scale)
    return 1 + 2 * (whole + part / count)


def _counts(gates: int, scale: float) -> tuple[int, int]:
    """How often everything is folded, and how many gates once more."""
    if not scale >= 1:
        raise SpecError(f"folding: expected a scale >= 1, got {scale}")
    if not gates:
        raise SpecError("folding: expected a circuit with gates, got none")
    return divmod(round(gates * (scale - 1) / 2), gates)


def _with(circuit: Circuit, operations: tuple[Operation, ...]) -> Circuit:
    return Circuit(circuit.qubits, operations, circuit.inputs, circuit.parameters, circuit.amplitudes)
