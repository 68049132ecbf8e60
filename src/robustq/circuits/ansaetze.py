"""Ansaetze: trainable circuits to put behind an encoding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from robustq.circuits.angles import Angle, theta
from robustq.circuits.circuit import Circuit, Operation, op
from robustq.circuits.encodings import ring
from robustq.errors import CircuitError


def _slots() -> Iterator[Angle]:
    return (theta(index) for index in count())


def _check(qubits: int, layers: int = 1) -> None:
    if qubits < 1 or layers < 1:
        raise CircuitError(f"expected qubits and layers >= 1, got {qubits} and {layers}")


def strongly_entangling(qubits: int, *, layers: int = 3) -> Circuit:
    """General rotations and CNOT rings of growing range (Schuld et al. 2020).

    Layer ``l`` uses range ``l mod (qubits - 1) + 1``, as PennyLane's template does.

    >>> strongly_entangling(4, layers=2).parameters
    24
    """
    _check(qubits, layers)
    slots = _slots()
    operations: list[Operation] = []
    for layer in range(layers):
        operations += [op("rot", q, angles=[next(slots), next(slots), next(slots)]) for q in range(qubits)]
        operations += ring(qubits, layer % max(1, qubits - 1) + 1)
    return Circuit.of(qubits, operations)


def hardware_efficient(qubits: int, *, layers: int = 3) -> Circuit:
    """RY and RZ on every qubit, then a ladder of CZ (Kandala et al. 2017).

    >>> hardware_efficient(3, layers=1).counts
    {'ry': 3, 'rz': 3, 'cz': 2}
    """
    _check(qubits, layers)
    slots = _slots()
    operations: list[Operation] = []
    for _ in range(layers):
        for gate in ("ry", "rz"):
            operations += [op(gate, q, angles=[next(slots)]) for q in range(qubits)]
        operations += [op("cz", q, q + 1) for q in range(qubits - 1)]
    return Circuit.of(qubits, operations)


def brickwork(qubits: int, *, layers: int = 3) -> Circuit:
    """RY on every qubit, then CZ on alternating pairs of neighbours (Cerezo et al. 2021).

    >>> brickwork(4, layers=2).counts
    {'ry': 8, 'cz': 3}
    """
    _check(qubits, layers)
    slots = _slots()
    operations: list[Operation] = []
    for layer in range(layers):
        operations += [op("ry", q, angles=[next(slots)]) for q in range(qubits)]
        operations += [op("cz", q, q + 1) for q in range(layer % 2, qubits - 1, 2)]
    return Circuit.of(qubits, operations)


def qcnn(qubits: int, *, keep: int = 1) -> Circuit:
    """Convolutions on neighbours and pooling that halves the register (Cong et al. 2019).

    The information ends in qubits ``0 .. keep-1``, which are the ones to read.

    >>> qcnn(8).parameters
    92
    """
    _check(qubits, keep)
    slots = _slots()
    operations: list[Operation] = []
    active = list(range(qubits))
    while len(active) > keep:
        for start in (0, 1):
            for a, b in zip(active[start::2], active[start + 1 :: 2], strict=False):
                operations += _convolution(a, b, slots)
        half = max(keep, (len(active) + 1) // 2)
        for target, source in zip(active[: len(active) - half], active[half:], strict=True):
            operations += _pooling(source, target, slots)
        active = active[:half]
    operations += [op("ry", q, angles=[next(slots)]) for q in active]
    return Circuit.of(qubits, operations)


def tree_tensor(qubits: int) -> Circuit:
    """A binary tree of two-qubit blocks; the root is qubit 0 (Grant et al. 2018).

    >>> tree_tensor(4).counts
    {'ry': 7, 'cx': 3}
    """
    _check(qubits)
    slots = _slots()
    operations: list[Operation] = []
    active = list(range(qubits))
    while len(active) > 1:
        for a, b in zip(active[::2], active[1::2], strict=False):
            operations += [op("ry", q, angles=[next(slots)]) for q in (a, b)]
            operations.append(op("cx", b, a))
        active = active[::2]
    operations.append(op("ry", 0, angles=[next(slots)]))
    return Circuit.of(qubits, operations)


def _convolution(a: int, b: int, slots: Iterator[Angle]) -> list[Operation]:
    """Rotations and an XX+YY+ZZ interaction."""
    turns = [op(gate, q, angles=[next(slots)]) for q in (a, b) for gate in ("ry", "rz")]
    return turns + [op(gate, a, b, angles=[next(slots)]) for gate in ("rxx", "ryy", "rzz")]


def _pooling(source: int, target: int, slots: Iterator[Angle]) -> list[Operation]:
    """Controlled rotations that carry what ``source`` knows to ``target``."""
    return [op("crz", source, target, angles=[next(slots)]), op("crx", source, target, angles=[next(slots)])]
