"""The least value of linear functions over a ball cut by a box, from below."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 40  # of bisection for the multiplier of the budget


def linear_minimum(slope: Tensor, low: Tensor, high: Tensor, eps: Tensor, power: int) -> tuple[Tensor, Tensor]:
    """Lower bounds on ``slope . d`` for ``low <= d <= high`` and ``sum |d|^power <= eps^power``.

    For any multiplier of the budget the features separate, and each minimum is known; by weak duality
    every multiplier gives a true bound, so that the bisection for the best one need not be trusted.

    Args:
        slope: ``(batch, features)``.
        low: lower ends.
        high: upper ends.
        eps: radii ``(batch,)``.
        power: 2 or 1.

    Returns:
        Bounds ``(batch,)``, and the minimisers of the last multiplier tried.

    >>> slope, end = torch.tensor([[3.0, 4.0]]).double(), torch.ones(1, 2).double()
    >>> round(float(linear_minimum(slope, -end, end, torch.ones(1).double(), 2)[0]), 6)
    -5.0
    """
    budget = eps**power
    best = torch.where(slope > 0, slope * low, slope * high).sum(1)
    # a multiplier at which the minimiser is inside the budget for certain
    top = slope.abs().amax(1) * (1 if power == 1 else 1 / eps.clamp_min(1e-300)) * slope.shape[1]
    bottom, point = torch.zeros_like(top), torch.zeros_like(slope)
    for _ in range(ROUNDS):
        multiplier = (bottom + top) / 2
        point = _separate(slope, low, high, multiplier[:, None], power)
        size = point.abs().pow(power)
        value = (slope * point + multiplier[:, None] * size).sum(1) - multiplier * budget
        # weak duality: each multiplier gives a bound, so the best of all stays one
        best = torch.maximum(best, value)
        large = size.sum(1) > budget
        bottom = torch.where(large, multiplier, bottom)
        top = torch.where(large, top, multiplier)
    return best, point


def _separate(slope: Tensor, low: Tensor, high: Tensor, multiplier: Tensor, power: int) -> Tensor:
    """The minimisers of ``slope d + multiplier |d|^power`` feature by feature."""
    if power == 2:
        free = -slope / (2 * multiplier).clamp_min(1e-300)
    else:
        free = torch.where(slope.abs() > multiplier, -slope.sign() * torch.inf, 0.0)
    return torch.minimum(torch.maximum(free, low), high)
