"""Fast adaptive boundary attack (Croce & Hein, ICML 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.nearest.hyperplane import projection
from robustq.attacks.nearest.moves import Moves
from robustq.attacks.nearest.refine import opening, slide
from robustq.contracts import Problem
from robustq.errors import SpecError
from robustq.options import check_counts, check_rates
from robustq.threats import L1, L2, Linf


@dataclass(frozen=True)
class FAB:
    """Walks along the linearised boundary, drawn towards the input; l1, l2 and linf.

    Each step is a mean of the nearest points, within the box, of the linearised boundary to the
    iterate and to the input; a flipped iterate is pulled back.

    Args:
        steps: steps a run, one Jacobian each.
        restarts: runs; the first starts at the first crossing along the gradient (the paper's starts
            at the input, where the gradient of a sine may vanish), the others at random, half as far
            as the nearest point found.
        bias: the largest weight of the input's own nearest point.
        overshoot: how much further than the boundary a step goes.
        backward: what is left of a flipped change.
        slides: rounds along the boundary at the end; 0 for the paper's attack.

    >>> print(FAB(steps=100, restarts=5))
    FAB, 100 steps, 5 runs
    """

    steps: int = 30
    restarts: int = 3
    bias: float = 0.1
    overshoot: float = 1.05
    backward: float = 0.9
    slides: int = 2

    def __post_init__(self) -> None:
        check_counts("fab", steps=self.steps, restarts=self.restarts)
        check_counts("fab", 0, slides=self.slides)
        check_rates("fab", bias=self.bias, overshoot=self.overshoot, backward=self.backward)
        if self.bias > 1 or self.backward > 1:
            raise SpecError(f"fab: expected bias and backward <= 1, got {self.bias} and {self.backward}")

    def __str__(self) -> str:
        return f"FAB, {self.steps} steps, {self.restarts} run{'s' * (self.restarts > 1)}"

    def search(self, problem: Problem) -> Tensor:
        """All runs; raises ThreatError unless the threat is an l1, l2 or linf ball."""
        moves = Moves.of(problem, L1, L2, Linf)
        first = opening(moves)
        for run in range(self.restarts):
            delta = self._random(moves) if run else first
            for _ in range(self.steps):
                delta = self._step(moves, delta)
            moves.margin(delta)
            slide(moves, self.slides)
        return problem.nearest

    def _random(self, moves: Moves) -> Tensor:
        """Half as far as the nearest point found, or as allowed."""
        problem = moves.problem
        drawn = problem.threat.sample(problem.x, problem.generator)
        reach = problem.radius.clamp_max(problem.threat.eps)
        share = 0.5 * reach / max(problem.threat.eps, torch.finfo(reach.dtype).tiny)
        return share[:, None] * moves.of_candidate(drawn)

    def _step(self, moves: Moves, delta: Tensor) -> Tensor:
        gap, slope = moves.boundary(delta)
        room, origin = (moves.low, moves.high), torch.zeros_like(delta)
        own = projection(delta, slope, -gap, room, moves.order) - delta
        clean = projection(origin, slope, (slope * delta).sum(1) - gap, room, moves.order)
        near, far = moves.size(own), moves.size(clean)
        # the paper's alpha: the nearer the iterate is to the boundary, the less the input pulls
        weight = (near / (near + far).clamp_min(torch.finfo(near.dtype).tiny)).clamp_max(self.bias)
        moved = (1 - weight[:, None]) * (delta + self.overshoot * own)
        moved = moves.clip(moved + weight[:, None] * self.overshoot * clean)
        flipped = moves.margin(moved)[:, None] > 0
        return torch.where(flipped, self.backward * moved, moved)
