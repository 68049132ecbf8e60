"""The nearest point where a quadratic form vanishes: what exact attacks and exact certificates share.

For ``V = Q diag(v) Q^T`` and a vector with coefficients ``c = Q^T x`` and ``x^T V x > 0``, the point of
``{z: z^T V z = 0}`` nearest to ``x`` is ``(I + t V)^-1 x``, with ``t`` the root of ``sum v c^2 / (1 + t v)^2`` in
``(0, 1 / max(-v))`` (one quadratic constraint: no duality gap). In the hard case the vector has no part in
the lowest eigenspace and there may be no root; then ``t = 1 / max(-v)`` and a part in that space is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BISECTIONS = 200
ROUNDING = 1e-13  # of the largest eigenvalue: what is less negative is not negative
NOTHING = 1e-10  # a share of the vector below which a part counts as absent


@dataclass(frozen=True)
class NearestZero:
    """Coefficients of the nearest zero of the form, and its distance.

    Attributes:
        coefficients: in the eigenbasis, ``(batch, dimension)``; the given ones where there is no zero.
        distance: Euclidean, ``(batch,)``; infinite where the form has no negative eigenvalue, zero
            where it is not positive at the given vector.
    """

    coefficients: Tensor
    distance: Tensor


def nearest_zero(values: Tensor, coefficients: Tensor) -> NearestZero:
    """The nearest zero of ``sum values * |z|^2`` to each row of coefficients.

    Args:
        values: eigenvalues, ascending, float64 ``(dimension,)``.
        coefficients: real or complex, ``(batch, dimension)``.

    >>> v, c = torch.tensor([-1.0, 1.0]).double(), torch.tensor([[0.0, 1.0]]).double()
    >>> found = nearest_zero(v, c)  # the zeros are the diagonals of the plane
    >>> [round(float(z), 6) for z in found.coefficients.abs()[0]], round(float(found.distance), 6)
    ([0.5, 0.5], 0.707107)
    """
    weights = coefficients.abs().square()
    form = (values * weights).sum(1)
    if values[0] >= -ROUNDING * values.abs().max():
        return NearestZero(coefficients, torch.full_like(form, torch.inf))
    lowest = values <= values[0] * (1 - 1e-12)
    absent = (weights * lowest).sum(1) <= NOTHING**2 * weights.sum(1)
    weights = torch.where(absent[:, None] & lowest, 0, weights)
    shrink = _shrink(values, weights)
    moved = torch.where(weights > 0, coefficients * shrink, 0)
    moved = _completed(values, moved, lowest)
    inside = form > 0
    moved = torch.where(inside[:, None], moved, coefficients)
    length = torch.linalg.vector_norm(moved - coefficients, dim=1)
    return NearestZero(moved, length)


def _shrink(values: Tensor, weights: Tensor) -> Tensor:
    """``1 / (1 + t v)`` at the root, or at the end of the interval if there is none, ``(batch, dimension)``.

    The root is sought in ``s = 1 - t max(-v)``, which keeps its digits near the end of the interval.
    """
    ratio = values / -values[0]  # -1 at the lowest
    low, high = weights.new_zeros(len(weights)), weights.new_ones(len(weights))
    for _ in range(BISECTIONS):
        middle = torch.where(low > 0, (low * high).sqrt(), high / 16)
        middle = torch.where(high <= 1e-40, high, middle)
        positive = (ratio * weights * _inverse(ratio, middle) ** 2).sum(1) > 0
        low, high = torch.where(positive, low, middle), torch.where(positive, middle, high)
    return _inverse(ratio, high)


def _inverse(ratio: Tensor, s: Tensor) -> Tensor:
    """``1 / (1 + (1 - s) ratio)``, written so that the lowest eigenvalue gives ``1 / s`` exactly."""
    return 1 / ((1 + ratio) - s[:, None] * ratio)


def _completed(values: Tensor, moved: Tensor, lowest: Tensor) -> Tensor:
    """What is missing to zero is added in the lowest eigenspace (hard case, and the last rounding)."""
    rest = (values * moved.abs().square()).sum(1)
    own = (moved.abs().square() * lowest).sum(1)
    wanted = (own + rest.clamp_min(0) / -values[0]).sqrt()
    first = int(lowest.nonzero()[0])
    grown = torch.where(
        (own > 0)[:, None] & lowest, moved * (wanted / own.clamp_min(1e-300).sqrt())[:, None], moved
    )
    bare = own <= 0
    grown[:, first] = torch.where(bare, wanted.to(grown.dtype), grown[:, first])
    return grown
