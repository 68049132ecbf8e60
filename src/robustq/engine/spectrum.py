"""The extreme values of a weighted sum of observables, without a matrix.

A circuit without noise does not move the spectrum of what is measured, so that the extreme expectations over
all states are the extreme eigenvalues of the observables themselves; noise and read-out errors, whose
adjoints are positive and keep the identity, can only bring them closer. A diagonal sum is scanned; any other is
left to Lanczos, which bounds the spectrum from inside only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.observables import Observable, PauliSum
from robustq.errors import CircuitError

Term = tuple[float, Observable]
Word = tuple[tuple[int, str], ...]
Values = NDArray[np.float64] | NDArray[np.complex128]
WIDEST = 20  # qubits: some fifty vectors of 2**qubits numbers
CLOSE = 1e-9  # relative residual at which the search ends; the values are then closer still
DENSE = 16  # dimension up to which a matrix is simplest


@dataclass(frozen=True)
class Extremes:
    """Where the smallest and the largest eigenvalue lie.

    Attributes:
        low: an upper bound of the smallest eigenvalue, by Rayleigh quotients; in practice its value.
        high: a lower bound of the largest.
        below: a proved lower bound of the smallest eigenvalue: the smallest of the diagonal part less the
            norms of the rest, one for every set of bits that it flips.
        above: a proved upper bound of the largest.
    """

    low: float
    high: float
    below: float
    above: float

    @property
    def spread(self) -> float:
        """Largest less smallest eigenvalue as found: never more than the truth, rounding aside."""
        return self.high - self.low

    @property
    def proved(self) -> float:
        """What the spread cannot exceed, under any circuit and any noise."""
        return self.above - self.below


def extreme_values(terms: Sequence[Term], qubits: int, *, generator: np.random.Generator) -> Extremes:
    """The extreme eigenvalues of ``sum weight * observable`` on a register.

    The margin of class A over k reads ``((1.0, O_A), (-1.0, O_k))``; its spread is the Lipschitz constant of
    the margin in trace distance of a circuit without noise, and an upper bound of it with noise
    (Guan, Fang & Ying, CAV 2022). Lanczos: Golub & Van Loan, *Matrix Computations*, chapter 10.

    Args:
        terms: weights and observables (Pauli sums and projectors, or any that has a diagonal).
        qubits: width of the register, at most ``WIDEST``.
        generator: where the first vector of the search comes from.

    Raises:
        RobustQError: on no or too many qubits, observables elsewhere, or ones that are neither diagonal nor
            Pauli sums; if the search does not converge.

    >>> from robustq.circuits import pauli, z
    >>> extremes = extreme_values([(1.0, z(0)), (1.0, pauli("X", 0))], 12, generator=np.random.default_rng(0))
    >>> round(extremes.high, 6), extremes.above
    (1.414214, 2.0)
    """
    if not 1 <= qubits <= WIDEST:
        raise CircuitError(f"extreme values: expected 1 to {WIDEST} qubits, got {qubits}")
    operator = _Sum.of(terms, qubits)
    bottom, top = float(operator.diagonal.min()), float(operator.diagonal.max())
    if not operator.moves:
        return Extremes(bottom, top, bottom, top)
    # Weyl: the rest moves an eigenvalue by its norm at most; each part is a permutation times a diagonal
    rest = math.fsum(float(np.abs(factors).max()) for factors in operator.moves.values())
    low, high = operator.ends(generator)
    return Extremes(low, high, min(bottom - rest, low), max(top + rest, high))


@dataclass(frozen=True, eq=False)
class _Sum:
    """A diagonal, and for every set of bits that flip what the flipped amplitude is multiplied by."""

    diagonal: Values
    moves: Mapping[int, Values]

    @staticmethod
    def of(terms: Sequence[Term], qubits: int) -> _Sum:
        index, diagonal = np.arange(1 << qubits), np.zeros(1 << qubits)
        moves: dict[int, Values] = {}
        for weight, observable in terms:
            if any(not 0 <= q < qubits for q in observable.qubits):
                raise CircuitError(f"expected an observable on qubits 0..{qubits - 1}, got {observable.qubits}")
            for part in _parts(observable):
                own = part.diagonal(qubits)
                if own is not None:
                    diagonal += weight * own
                    continue
                assert isinstance(part, PauliSum)
                ((size, word),) = part.terms
                flips, signs, phase = _masks(word, qubits)
                factors = weight * size * phase * np.where(_odd((index ^ flips) & signs), -1, 1)
                moves[flips] = moves[flips] + factors if flips in moves else factors
        return _Sum(diagonal, {flips: f for flips, f in moves.items() if f.any()})

    def __call__(self, vector: Values) -> Values:
        """The image of a vector ``(2**qubits,)``."""
        vector = vector.ravel()
        image, index = self.diagonal * vector, np.arange(len(vector))
        moved, part = np.empty_like(index), np.empty_like(vector)  # once: fresh pages are dear
        for flips, factors in self.moves.items():
            np.bitwise_xor(index, flips, out=moved)
            np.take(vector, moved, out=part, mode="clip")
            part *= factors
            image += part
        return image

    def ends(self, generator: np.random.Generator) -> tuple[float, float]:
        """The smallest and the largest Ritz value."""
        from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

        size = len(self.diagonal)
        if size <= DENSE:
            values = np.linalg.eigvalsh(np.stack([self(e) for e in np.eye(size, dtype=complex)], 1))
            return float(values[0]), float(values[-1])
        dtype = np.result_type(self.diagonal, *self.moves.values())
        matrix = LinearOperator((size, size), matvec=self, dtype=dtype)
        start = generator.normal(size=size).astype(dtype)
        try:
            ends = [
                eigsh(matrix, k=1, which=end, v0=start, tol=CLOSE, return_eigenvectors=False)[0]
                for end in ("SA", "LA")
            ]
        except ArpackNoConvergence as failure:
            raise CircuitError(f"extreme values: expected Lanczos to converge: {failure}") from None
        return float(ends[0]), float(ends[1])


def _parts(observable: Observable) -> Iterator[Observable]:
    """The words of a Pauli sum; anything else whole, if it is diagonal."""
    if isinstance(observable, PauliSum):
        yield from (PauliSum((term,)) for term in observable.terms)
    elif observable.is_diagonal:
        yield observable
    else:
        raise CircuitError(f"extreme values: expected Pauli sums or diagonals, got {observable!r}")


def _odd(bits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the number of ones is odd."""
    for shift in (16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return (bits & 1).astype(bool)


def _masks(word: Word, qubits: int) -> tuple[int, int, complex]:
    """Flips, signs and phase of ``P |b> = phase (-1)**(signs . b) |b ^ flips>``; the phase real if it can be."""
    flips = sum(1 << (qubits - 1 - q) for q, letter in word if letter in "XY")
    signs = sum(1 << (qubits - 1 - q) for q, letter in word if letter in "YZ")
    return flips, signs, (1, 1j, -1, -1j)[sum(letter == "Y" for _, letter in word) % 4]
