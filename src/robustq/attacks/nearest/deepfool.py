"""DeepFool (Moosavi-Dezfooli, Fawzi, Frossard, CVPR 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.nearest.hyperplane import projection
from robustq.attacks.nearest.moves import Moves
from robustq.attacks.nearest.refine import opening, slide
from robustq.contracts import Problem
from robustq.options import check_counts, check_rates
from robustq.threats import L2, Linf


@dataclass(frozen=True)
class DeepFool:
    """Steps onto the nearest linearised boundary of any class until the input flips; l2 and linf.

    Near the summit of a sine the linearised boundary is nowhere near the true one, so no step goes
    further than the first crossing along the gradient.

    Args:
        steps: at most so many steps, one Jacobian each.
        overshoot: how much further than the boundary each step goes.
        slides: rounds along the boundary at the end; 0 for the paper's attack.

    >>> DeepFool().overshoot
    0.02
    """

    steps: int = 50
    overshoot: float = 0.02
    slides: int = 6

    def __post_init__(self) -> None:
        check_counts("deepfool", steps=self.steps)
        check_counts("deepfool", 0, slides=self.slides)
        check_rates("deepfool", overshoot=self.overshoot)

    def __str__(self) -> str:
        return f"DeepFool, at most {self.steps} steps"

    def search(self, problem: Problem) -> Tensor:
        """Steps until all are flipped; raises ThreatError unless the threat is an l2 or linf ball."""
        moves = Moves.of(problem, L2, Linf)
        room = (moves.low, moves.high)
        reach = moves.size(opening(moves))[:, None]
        delta, moving = torch.zeros_like(moves.low), torch.ones_like(reach, dtype=torch.bool)
        for _ in range(self.steps):
            gap, slope = moves.boundary(delta)
            step = projection(delta, slope, (1 + self.overshoot) * gap.abs(), room, moves.order)
            # where the linearisation is nearly flat its boundary is arbitrarily far, hence the cap at `reach`
            length = moves.size(step)[:, None].clamp_min(torch.finfo(step.dtype).tiny)
            delta = torch.where(moving, step * (reach / length).clamp_max(1), delta)
            moving = moving & ~(moves.margin(delta)[:, None] > 0)
            if not bool(moving.any()):
                break
        slide(moves, self.slides)
        return problem.nearest
