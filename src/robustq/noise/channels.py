"""One-qubit noise channels, each as its Kraus operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.gates import PAULI
from robustq.errors import CircuitError, unknown_name

Kraus = tuple[NDArray[np.complex128], ...]


def _paulis(p_x: float, p_y: float, p_z: float) -> Kraus:
    weights = {"I": 1 - p_x - p_y - p_z, "X": p_x, "Y": p_y, "Z": p_z}
    return tuple(math.sqrt(max(w, 0.0)) * PAULI[letter] for letter, w in weights.items())


def _depolarising(p: float) -> Kraus:
    return _paulis(p / 4, p / 4, p / 4)


def _amplitude_damping(p: float) -> Kraus:
    keep = np.array([[1, 0], [0, math.sqrt(1 - p)]], dtype=complex)
    drop = np.array([[0, math.sqrt(p)], [0, 0]], dtype=complex)
    return keep, drop


def _phase_damping(p: float) -> Kraus:
    keep = np.array([[1, 0], [0, math.sqrt(1 - p)]], dtype=complex)
    drop = np.array([[0, 0], [0, math.sqrt(p)]], dtype=complex)
    return keep, drop


# name: probability -> Kraus operators. Depolarising replaces the qubit by the maximally mixed
# state with probability p (Nielsen & Chuang, eq. 8.102), so <Z> shrinks by exactly 1 - p.
CHANNELS: Mapping[str, Callable[[float], Kraus]] = {
    "depolarising": _depolarising,
    "bit-flip": lambda p: _paulis(p, 0, 0),
    "phase-flip": lambda p: _paulis(0, 0, p),
    "amplitude-damping": _amplitude_damping,
    "phase-damping": _phase_damping,
}


@dataclass(frozen=True)
class Channel:
    """A named one-qubit channel with its strength.

    >>> Channel("depolarising", 0.1).superoperator.shape
    (4, 4)
    """

    name: str
    p: float

    def __post_init__(self) -> None:
        if self.name not in CHANNELS:
            raise unknown_name("channel", self.name, CHANNELS)
        if not 0 <= self.p <= 1:
            raise CircuitError(f"channel {self.name!r}: expected p in [0, 1], got {self.p}")

    @property
    def kraus(self) -> Kraus:
        """The Kraus operators ``K_i`` with ``sum K_i^dagger K_i = 1``."""
        return CHANNELS[self.name](self.p)

    @property
    def superoperator(self) -> NDArray[np.complex128]:
        """``sum K_i (x) conj(K_i)``: acts on the row and column index of the qubit, (4, 4)."""
        total = np.zeros((4, 4), dtype=complex)
        for operator in self.kraus:
            total += np.kron(operator, operator.conj())
        return total
