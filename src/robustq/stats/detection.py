"""Detection: how well one score tells two kinds of input apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.errors import DataError
from robustq.stats.intervals import Interval, wilson

Array = NDArray[np.float64]


def auroc(negative: ArrayLike, positive: ArrayLike) -> float:
    """The chance that a positive scores above a negative, ties counted half (Hanley & McNeil 1982).

    Args:
        negative: scores of those to be let pass, ``(m,)``.
        positive: scores of those to be found, ``(n,)``.

    Raises:
        DataError: if either is empty or not finite.

    >>> auroc([0.0, 1.0], [1.0, 2.0])
    0.875
    """
    return float(_placements(negative, positive)[1].mean())


def auroc_interval(negative: ArrayLike, positive: ArrayLike, confidence: float = 0.95) -> Interval:
    """The same with an interval that has DeLong's variance (DeLong, DeLong & Clarke-Pearson 1988).

    Wilson's interval at the effective sample size ``A (1 - A) / variance``, as for every proportion here, so that
    two sets which happen not to overlap are not taken to be certain never to; there the size is that
    of the smaller set.

    >>> area = auroc_interval(range(20), range(10, 30))
    >>> area.value, round(area.low, 2), round(area.high, 2)
    (0.875, 0.74, 0.95)
    """
    below, above = _placements(negative, positive)
    value, smaller = float(above.mean()), float(min(len(below), len(above)))
    size = smaller
    if smaller > 1 and 0 < value < 1:
        variance = below.var(ddof=1) / len(below) + above.var(ddof=1) / len(above)
        size = min(value * (1 - value) / variance, len(below) + len(above))
    low, high = wilson(value * size, size, confidence)
    return Interval(value, min(low, value), max(high, value), len(below) + len(above), 1, confidence)


def false_alarms(negative: ArrayLike, positive: ArrayLike, found: float = 0.95) -> float:
    """Share of the negatives that score as high as the threshold that finds this share of the positives.

    The false-positive rate at 95 % true-positive rate.

    >>> false_alarms([0.0, 1.0, 2.0, 3.0], [2.0, 3.0], 1.0)
    0.5
    """
    low, high = _checked(negative), _checked(positive)
    if not 0 < found <= 1:
        raise DataError(f"expected a share to be found in (0, 1], got {found}")
    # less a rounding: 0.95 * 20 must be 19
    needed = int(np.ceil(found * len(high) - 1e-9))
    threshold = np.sort(high)[len(high) - needed]
    return float((low >= threshold).mean())


def _placements(negative: ArrayLike, positive: ArrayLike) -> tuple[Array, Array]:
    """For each negative the share of positives above it, for each positive that of negatives below."""
    low, high = _checked(negative), _checked(positive)
    return 1 - _below(np.sort(high), low), _below(np.sort(low), high)


def _below(ordered: Array, values: Array) -> Array:
    """Share of ``ordered`` below each value, ties half."""
    left = np.searchsorted(ordered, values, "left")
    right = np.searchsorted(ordered, values, "right")
    shares: Array = (left + right) / (2 * len(ordered))
    return shares


def _checked(scores: ArrayLike) -> Array:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise DataError(f"expected finite scores of at least one input, got shape {values.shape}")
    return values
