"""The nearest point of a hyperplane within a box, in four norms (Croce & Hein, ICML 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def projection(start: Tensor, slope: Tensor, gain: Tensor, room: tuple[Tensor, Tensor], order: float) -> Tensor:
    """The point ``z`` nearest to ``start`` with ``slope . (z - start) = gain`` and ``z`` in the box.

    Where the box ends before the hyperplane, its furthest corner that way. Exact: each feature moves
    as the norm's optimality conditions say, until it meets the box.

    Args:
        start: points of the box, ``(batch, features)``.
        slope: the hyperplanes' normals, shape of ``start``.
        gain: what the linear functions have to rise by, ``(batch,)``; may be negative.
        room: the box ``(low, high)``, shape of ``start``, finite.
        order: of the norm, 0, 1, 2 or infinity.

    >>> box = (torch.zeros(1, 2), torch.ones(1, 2))
    >>> projection(torch.zeros(1, 2), torch.tensor([[4.0, 3.0]]), torch.tensor([5.0]), box, 2)
    tensor([[0.8000, 0.6000]])
    >>> projection(torch.zeros(1, 2), torch.tensor([[4.0, 3.0]]), torch.tensor([5.5]), box, 1)
    tensor([[1.0000, 0.5000]])
    """
    tiny = torch.finfo(slope.dtype).tiny
    largest = slope.abs().amax(1).clamp_min(tiny)
    # scaled by the largest entry: products of tiny slopes and gains would underflow
    uphill = slope / largest[:, None] * torch.where(gain < 0, -1, 1)[:, None]
    needed = (gain.abs() / largest)[:, None]
    free = torch.where(uphill > 0, room[1] - start, start - room[0]).clamp_min(0)
    steep = uphill.abs()
    # l1 fills the steepest feature first, l0 the one with most to gain: both are greedy
    if order <= 1:
        moved = _one_by_one(steep, free, needed, steep * free if order == 0 else steep)
    else:
        # stationarity: in l2 the change is proportional to the slope, in l-inf all features move alike
        pace = torch.ones_like(steep) if math.isinf(order) else steep
        moved = _together(steep, free, needed, pace)
    return start + uphill.sign() * moved


def _one_by_one(steep: Tensor, free: Tensor, needed: Tensor, worth: Tensor) -> Tensor:
    """Features go to their limits in the order of ``worth`` until enough is gained."""
    order = worth.argsort(1, descending=True)
    gains = (steep * free).gather(1, order)
    # what is still missing when a feature's turn comes
    missing = needed - (gains.cumsum(1) - gains)
    moved = missing / steep.gather(1, order).clamp_min(torch.finfo(steep.dtype).tiny)
    moved = torch.minimum(moved.clamp_min(0), free.gather(1, order))
    return torch.zeros_like(free).scatter(1, order, moved)


def _together(steep: Tensor, free: Tensor, needed: Tensor, pace: Tensor) -> Tensor:
    """Every feature moves at its ``pace`` until it meets its limit, for as long as it takes."""
    rate = steep * pace
    ends = torch.where(rate > 0, free / pace.clamp_min(torch.finfo(pace.dtype).tiny), 0)
    ends, order = ends.sort(1)
    rates = rate.gather(1, order)
    # features sorted by when they stop: gains of the stopped ones, and the rate of those still moving
    done, left = (rates * ends).cumsum(1), rates.flip(1).cumsum(1).flip(1)
    before = torch.cat([torch.zeros_like(done[:, :1]), done[:, :-1]], 1)
    reached = before + left * ends  # gained by the time each feature meets its limit
    k = (reached < needed).sum(1, keepdim=True).clamp_max(ends.shape[1] - 1)
    time = (needed - before.gather(1, k)) / left.gather(1, k).clamp_min(torch.finfo(left.dtype).tiny)
    return torch.minimum(pace * torch.minimum(time, ends[:, -1:]), free)
