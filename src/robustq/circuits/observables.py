"""Observables: weighted sums of Pauli words, and projectors on groups of basis states."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.gates import pauli_matrix
from robustq.errors import CircuitError

Word = tuple[tuple[int, str], ...]
RealArray = NDArray[np.float64]


@runtime_checkable
class Observable(Protocol):
    """A Hermitian operator on some qubits of a register."""

    @property
    def qubits(self) -> tuple[int, ...]:
        """The qubits it acts on, sorted."""
        ...

    @property
    def is_diagonal(self) -> bool:
        """Whether it is diagonal in the basis, so that no rotation is needed to read it."""
        ...

    def diagonal(self, qubits: int) -> RealArray | None:
        """Its diagonal ``(2**qubits,)`` if it is diagonal in the basis, else ``None``."""
        ...

    def matrix(self, qubits: int) -> NDArray[np.complex128]:
        """Its matrix ``(2**qubits, 2**qubits)`` on a register of ``qubits``."""
        ...


@dataclass(frozen=True)
class PauliSum:
    """``sum_k c_k P_k`` with Pauli words ``P_k``; build it with :func:`pauli` and arithmetic.

    >>> str(pauli("ZZ", 0, 1) + 0.5 * pauli("X", 2))
    '1*Z0 Z1 + 0.5*X2'
    """

    terms: tuple[tuple[float, Word], ...]

    def __post_init__(self) -> None:
        for c, word in self.terms:
            places = [q for q, _ in word]
            if not math.isfinite(c):
                raise CircuitError(f"expected finite coefficients, got {c}")
            if any(letter not in ("X", "Y", "Z") for _, letter in word) or min([0, *places]) < 0:
                raise CircuitError(f"expected letters X, Y, Z on qubits >= 0, got {word}")
            if len(set(places)) != len(places):
                raise CircuitError(f"expected different qubits in a word, got {word}")

    @property
    def qubits(self) -> tuple[int, ...]:
        return tuple(sorted({q for _, word in self.terms for q, _ in word}))

    def __add__(self, other: PauliSum) -> PauliSum:
        return PauliSum(self.terms + other.terms)

    def __rmul__(self, factor: float) -> PauliSum:
        return PauliSum(tuple((factor * c, word) for c, word in self.terms))

    def __neg__(self) -> PauliSum:
        return -1.0 * self

    @property
    def is_diagonal(self) -> bool:
        return all(letter == "Z" for _, word in self.terms for _, letter in word)

    def diagonal(self, qubits: int) -> RealArray | None:
        if not self.is_diagonal:
            return None
        total = np.zeros(2**qubits)
        for c, word in self.terms:
            total += c * _z_signs(tuple(q for q, _ in word), qubits)
        return total

    def matrix(self, qubits: int) -> NDArray[np.complex128]:
        _check_fits(self.qubits, qubits)
        total = np.zeros((2**qubits, 2**qubits), dtype=complex)
        for c, word in self.terms:
            letters = dict(word)
            total += c * pauli_matrix("".join(letters.get(q, "I") for q in range(qubits)))
        return total

    def __str__(self) -> str:
        return " + ".join(f"{c:g}*{' '.join(f'{p}{q}' for q, p in word) or 'I'}" for c, word in self.terms)


@dataclass(frozen=True)
class Projector:
    """The probability that ``on`` reads one of ``states`` (bit strings).

    >>> float(Projector(("01", "10"), (0, 1)).diagonal(2).sum())
    2.0
    """

    states: tuple[str, ...]
    on: tuple[int, ...]

    def __post_init__(self) -> None:
        for state in self.states:
            if len(state) != len(self.on) or set(state) - {"0", "1"}:
                raise CircuitError(f"expected {len(self.on)} bits, got {state!r}")

    @property
    def qubits(self) -> tuple[int, ...]:
        return tuple(sorted(self.on))

    @property
    def is_diagonal(self) -> bool:
        return True

    def diagonal(self, qubits: int) -> RealArray:
        _check_fits(self.on, qubits)
        value = sum(_bit(q, qubits).astype(int) << (len(self.on) - 1 - k) for k, q in enumerate(self.on))
        return np.isin(value, [int(state, 2) for state in self.states]).astype(float)

    def matrix(self, qubits: int) -> NDArray[np.complex128]:
        return np.diag(self.diagonal(qubits)).astype(complex)

    def __str__(self) -> str:
        return f"P[{','.join(self.states)}] on {','.join(map(str, self.on))}"


def pauli(letters: str, *qubits: int) -> PauliSum:
    """The Pauli word ``letters`` on ``qubits``, in order; ``I`` is left out.

    >>> pauli("XZ", 0, 3).qubits
    (0, 3)
    """
    if len(letters) != len(qubits) or len(set(qubits)) != len(qubits):
        raise CircuitError(f"expected one different qubit per letter, got {letters!r} on {qubits}")
    if set(letters) - set("IXYZ"):
        raise CircuitError(f"expected letters I, X, Y, Z, got {letters!r}")
    pairs = zip(qubits, letters, strict=True)
    word = tuple(sorted((q, letter) for q, letter in pairs if letter != "I"))
    return PauliSum(((1.0, word),))


def z(*qubits: int) -> PauliSum:
    """The product of Pauli Z on ``qubits``.

    >>> z(1).diagonal(2).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    return pauli("Z" * len(qubits), *qubits)


