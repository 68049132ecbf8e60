"""Exact tests for two classifiers judged on the same inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from robustq.errors import DataError


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """The chance that ``first`` is as far above ``second`` as it is, were there no difference.

    Exact and one-sided (McNemar 1947, with the binomial in the place of the chi-square). Of
    ``(seeds, inputs)`` tables of zeros and ones each input is one unit, for its outcomes under several
    seeds are no independent evidence: were there no difference, its summed gap could as well have the
    other sign (Fisher 1935; Pitman 1937). For one seed that is McNemar's test.

    Raises:
        DataError: on tables of different shapes, or of anything but zeros and ones.

    >>> mcnemar([1, 1, 1, 1, 0], [0, 0, 0, 0, 0])
    0.0625
    """
    one, two = (np.atleast_2d(np.asarray(side, dtype=float)) for side in (first, second))
    if one.shape != two.shape or one.ndim != 2:
        raise DataError(f"expected tables of equal shape, got {one.shape} and {two.shape}")
    if not np.isin([one, two], (0, 1)).all():
        raise DataError("expected tables of zeros and ones, got other values")
    gap = (one - two).sum(0).astype(int)
    chance = np.ones(1)  # of each value of the sum of the gaps that favour first
    for size in np.abs(gap[gap != 0]):
        chance = (np.pad(chance, (0, size)) + np.pad(chance, (size, 0))) / 2
    return min(1.0, float(chance[gap[gap > 0].sum() :].sum()))
