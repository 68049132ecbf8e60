"""The inverse of a channel as a quasi-probability over operations that a device can do.

Temme, Bravyi & Gambetta, PRL 119, 180509 (2017); Endo, Benjamin & Li, PRX 8, 031027 (2018). An inverse is no
channel: its weights ``q_i`` add up to one but some are negative, and ``cost = sum |q_i|`` is what sampling it
multiplies every outcome by.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.gates import GATES, PAULI
from robustq.errors import CircuitError
from robustq.noise import Channel

RealMatrix = NDArray[np.float64]
LETTERS = "IXYZ"
LEAST_SINGULAR = 1e-4  # of a channel's transfer matrix: below, the cost of one gate passes ten thousand


@dataclass(frozen=True, eq=False)
class Quasi:
    """``inverse = sum_i weights_i operations_i``.

    Attributes:
        weights: ``(operations,)``, adding up to one.
        operations: Pauli transfer matrices, ``(operations, 4**k, 4**k)``.
    """

    weights: RealMatrix
    operations: RealMatrix

    @property
    def cost(self) -> float:
        """``sum |q_i|``, at least 1."""
        return float(np.abs(self.weights).sum())


@lru_cache(maxsize=4096)
def inverse(channel: Channel) -> Quasi:
    """The cheapest inverse over the operations tried: one unitary, Pauli words, or local operations.

    A Pauli channel is undone by Pauli words, a unitary by its own inverse, anything else by a linear programme
    over ten one-qubit gates and preparations of four states (one qubit), or products of them.

    Raises:
        CircuitError: if the channel cannot be inverted, or not by these; the message says how far it is.

    >>> round(inverse(Channel("depolarising", 0.1)).cost, 6)  # (1 + p / 2) / (1 - p)
    1.166667
    """
    table = channel.ptm
    smallest = float(np.linalg.svd(table, compute_uv=False)[-1])
    if smallest < LEAST_SINGULAR:
        raise CircuitError(
            f"pec: expected a channel that can be inverted, its smallest singular value at least "
            f"{LEAST_SINGULAR:g}, got {smallest:.2g} for {channel!r}"
        )
    # a unitary is undone by a unitary, at no cost
    if len(channel.kraus) == 1:
        return Quasi(np.ones(1), _inverted(table)[None])
    if np.abs(table - np.diag(np.diag(table))).max() < 1e-12:
        return _by_paulis(np.diag(table))
    return _by_programme(channel, _inverted(table))


def _inverted(table: RealMatrix) -> RealMatrix:
    return np.asarray(np.linalg.inv(table), np.float64)


def _by_paulis(diagonal: NDArray[np.float64]) -> Quasi:
    """Weights of Pauli words by the Walsh-Hadamard transform of the inverse's eigenvalues."""
    words = pauli_words(len(diagonal))
    signs = np.stack([np.diag(word) for word in words])
    return Quasi(signs @ (1 / diagonal) / len(diagonal), words)


def _by_programme(channel: Channel, target: RealMatrix) -> Quasi:
    """The weights of least cost, as a linear programme with positive and negative parts."""
    from scipy.optimize import linprog

    basis = local_operations(channel.qubits)
    table = basis.reshape(len(basis), -1).T
    solution = linprog(
        np.ones(2 * len(basis)), A_eq=np.hstack([table, -table]), b_eq=target.ravel(), bounds=(0, None)
    )
    if not solution.success or solution.x is None:
        raise CircuitError(
            f"pec: expected a noise model whose inverse is a combination of local operations, got {channel!r}; "
            "pauli, depolarising, damping, relaxation and unitary channels are"
        )
    weights = solution.x[: len(basis)] - solution.x[len(basis) :]
    used = np.abs(weights) > 1e-12
    return Quasi(weights[used], basis[used])


@lru_cache(maxsize=4)
def pauli_words(size: int) -> RealMatrix:
    """The transfer matrices of the Pauli words on ``log4(size)`` qubits, ``(size, size, size)``."""
    single = [np.diag([1.0, *(1.0 if a == b else -1.0 for b in "XYZ")]) for a in "XYZ"]
    single = [np.eye(4), *single]
    count = round(math.log(size, 4))
    return np.array([_kron(parts) for parts in itertools.product(single, repeat=count)])


@lru_cache(maxsize=2)
def local_operations(qubits: int) -> RealMatrix:
    """Ten gates that span the unital maps of a qubit and four preparations; products for two qubits."""
    gates = [_unitary(PAULI[letter]) for letter in LETTERS]
    s, sx, h = (GATES[name].matrix() for name in ("s", "sx", "h"))
    turns = (s, sx, s @ sx @ s.conj().T, h, h @ s, s @ h)
    gates += [_unitary(turn) for turn in turns]
    single = gates + [_prepared(bloch) for bloch in ((0, 0, 1), (0, 0, -1), (1, 0, 0), (0, 1, 0))]
    return np.array([_kron(parts) for parts in itertools.product(single, repeat=qubits)])


def _unitary(matrix: NDArray[np.complex128]) -> RealMatrix:
    words = [PAULI[letter] for letter in LETTERS]
    images = [matrix @ word @ matrix.conj().T for word in words]
    return np.array([[np.trace(a @ b).real / 2 for b in images] for a in words])


def _prepared(bloch: Sequence[float]) -> RealMatrix:
    """Whatever comes in, this state comes out."""
    table = np.zeros((4, 4))
    table[:, 0] = [1, *bloch]
    return table


def _kron(parts: Sequence[RealMatrix]) -> RealMatrix:
    total: RealMatrix = np.eye(1)
    for part in parts:
        total = np.asarray(np.kron(total, part), np.float64)
    return total
