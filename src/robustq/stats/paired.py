"""Exact tests for two classifiers judged on the same inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from robustq.errors import DataError
from robustq.stats.exact import at_least


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """The chance that ``first`` is as far above ``second`` as it is, were there no difference.

    Exact and one-sided (McNemar 1947, with the binomial in the place of the chi-square). Of
    ``(seeds, inputs)`` tables every input counts once, for whichever side it favours over all seeds: the
    outcomes of one input are no independent evidence, so pooling them would be too sure.

    Raises:
        DataError: on tables of different shapes.

    >>> mcnemar([1, 1, 1, 1, 0], [0, 0, 0, 0, 0])
    0.0625
    """
    one, two = (np.atleast_2d(np.asarray(side, dtype=float)) for side in (first, second))
    if one.shape != two.shape or one.ndim != 2:
        raise DataError(f"expected tables of equal shape, got {one.shape} and {two.shape}")
    gap = (one - two).sum(0)
    up, down = int((gap > 0).sum()), int((gap < 0).sum())
    return at_least(up, up + down)
