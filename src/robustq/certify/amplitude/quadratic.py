"""Quadratics over boxes, one a row: a minimiser by accelerated descent, a lower bound at any point.

For ``g(z) = z^T H z + 2 b.z + c`` and any point ``z`` of a box, converged or not, every ``z + d`` in the box has
``g(z + d) >= g(z) + sum_i (slope_i d_i + lowest d_i^2)`` with ``lowest`` at most the lowest eigenvalue of ``H``; the
least of each term is known. That is the Frank-Wolfe gap (Jaggi, ICML 2013) made stronger by convexity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

CHECK = 8  # steps between two looks at the bound
ROUNDINGS = 16  # of size n, that a sum over n features may suffer


@dataclass(frozen=True, eq=False)
class BoxQuadratic:
    """``z^T (diag(diagonal) + weight form) z + 2 linear.z + constant`` over ``low <= z <= high``.

    Attributes:
        form: symmetric, shared by all rows, ``(n, n)``.
        diagonal: ``(batch, n)``.
        weight: of the form, ``(batch,)``.
        linear: ``(batch, n)``.
        constant: ``(batch,)``.
        low, high: the boxes, ``(batch, n)``; may be infinite.
        lowest: at most the lowest eigenvalue of each whole, ``(batch,)``.
        highest: at least the largest in magnitude, ``(batch,)``.

    >>> one = torch.ones(1, 1).double()
    >>> bowl = BoxQuadratic(0 * one, one, one[0], -one, one[0], 0 * one, 0.5 * one, one[0], one[0])
    >>> minimum = minimise(bowl, 0 * one, 8, lambda value, bound: value <= bound)  # (z - 1)^2 up to 0.5
    >>> float(minimum.point), round(float(minimum.value), 6), round(float(minimum.bound), 6)
    (0.5, 0.25, 0.25)
    """

    form: Tensor
    diagonal: Tensor
    weight: Tensor
    linear: Tensor
    constant: Tensor
    low: Tensor
    high: Tensor
    lowest: Tensor
    highest: Tensor

    def rows(self, index: Tensor) -> BoxQuadratic:
        """Some of the rows, by index or by mask."""
        names = ("diagonal", "weight", "linear", "constant", "low", "high", "lowest", "highest")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def product(self, z: Tensor) -> Tensor:
        """``H z``, shape of ``z``."""
        return self.diagonal * z + self.weight[:, None] * (z @ self.form)

    def value(self, z: Tensor, product: Tensor) -> Tensor:
        """``g(z)`` from ``z`` and ``H z``, ``(batch,)``."""
        return (z * (product + 2 * self.linear)).sum(1) + self.constant

    def bound(self, z: Tensor, product: Tensor) -> Tensor:
        """At most the minimum over the box, ``(batch,)``, for any ``z`` in it and its ``H z``.

        Rounding of the sums is taken off; ``constant`` and ``lowest`` are taken as they are.
        """
        slope, lowest = 2 * (product + self.linear), self.lowest[:, None]
        down, up = self.low - z, self.high - z
        tiny = torch.finfo(z.dtype).tiny
        # slope d + lowest d^2 is least at an end, or at its vertex where it is convex
        inner = torch.where(lowest > 0, -slope / (2 * lowest).clamp_min(tiny), down)
        inner = torch.minimum(torch.maximum(inner, down), up)
        moves = torch.stack([down, up, inner])
        # 0 times infinity where a box is endless: NaN means that nothing is proved
        terms, at = torch.nan_to_num(moves * (slope + lowest * moves), nan=-torch.inf).min(0)
        step = moves.gather(0, at[None])[0]
        length = torch.linalg.vector_norm(z, dim=1) + torch.linalg.vector_norm(step, dim=1)
        linear = torch.linalg.vector_norm(self.linear, dim=1)
        size = self.constant.abs() + (2 * linear + self.highest * length) * length
        rounding = ROUNDINGS * z.shape[1] * torch.finfo(z.dtype).eps * size
        return torch.nan_to_num(self.value(z, product) + terms.sum(1) - rounding, nan=-torch.inf)


@dataclass(frozen=True, eq=False)
class Minimum:
    """A point of each box ``(batch, n)``, its value ``(batch,)``, and a bound below all others'."""

    point: Tensor
    value: Tensor
    bound: Tensor


Enough = Callable[[Tensor, Tensor], Tensor]


def clear(value: Tensor, bound: Tensor) -> Tensor:
    """Whether the sign of the minimum is known: zero is not between bound and value.

    >>> clear(torch.tensor([2.0, 2.0]), torch.tensor([1.0, -1.0])).tolist()
    [True, False]
    """
    return (bound > 0) | (value <= 0)


def minimise(problem: BoxQuadratic, start: Tensor, steps: int, enough: Enough) -> Minimum:
    """Accelerated projected gradients, each row restarted where its momentum turns uphill.

    Beck & Teboulle (SIAM J. Imaging Sciences 2009); O'Donoghue & Candes (Found. Comput. Math. 2015). Where
    ``H`` is not convex the point is a good one, and the bound still is a bound.

    Args:
        problem: one quadratic a row.
        start: points of the boxes, ``(batch, n)``.
        steps: at most.
        enough: which rows may stop, from their values and bounds.
    """
    z, product = start, problem.product(start)
    value, bound = problem.value(z, product), problem.bound(z, product)
    point, live = z.clone(), (~enough(value, bound)).nonzero()[:, 0]
    walk = _AcceleratedDescent(problem.rows(live), z[live], product[live])
    for _ in range(0, steps, CHECK):
        if not len(live):
            break
        for _ in range(CHECK):
            walk.step()
        now = walk.problem.value(walk.z, walk.product)
        better = live[now < value[live]]
        point[better], value[better] = walk.z[now < value[live]], now[now < value[live]]
        bound[live] = torch.maximum(bound[live], walk.problem.bound(walk.z, walk.product))
        left = ~enough(value[live], bound[live])
        live = live[left]
        walk = walk.rows(left)
    return Minimum(point, value, bound)


class _AcceleratedDescent:
    """The state of the descent: two points, with ``H`` times each, and the momentum."""

    def __init__(self, problem: BoxQuadratic, z: Tensor, product: Tensor) -> None:
        self.problem, self.z, self.product = problem, z, product
        self.ahead, self.ahead_product = z, product
        self.pace = torch.ones_like(z[:, :1])

    def rows(self, index: Tensor) -> _AcceleratedDescent:
        """The walk of some rows."""
        walk = _AcceleratedDescent(self.problem.rows(index), self.z[index], self.product[index])
        walk.ahead, walk.ahead_product = self.ahead[index], self.ahead_product[index]
        walk.pace = self.pace[index]
        return walk

    def step(self) -> None:
        """One step; ``H`` is linear, so that one product serves the point and the one ahead."""
        at = self.problem
        stepped = self.ahead - (self.ahead_product + at.linear) / at.highest[:, None]
        z = torch.minimum(torch.maximum(stepped, at.low), at.high)
        product = at.product(z)
        # gradient restart of O'Donoghue & Candes
        uphill = ((self.ahead - z) * (z - self.z)).sum(1, keepdim=True) > 0
        pace = torch.where(uphill, 1.0, self.pace)
        self.pace = (1 + (1 + 4 * pace**2).sqrt()) / 2
        share = (pace - 1) / self.pace
        self.ahead = z + share * (z - self.z)
        self.ahead_product = product + share * (product - self.product)
        self.z, self.product = z, product
