"""Circuits that prepare given real states: exactly, or by a staircase of two-qubit rotations.

Two CNOTs make any rotation of two qubits (Vatan & Williams, PRA 69, 032315, 2004), one prepares any real state of
two qubits, and ``2^n - 2`` prepare any real state of ``n`` (Moettoenen et al., Quantum Inf. Comput. 5, 467, 2005).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.circuits.circuit import Circuit, Operation, op
from robustq.errors import CircuitError

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

CLOSE = 1e-8  # how far a matrix may be from a rotation
NOTHING = 1e-9  # a Schmidt coefficient, or an angle, below which no gate is spent

# Between the gates of a rotation of two qubits: conjugated by it, rotations are products (Makhlin 2002).
MAGIC: Complex = (
    np.array([[1, 1j, 0, 0], [0, 0, 1j, 1], [0, 0, 1j, -1], [1, -1j, 0, 0]]) / math.sqrt(2)
).astype(np.complex128)


def turn(gate: str, angle: float, qubit: int) -> list[Operation]:
    """A rotation by an angle, full turns taken off (they only change a sign); nothing where none is left."""
    left = math.remainder(angle, 2 * math.pi)
    return [op(gate, qubit, angles=[left])] if abs(left) > NOTHING else []


def _orthogonal(matrix: Real, qubit: int) -> list[Operation]:
    """A real orthogonal 2 x 2 matrix, up to a sign: a rotation, with a Z first where it is a reflection."""
    first = [] if np.linalg.det(matrix) > 0 else [op("z", qubit)]
    return first + turn("ry", 2 * math.atan2(matrix[1, 0], matrix[0, 0]), qubit)


def two_qubit_state(vector: ArrayLike, a: int, b: int) -> list[Operation]:
    """Gates that prepare a real state of two qubits from |00>, up to a sign: one CNOT, none for a product.

    Args:
        vector: four amplitudes of unit length; ``a`` is the more significant qubit.
        a: one qubit.
        b: another one.

    >>> [o.gate for o in two_qubit_state([0.8, 0.0, 0.0, 0.6], 0, 1)]
    ['ry', 'cx']
    """
    left, values, right = np.linalg.svd(np.asarray(vector, dtype=float).reshape(2, 2))
    if abs(np.hypot(*values) - 1) > CLOSE:
        raise CircuitError(f"expected a unit vector, got length {np.hypot(*values):g}")
    # the signs of both second columns may turn together: the state has only their product
    if np.linalg.det(left) < 0:
        left, right = left * [1, -1], right * [[1], [-1]]
    first = turn("ry", 2 * math.atan2(values[1], values[0]), a)
    joined = [op("cx", a, b)] if first else []
    return first + joined + _orthogonal(left, a) + _orthogonal(right.T, b)


def rotation(matrix: ArrayLike, a: int, b: int) -> list[Operation]:
    """Gates that make a real rotation of two qubits, up to a phase: at most two CNOTs, none for a product.

    Args:
        matrix: of SO(4), ``(4, 4)``; ``a`` is the more significant qubit.
        a: one qubit.
        b: another one.

    Raises:
        CircuitError: if the matrix is no rotation.

    >>> sum(o.gate == "cx" for o in rotation(np.eye(4)[[1, 0, 3, 2]] @ np.diag([1, -1, 1, -1]), 0, 1))
    0
    """
    given = np.asarray(matrix, dtype=float)
    off = float(np.abs(given @ given.T - np.eye(4)).max()) if given.shape == (4, 4) else math.inf
    if off > CLOSE or np.linalg.det(given) < 0:
        raise CircuitError(f"expected a rotation of four dimensions, got a matrix off by {off:g}")
    factors = _factors(given.astype(complex))
    if factors is not None:
        return [*_single(factors[0], a), *_single(factors[1], b)]
    factors = _factors(MAGIC @ given @ MAGIC.conj().T)
    assert factors is not None  # what the magic basis is for
    into = [op("s", a), op("s", b), op("h", b), op("cx", b, a)]
    undone = [operation.inverse() for operation in reversed(into)]
    return [*into, *_single(factors[0], a), *_single(factors[1], b), *undone]


def _factors(matrix: Complex) -> tuple[Complex, Complex] | None:
    """Unitary ``A``, ``B`` with ``A (x) B`` equal to the matrix; None if it is no product."""
    blocks = (
        matrix.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    )  # (A entries, B entries)
    left, values, right = np.linalg.svd(blocks)
    if values[1] > 1e-6 * values[0]:
        return None
    first, second = left[:, 0].reshape(2, 2), right[0].reshape(2, 2) * values[0]
    scale = np.linalg.norm(first) / math.sqrt(2)
    return first / scale, second * scale


def _single(matrix: Complex, qubit: int) -> list[Operation]:
    """A unitary of one qubit, up to a phase, as ``RZ RY RZ``."""
    special = matrix / np.sqrt(complex(np.linalg.det(matrix)))
    theta = 2 * math.atan2(abs(special[1, 0]), abs(special[0, 0]))
    plus, minus = 2 * float(np.angle(special[1, 1])), 2 * float(np.angle(special[1, 0]))
    if (
        min(abs(special[1, 0]), abs(special[1, 1])) <= NOTHING
    ):  # diagonal or off it: one phase says it all
        late, early = (plus if abs(special[1, 1]) > NOTHING else minus), 0.0
    else:
        late, early = (plus + minus) / 2, (plus - minus) / 2
    return turn("rz", early, qubit) + turn("ry", theta, qubit) + turn("rz", late, qubit)


def staircase(gates: Iterable[tuple[int, ArrayLike, bool]], qubits: int) -> Circuit:
    """A circuit of rotations on neighbours.

    Args:
        gates: in order, ``(place, matrix, fresh)``: on the qubits ``place`` and ``place + 1``; where ``fresh``
            both are still |0> and only the first column counts.
        qubits: width of the register.

    >>> first = np.eye(4) * 0.8 + 0.6 * np.array([[0, 0, 0, -1], [0, 0, 1, 0], [0, -1, 0, 0], [1, 0, 0, 0]])
    >>> staircase([(0, first, True), (1, np.eye(4), False)], 3).counts
    {'ry': 1, 'cx': 1}
    """
    operations: list[Operation] = []
    for place, matrix, fresh in gates:
        pair = place, place + 1
        given = np.asarray(matrix, dtype=float)
        operations += two_qubit_state(given[:, 0], *pair) if fresh else rotation(given, *pair)
    return Circuit.of(qubits, operations)


def exact(vector: ArrayLike) -> Circuit:
    """A circuit that prepares any real state from |0...0>, up to a sign, with ``2^n - 2`` CNOTs.

    Raises:
        CircuitError: if the vector has not ``2^n`` amplitudes, or is zero.

    >>> exact([0.5, 0.5, -0.5, 0.5]).counts["cx"]
    2
    """
    amplitudes = np.asarray(vector, dtype=float)
    qubits = amplitudes.size.bit_length() - 1
    length = float(np.linalg.norm(amplitudes))
    if amplitudes.shape != (2**qubits,) or qubits < 1 or not (0 < length < math.inf):
        raise CircuitError(
            f"expected 2^n real amplitudes, not all zero, got shape {amplitudes.shape}"
        )
    operations: list[Operation] = []
    for qubit in range(qubits):
        parts = amplitudes.reshape(2**qubit, 2, -1)
        # signs are for the last qubit
        parts = np.linalg.norm(parts, axis=2) if qubit < qubits - 1 else parts[:, :, 0]
        operations += multiplexed(2 * np.arctan2(parts[:, 1], parts[:, 0]), qubit)
    return Circuit.of(qubits, operations)


def multiplexed(angles: Sequence[float] | Real, target: int) -> list[Operation]:
    """``RY`` on ``target`` by an angle for each state of the qubits ``0 .. target-1``, by Gray code.

    >>> [o.gate for o in multiplexed([0.1, 0.3], 1)]
    ['ry', 'cx', 'ry', 'cx']
    """
    given = np.asarray(angles, dtype=float)
    count = given.size
    gray = np.arange(count) ^ (np.arange(count) >> 1)
    signs = np.array([[(-1.0) ** int(j & g).bit_count() for g in gray] for j in range(count)])
    mixed = signs.T @ given / count
    operations: list[Operation] = []
    for place, angle in enumerate(mixed):
        operations.append(op("ry", target, angles=[float(angle)]))
        if count > 1:
            flips = int(gray[place] ^ gray[(place + 1) % count])
            operations.append(op("cx", target - flips.bit_length(), target))
    return operations
