"""Decoupled direction and norm (Rony et al., CVPR 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.nearest.moves import Moves
from robustq.attacks.nearest.refine import opening, slide
from robustq.contracts import Problem
from robustq.options import check_counts, check_rates
from robustq.threats import L2
from robustq.threats.l2 import direction_of, length_of


@dataclass(frozen=True)
class DDN:
    """Walks on a sphere around the input that shrinks where flipped and grows where not; l2.

    The paper's radius and step start at 1, made for images; here at the first crossing along the
    gradient, so that features may have any unit. The margin takes the place of the cross-entropy,
    which for two classes has the same direction.

    Args:
        steps: gradient steps.
        gamma: by how much the radius changes in a step.
        step: first step length as a fraction of the first radius, annealed to a hundredth of it.
        slides: rounds along the boundary at the end; 0 for the paper's attack.

    >>> DDN(steps=100).gamma
    0.05
    """

    steps: int = 50
    gamma: float = 0.05
    step: float = 1.0
    slides: int = 3

    def __post_init__(self) -> None:
        check_counts("ddn", steps=self.steps)
        check_counts("ddn", 0, slides=self.slides)
        check_rates("ddn", gamma=self.gamma, step=self.step)

    def __str__(self) -> str:
        return f"DDN, {self.steps} steps"

    def search(self, problem: Problem) -> Tensor:
        """The sphere's walk; raises ThreatError unless the threat is an l2 ball."""
        moves = Moves.of(problem, L2)
        first = opening(moves)
        delta, radius = torch.zeros_like(first), length_of(first)
        reach = radius[:, None]
        for k in range(self.steps):
            annealed = 0.01 + 0.99 * (1 + math.cos(math.pi * k / self.steps)) / 2
            margin, slope = moves.slope(delta)
            delta = delta + self.step * annealed * reach * direction_of(slope)
            grown = torch.where(margin > 0, 1 - self.gamma, 1 + self.gamma)
            # never further than the nearest point found so far: only a nearer one is news
            radius = torch.minimum(radius * grown, problem.radius)
            # the norm is set by the projection, not by the step: that is the decoupling
            delta = moves.clip(radius[:, None] * direction_of(delta))
        moves.margin(delta)
        slide(moves, self.slides)
        return problem.nearest
