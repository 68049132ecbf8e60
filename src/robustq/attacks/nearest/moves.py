"""The changes an attack may make to each input: flat, and in the threat's own units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Problem
from robustq.errors import ThreatError
from robustq.threats import L0, L1, L2, Linf
from robustq.threats.ball import Ball
from robustq.threats.box import bounds

ORDERS: dict[type[Ball], tuple[str, float]] = {
    L0: ("l0", 0.0),
    L1: ("l1", 1.0),
    L2: ("l2", 2.0),
    Linf: ("linf", math.inf),
}
FAR = 100.0  # how far a feature goes, in units, where neither a box nor a norm holds it


@dataclass(frozen=True)
class Moves:
    """A problem as a search for a short ``delta``, shape ``(batch, features)``, in units of norm.

    Frozen features have no room and no slope, so that an attack need not know of them.

    Attributes:
        problem: answers, counts and remembers.
        order: of the norm: 0, 1, 2 or infinity.
        unit: what one unit of norm is for each feature, ``(features,)``; zero where frozen.
        low: the least each feature may change by, finite, ``(batch, features)``.
        high: the most.
    """

    problem: Problem
    order: float
    unit: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, problem: Problem, *norms: type[Ball]) -> Moves:
        """The moves that the problem's threat allows.

        Raises:
            ThreatError: unless the threat is a ball of one of ``norms``.
        """
        threat, x = problem.threat, problem.x
        if not isinstance(threat, norms):
            expected = " or ".join(ORDERS[norm][0] for norm in norms)
            raise ThreatError(f"expected an {expected} threat, got {threat}")
        order = next(ORDERS[norm][1] for norm in norms if isinstance(threat, norm))
        units = threat.units(x)
        unit = torch.ones_like(x[0]).flatten() if units is None else units
        most = ((unit > 0) * unit.new_tensor(FAR if order == 0 else threat.eps)).expand(len(x), -1)
        if threat.box is None:
            return cls(problem, order, unit, -most, most)
        # in units of the threat, zero always allowed: an input that rounding left outside its box may stay
        low, high = ((bound - x).flatten(1) for bound in bounds(threat.box, x))
        safe = torch.where(unit > 0, unit, 1)
        return cls(
            problem,
            order,
            unit,
            torch.maximum(low / safe, -most).clamp_max(0),
            torch.minimum(high / safe, most).clamp_min(0),
        )

    @property
    def dual(self) -> float:
        """The order of the dual norm, which measures slopes."""
        return {0.0: math.inf, 1.0: math.inf, 2.0: 2.0, math.inf: 1.0}[self.order]

    @property
    def nearest(self) -> Tensor:
        """The change to the nearest flipped candidate, zero where there was none."""
        return self.of_candidate(self.problem.nearest)

    def of_candidate(self, candidate: Tensor) -> Tensor:
        """The change that leads to a candidate."""
        delta = (candidate - self.problem.x).flatten(1)
        return torch.where(self.unit > 0, delta / torch.where(self.unit > 0, self.unit, 1), 0)

    def place(self, delta: Tensor) -> Tensor:
        """The candidate a change leads to, shape of ``x``."""
        return self.problem.x + (self.unit * delta).reshape(self.problem.x.shape)

    def clip(self, delta: Tensor) -> Tensor:
        """The change as far as there is room for it."""
        return torch.minimum(torch.maximum(delta, self.low), self.high)

    def size(self, delta: Tensor) -> Tensor:
        """The norm of each change, ``(batch,)``."""
        return _norm(delta, self.order)

    def margin(self, delta: Tensor) -> Tensor:
        """Positive where flipped, ``(batch,)``."""
        return self.problem.loss(self.place(delta))

    def slope(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The margin and its gradient by ``delta``; a random direction where that vanishes."""
        margin, gradient = self.problem.loss_and_gradient(self.place(delta))
        return margin.to(gradient), self.nonvanishing(gradient.flatten(1) * self.unit)

    def boundaries(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Margins ``(batch, others)`` of the other classes and their slopes, nearest boundary first.

        How near is what the linearised boundary says, in the dual norm.
        """
        logits, gradients = self.problem.jacobian(self.place(delta))
        classes = logits.shape[1]
        others = torch.arange(classes - 1, device=logits.device).expand(len(logits), -1)
        # 0..K-2 with the true class skipped: one row of indices without a loop over the batch
        others = others + (others >= self.problem.y[:, None])
        gaps = logits.gather(1, others) - logits.gather(1, self.problem.y[:, None])
        slopes = gradients.flatten(2) * self.unit
        rows = torch.arange(len(logits), device=logits.device)[:, None]
        slopes = slopes[rows, others] - slopes[rows, self.problem.y[:, None]]
        # by Hoelder the linearised boundary is |gap| / |slope|_dual away
        steep = _norm(slopes, self.dual).clamp_min(torch.finfo(slopes.dtype).tiny)
        order = (gaps.abs() / steep).argsort(1)
        return gaps.gather(1, order).to(slopes), slopes[rows, order]

    def boundary(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Margin ``(batch,)`` and slope of the class whose linearised boundary is nearest."""
        gaps, slopes = self.boundaries(delta)
        return gaps[:, 0], self.nonvanishing(slopes[:, 0])

    def nonvanishing(self, slope: Tensor) -> Tensor:
        """The slope, or a faint random one where it vanishes.

        At the summit of a sine every direction leads down, and the gradient names none.
        """
        dead = (slope == 0).all(1, keepdim=True)
        if not bool(dead.any()):
            return slope
        noise = torch.randn(slope.shape, generator=self.problem.generator, dtype=slope.dtype)
        faint = torch.finfo(slope.dtype).eps
        # an eps of noise: enough for a direction after normalising, nothing beside a true slope
        return torch.where(dead, faint * noise.to(slope.device) * (self.unit > 0), slope)


def _norm(values: Tensor, order: float) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values, ord=order, dim=-1)
    return norm
