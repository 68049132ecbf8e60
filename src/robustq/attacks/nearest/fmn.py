"""Fast minimum-norm attack (Pintor et al., NeurIPS 2021)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.nearest.moves import Moves
from robustq.attacks.nearest.refine import opening, slide
from robustq.attacks.nearest.sparse import prune, try_single_features
from robustq.contracts import Problem
from robustq.options import check_counts, check_rates
from robustq.threats import L0, L1, L2, Linf
from robustq.threats.ball import Ball
from robustq.threats.l2 import direction_of, length_of

UNIT_BALLS: dict[float, Ball] = {1.0: L1(1.0), 2.0: L2(1.0), math.inf: Linf(1.0)}


@dataclass(frozen=True)
class FMN:
    """Follows the gradient inside a ball whose radius closes in on the boundary; l0, l1, l2, linf.

    The paper's first step is 1, made for images; here it is the length of the first crossing along the
    gradient, so that features may have any unit.

    Args:
        steps: gradient steps.
        gamma: by how much the radius changes in a step at first; annealed to zero.
        step: first step length as a fraction of the first crossing, annealed to a hundredth of it.
        slides: rounds along the boundary at the end; 0 for the paper's attack. For l0, features are
            put back and tried alone instead.

    >>> print(FMN(steps=100))
    FMN, 100 steps
    """

    steps: int = 50
    gamma: float = 0.05
    step: float = 1.0
    slides: int = 3

    def __post_init__(self) -> None:
        check_counts("fmn", steps=self.steps)
        check_counts("fmn", 0, slides=self.slides)
        check_rates("fmn", gamma=self.gamma, step=self.step)

    def __str__(self) -> str:
        return f"FMN, {self.steps} steps"

    def search(self, problem: Problem) -> Tensor:
        """The closing ball; raises ThreatError unless the threat is a ball of one of the four norms."""
        moves = Moves.of(problem, L0, L1, L2, Linf)
        first = opening(moves)
        delta, radius = torch.zeros_like(first), moves.size(first)
        reach = length_of(first)[:, None]
        for k in range(self.steps):
            cooled = (1 + math.cos(math.pi * k / self.steps)) / 2
            margin, slope = moves.slope(delta)
            delta = delta + self.step * (0.01 + 0.99 * cooled) * reach * direction_of(slope)
            # not to zero: the last rounds must still leave the boundary on both sides
            change = max(cooled * self.gamma, 1e-3)
            radius = _closer(radius, margin > 0, change, moves.order)
            radius = torch.minimum(radius, problem.radius)
            delta = _shrink(moves.clip(delta), radius[:, None], moves.order)
        moves.margin(delta)
        if moves.order > 0:
            slide(moves, self.slides)
        else:
            prune(moves)
            try_single_features(moves)
        return problem.nearest


def _closer(radius: Tensor, flipped: Tensor, change: float, order: float) -> Tensor:
    """The next radius; a number of features changes by one at least."""
    if order > 0:
        return radius * torch.where(flipped, 1 - change, 1 + change)
    # l0 is an integer: a factor near one would round back to the same number of features
    less = torch.minimum(radius - 1, (radius * (1 - change)).floor())
    more = torch.maximum(radius + 1, (radius * (1 + change)).floor())
    return torch.where(flipped, less, more).clamp_min(1)


def _shrink(delta: Tensor, radius: Tensor, order: float) -> Tensor:
    """Onto the ball of each row's own radius ``(batch, 1)``."""
    if order > 0:
        radius = radius.clamp_min(torch.finfo(delta.dtype).tiny)
        return radius * UNIT_BALLS[order].project(delta / radius, torch.zeros_like(delta))
    # argsort of an argsort is the rank; the largest `radius` changes stay
    ranks = delta.abs().argsort(1, descending=True).argsort(1)
    return torch.where(ranks < radius, delta, 0)
