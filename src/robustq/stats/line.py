"""A straight line through a few points, with the interval of its slope."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from robustq.errors import DataError


def slope(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """``(low, slope, high)`` by least squares, with Student's interval; three points at least.

    >>> slope([1, 2, 3], [2.0, 4.0, 6.0])
    (2.0, 2.0, 2.0)
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    if a.ndim != 1 or a.shape != b.shape or len(np.unique(a)) < 3:
        raise DataError(
            f"expected at least three different places and their values, got {a.tolist()} and {b.tolist()}"
        )
    from scipy.stats import t

    away = a - a.mean()
    value = float(away @ b / (away @ away))
    rest = b - b.mean() - value * away
    error = math.sqrt(float(rest @ rest) / (len(a) - 2) / float(away @ away))
    reach = float(t.ppf(0.5 + confidence / 2, len(a) - 2)) * error
    return value - reach, value, value + reach
