"""Between which values the differences of trigonometric polynomials lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from robustq.trigonometric import UNIT, Trigonometric, basis

POINTS = 1 << 18  # of the grid
FINENESS = (16, 12, 8, 6, 4, 3)  # points by degree of each feature: the first that fits


def rounding(form: Trigonometric) -> float:
    """How much is lost by rounding each coefficient, and a sum of them, a few times."""
    largest = float(form.coefficients.flatten(1).abs().sum(1).max())
    return UNIT * (16 * sum(form.coefficients.shape) + 64) * largest


def envelope(form: Trigonometric) -> Tensor:
    """Lowest and highest difference of each pair of classes over all inputs, ``(classes, classes, 2)``.

    From its values on a grid: between ``m`` equidistant points a polynomial of degree ``d < m / 2`` exceeds
    them by a factor ``1 / cos(pi d / m)`` at most (Ehlich & Zeller, Mathematische Zeitschrift 86, 1964), for each
    feature. Infinite where no grid is small enough.

    >>> form = Trigonometric(torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]]), torch.ones(1), 0.0)
    >>> envelope(form)[0, 1].round(decimals=2)  # cos x - 2
    tensor([-3.0200, -0.9800], dtype=torch.float64)
    """
    counts = _counts(form.degrees)
    classes = len(form.coefficients)
    if counts is None:
        endless = torch.tensor([-math.inf, math.inf], dtype=torch.float64)
        return endless.repeat(classes, classes, 1)
    values = _on_grid(form, counts)
    waves = zip(form.degrees, counts, strict=True)
    stretch = 1 / math.prod(math.cos(math.pi * d / count) for d, count in waves)
    ends = []
    for own in values:
        low, high = (own - values).aminmax(dim=1)
        # the grid's range stretched about its middle (Ehlich & Zeller), the middle not being moved by it
        half = (high - low) / 2 * stretch + 4 * rounding(form)
        ends.append(torch.stack([(low + high) / 2 - half, (low + high) / 2 + half], 1))
    return torch.stack(ends)


def _counts(degrees: Sequence[int]) -> list[int] | None:
    """Points for each feature; None if there are too many."""
    for fineness in FINENESS:
        counts = [max(1, fineness * degree) for degree in degrees]
        if math.prod(counts) <= POINTS:
            return counts
    return None


def _on_grid(form: Trigonometric, counts: Sequence[int]) -> Tensor:
    """Values ``(classes, points)``."""
    values = form.coefficients.double()
    for axis, (degree, count) in enumerate(zip(form.degrees, counts, strict=True), 1):
        at = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
        values = torch.tensordot(values, basis(at, degree), dims=([axis], [1])).movedim(-1, axis)
    return values.flatten(1)
