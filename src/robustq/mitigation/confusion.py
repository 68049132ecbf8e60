"""Read-out error as confusion matrices: calibrated from counts, undone on observables."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.circuits import Observable
from robustq.circuits.observables import PauliSum, Word
from robustq.errors import DataError
from robustq.mitigation.signed_shots import as_pauli_sum
from robustq.noise import Readout

LEAST = 0.01  # of 1 - p01 - p10: below, an inverse multiplies shot noise by a hundred and more


def calibrated(zeros: ArrayLike, ones: ArrayLike) -> tuple[Readout, ...]:
    """The read-out error of each qubit from two calibration circuits.

    Args:
        zeros: counts of outcomes 0 and 1 of each qubit prepared as 0, ``(qubits, 2)``.
        ones: the same of each qubit prepared as 1.

    Raises:
        DataError: on anything but counts of at least one shot, and on read-outs that cannot be inverted.

    >>> calibrated([[98, 2]], [[5, 95]])
    (Readout(p01=0.02, p10=0.05),)
    """
    first, second = _counts("zeros", zeros), _counts("ones", ones)
    if first.shape != second.shape:
        raise DataError(
            f"read-out: expected as many qubits prepared as 0 and as 1, got {len(first)} and {len(second)}"
        )
    readouts = tuple(
        Readout(float(low[1] / low.sum()), float(high[0] / high.sum()))
        for low, high in zip(first, second, strict=True)
    )
    check_invertible(readouts)
    return readouts


def check_invertible(readouts: Sequence[Readout]) -> None:
    """Refuse read-outs that say next to nothing about the qubit.

    Raises:
        DataError: naming the qubit, its numbers, and those that would do.
    """
    for qubit, readout in enumerate(readouts):
        if 1 - readout.p01 - readout.p10 < LEAST:
            raise DataError(
                f"read-out of qubit {qubit}: expected p01 + p10 <= {1 - LEAST:g}, so that the confusion matrix "
                f"can be inverted, got {readout.p01:g} + {readout.p10:g}"
            )


def inverted(observable: Observable, readouts: Sequence[Readout]) -> PauliSum:
    """What to read so that read-out error gives the observable's own mean.

    A letter ``P`` is read as ``a P + b`` with ``a = 1 - p01 - p10`` and ``b = p10 - p01``, so ``(P - b) / a``
    is read in its place.

    >>> from robustq.circuits import z
    >>> str(inverted(z(0), [Readout(0.0, 0.2)]))
    '1.25*Z0 + -0.25*I'
    """
    total = as_pauli_sum(observable)
    check_invertible([readouts[q] for q in total.qubits])
    terms: dict[Word, float] = {}
    for c, word in total.terms:
        for keep in itertools.product((True, False), repeat=len(word)):
            pairs = list(zip(word, keep, strict=True))
            factor = c * float(np.prod([_factor(readouts[q], stays) for (q, _), stays in pairs]))
            left = tuple(letter for letter, stays in pairs if stays)
            terms[left] = terms.get(left, 0.0) + factor
    return PauliSum(tuple((c, word) for word, c in terms.items() if c))


def _factor(readout: Readout, stays: bool) -> float:
    a, b = 1 - readout.p01 - readout.p10, readout.p10 - readout.p01
    return 1 / a if stays else -b / a


def _counts(name: str, values: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(values, float)
    if table.ndim != 2 or table.shape[1] != 2 or not len(table):
        raise DataError(f"read-out: expected {name} of shape (qubits, 2), got {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any() or (table.sum(1) < 1).any():
        raise DataError(f"read-out: expected {name} to count at least one shot of every qubit, got {table.tolist()}")
    return table
