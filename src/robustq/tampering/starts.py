"""The usual search for shared settings: look around, then climb from the best places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search
from robustq.options import check_counts


@dataclass(frozen=True)
class ManyStarts:
    """Random settings, and steepest ascent from rest and from the best of them (Madry et al., ICLR 2018).

    A few settings shared by all inputs make a landscape with many maxima, where starts pay more than steps;
    and where chance does well, the search has to have tried chance.

    Args:
        draws: random settings looked at.
        restarts: ascents, the first from rest.
        steps: gradient steps of each.
        loss: ``"margin"``, a smooth 0/1 loss here, or ``"cross-entropy"``.

    >>> print(ManyStarts())
    40 random settings, 4 ascents of 10 steps
    """

    draws: int = 40
    restarts: int = 4
    steps: int = 10
    loss: str = "margin"

    def __post_init__(self) -> None:
        check_counts("many-starts", draws=self.draws, restarts=self.restarts, steps=self.steps)
        check_loss(self.loss)

    def __str__(self) -> str:
        return f"{self.draws} random settings, {self.restarts} ascents of {self.steps} steps"

    def search(self, problem: Search) -> Tensor:
        """Look around, then climb."""
        drawn = [problem.threat.sample(problem.x, problem.generator) for _ in range(self.draws)]
        losses = torch.cat([problem.loss(candidate, self.loss) for candidate in drawn])
        best = losses.argsort(descending=True)[: self.restarts - 1].tolist()
        candidate = problem.x
        for start in (problem.x, *(drawn[k] for k in best)):
            candidate = self._climb(problem, start)
        return candidate

    def _climb(self, problem: Search, candidate: Tensor) -> Tensor:
        """Steps that shorten from the whole budget's size, so that a run ends finely."""
        threat = problem.threat
        for step in range(self.steps):
            length = threat.eps * (1 - step / self.steps) / 2
            direction = threat.steepest(problem.gradient(candidate, self.loss))
            candidate = threat.project(candidate + length * direction, problem.x)
        problem.loss(candidate, self.loss)
        return candidate
