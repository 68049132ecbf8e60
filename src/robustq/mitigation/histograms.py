"""Read-out error undone on histograms of outcomes: inversion, least squares, and M3.

Outcomes are numbered big-endian: qubit 0 is the most significant bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from robustq.errors import DataError
from robustq.mitigation.confusion import check_invertible
from robustq.noise import Readout

Histogram = NDArray[np.float64]


def inversion(frequencies: Histogram, readouts: Sequence[Readout]) -> Histogram:
    """The inverse confusion of every qubit; may be negative, is unbiased.

    Args:
        frequencies: of all outcomes, ``(2**qubits,)``.
        readouts: one a qubit.

    >>> inversion(np.array([0.1, 0.9]), [Readout(0.0, 0.1)]).round(12).tolist()
    [0.0, 1.0]
    """
    check(frequencies, readouts)
    tensor = frequencies.reshape([2] * len(readouts))
    for axis, readout in enumerate(readouts):
        inverse = np.linalg.inv(np.array(readout.confusion))
        tensor = np.moveaxis(np.tensordot(inverse, tensor, axes=(1, axis)), 0, axis)
    return tensor.reshape(-1)


def least_squares(frequencies: Histogram, readouts: Sequence[Readout]) -> Histogram:
    """The distribution whose read-out comes nearest, ``min |A p - f|`` with ``p >= 0`` and ``sum p = 1``.

    By Lawson & Hanson's active sets; the sum is a row of great weight. Biased where a probability is
    zero, but never negative.

    >>> least_squares(np.array([0.05, 0.95]), [Readout(0.0, 0.1)]).round(9).tolist()
    [0.0, 1.0]
    """
    from scipy.optimize import nnls

    check(frequencies, readouts)
    table = confusion(readouts)
    heavy = 1e4 * np.ones((1, len(table)))
    weights, _ = nnls(np.vstack([table, heavy]), np.append(frequencies, 1e4))
    return np.asarray(weights / weights.sum(), float)


def m3(frequencies: Histogram, readouts: Sequence[Readout]) -> Histogram:
    """The inverse within the outcomes that were seen (M3; Nation et al., PRX Quantum 2, 040326 (2021)).

    The confusion matrix is restricted to these outcomes, its columns made to add up to one again.

    >>> m3(np.array([0.1, 0.9, 0.0, 0.0]), [Readout(), Readout(0.0, 0.1)]).round(9).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    check(frequencies, readouts)
    seen = np.flatnonzero(frequencies)
    table = _between(seen, seen, readouts)
    quasi = np.zeros_like(frequencies)
    quasi[seen] = np.linalg.solve(table / table.sum(0), frequencies[seen])
    return quasi


METHODS: Mapping[str, Callable[[Histogram, Sequence[Readout]], Histogram]] = {
    "inversion": inversion,
    "least-squares": least_squares,
    "m3": m3,
}


def confusion(readouts: Sequence[Readout]) -> NDArray[np.float64]:
    """``[observed, prepared]`` of all outcomes, ``(2**qubits, 2**qubits)``; columns add up to one.

    >>> confusion([Readout(0.1, 0.2)]).tolist()
    [[0.9, 0.2], [0.1, 0.8]]
    """
    everything = np.arange(2 ** len(readouts))
    return _between(everything, everything, readouts)


def _between(
    observed: NDArray[np.int64], prepared: NDArray[np.int64], readouts: Sequence[Readout]
) -> NDArray[np.float64]:
    """The confusion of some outcomes, a product over the qubits."""
    table = np.ones((len(observed), len(prepared)))
    for k, readout in enumerate(readouts):
        place = len(readouts) - 1 - k
        single = np.array(readout.confusion)
        table *= single[(observed >> place & 1)[:, None], (prepared >> place & 1)[None]]
    return table


def check(frequencies: Histogram, readouts: Sequence[Readout]) -> None:
    """Refuse what is no histogram of these qubits.

    Raises:
        DataError: naming the shape or the sum that was expected.
    """
    if frequencies.shape != (2 ** len(readouts),):
        raise DataError(
            f"read-out: expected frequencies of {2 ** len(readouts)} outcomes of {len(readouts)} qubits, got "
            f"shape {frequencies.shape}"
        )
    if not np.isfinite(frequencies).all() or not np.isclose(frequencies.sum(), 1, atol=1e-6):
        raise DataError(f"read-out: expected frequencies that add up to one, got {float(frequencies.sum()):g}")
    check_invertible(readouts)