def per_qubit_z(classes: int, qubits: int) -> tuple[Observable, ...]:
    """Class ``k`` scores ``<Z>`` of qubit ``k``.

    >>> len(per_qubit_z(2, 4))
    2
    """
    if classes > qubits:
        raise CircuitError(f"expected at least {classes} qubits for {classes} per-qubit classes, got {qubits}")
    return tuple(z(k) for k in range(classes))


def parity(classes: int, qubits: int) -> tuple[Observable, ...]:
    """Class ``k`` scores the probability that the number of ones is ``k`` modulo ``classes``.

    >>> [str(p) for p in parity(2, 2)]
    ['P[00,11] on 0,1', 'P[01,10] on 0,1']
    """
    return _by_state(classes, tuple(range(qubits)), lambda bits: bits.count("1") % classes)


def basis_groups(classes: int, qubits: int) -> tuple[Observable, ...]:
    """Class ``k`` scores the probability of the basis states ``k`` modulo ``classes``.

    The fewest qubits that can tell the classes apart are read, from qubit 0.

    >>> [str(p) for p in basis_groups(3, 2)]
    ['P[00,11] on 0,1', 'P[01] on 0,1', 'P[10] on 0,1']
    """
    needed = max(1, (classes - 1).bit_length())
    if needed > qubits:
        raise CircuitError(f"expected at least {needed} qubits for {classes} classes, got {qubits}")
    return _by_state(classes, tuple(range(needed)), lambda bits: int(bits, 2) % classes)


def _by_state(classes: int, on: tuple[int, ...], group: Callable[[str], int]) -> tuple[Observable, ...]:
    words = [format(value, f"0{len(on)}b") for value in range(2 ** len(on))]
    return tuple(Projector(tuple(bits for bits in words if group(bits) == k), on) for k in range(classes))


def _check_fits(used: tuple[int, ...], qubits: int) -> None:
    if any(not 0 <= q < qubits for q in used):
        raise CircuitError(f"expected an observable on qubits 0..{qubits - 1}, got {used}")


def _bit(qubit: int, qubits: int) -> NDArray[np.bool_]:
    """Bit of ``qubit`` in each basis state, qubit 0 most significant."""
    return (np.arange(2**qubits) >> (qubits - 1 - qubit) & 1).astype(bool)


def _z_signs(on: tuple[int, ...], qubits: int) -> RealArray:
    _check_fits(on, qubits)
    signs = np.ones(2**qubits)
    for q in on:
        signs[_bit(q, qubits)] *= -1
    return signs
