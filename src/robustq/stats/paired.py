"""Whether two methods differ on the same inputs, or only by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from robustq.errors import DataError


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Exact two-sided p-value that two binary outcomes a input are equally likely (McNemar 1947).

    Only inputs on which the two differ tell anything; without a difference they fall on either side
    like a fair coin.

    Args:
        first: outcomes of one method, ``(inputs,)`` of bool.
        second: outcomes of the other on the same inputs.

    Raises:
        DataError: unless both are flat and of equal length.

    >>> mcnemar([True] * 6, [False] * 6)
    0.03125
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(f"expected outcomes of equal length, got {a.shape} and {b.shape}")
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)
