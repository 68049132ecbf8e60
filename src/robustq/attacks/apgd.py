"""Auto-PGD: steps that shorten by themselves (Croce & Hein, ICML 2020; l1: "Mind the box", ICML 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.attacks.targets import target_options
from robustq.contracts import Search
from robustq.options import check_counts
from robustq.threats.ball import column

MOMENTUM = 0.75  # share of the new direction in a step
PROGRESS = 0.75  # share of the steps of a period that must raise the loss
FIRST, SHORTER, SHORTEST = 0.22, 0.03, 0.06  # periods, as shares of the steps


@dataclass(frozen=True)
class APGD:
    """Momentum ascent whose step is halved, input by input, when the loss stops rising.

    Args:
        steps: gradient steps a run.
        restarts: runs; the first starts at the clean input, the others at random.
        loss: ``"margin"``, defined for two classes (the published ratio of logit differences is not),
            or ``"cross-entropy"``.
        targets: how many classes to aim at, the likeliest wrong ones first, one run each (needs
            three classes); 0 only leads away from the right class.

    >>> print(APGD(steps=50))
    APGD, 50 steps, 1 restart, margin
    """

    steps: int = 100
    restarts: int = 1
    loss: str = "margin"
    targets: int = 0

    def __post_init__(self) -> None:
        check_loss(self.loss)
        check_counts("apgd", 2, steps=self.steps)
        check_counts("apgd", restarts=self.restarts)
        check_counts("apgd", 0, targets=self.targets)

    def __str__(self) -> str:
        again = "restart" if self.restarts == 1 else "restarts"
        aimed = f", {self.targets} targets" if self.targets else ""
        return f"APGD, {self.steps} steps, {self.restarts} {again}, {self.loss}{aimed}"

    def search(self, problem: Search) -> Tensor:
        """All runs; the framework remembers the strongest candidate of any of them."""
        candidate = problem.x
        for run in range(self.restarts):
            start = problem.threat.sample(problem.x, problem.generator) if run else problem.x
            for aim in target_options(problem, self.targets):
                candidate = self._run(problem, start, aim)
        return candidate

    def _run(self, problem: Search, start: Tensor, aim: dict[str, Tensor]) -> Tensor:
        threat, x = problem.threat, problem.x
        pace = _Pace(self.steps, start)
        previous = candidate = start
        loss, gradient = problem.loss_and_gradient(candidate, self.loss, **aim)
        pace.begin(candidate, loss, gradient)
        for step in range(self.steps):
            length = 2 * threat.eps * column(pace.share, x)
            ahead = threat.project(candidate + length * threat.steepest(gradient), x)
            # no momentum yet in the first step
            share = MOMENTUM if step else 1.0
            moved = candidate + share * (ahead - candidate) + (1 - share) * (candidate - previous)
            previous, candidate = candidate, threat.project(moved, x)
            loss, gradient = problem.loss_and_gradient(candidate, self.loss, **aim)
            previous, candidate, gradient = pace.note(step, previous, candidate, loss, gradient)
        return pace.best


class _Pace:
    """Step lengths, and what the search has to remember to shorten them."""

    def __init__(self, steps: int, start: Tensor) -> None:
        self.share = start.new_ones(len(start))  # of the first step
        self.rises = start.new_zeros(len(start))  # steps of this period that raised the loss
        self.period, self.since = max(int(FIRST * steps), 1), 0
        self._shorter, self._shortest = max(int(SHORTER * steps), 1), max(int(SHORTEST * steps), 1)
        self.halved = torch.ones(len(start), dtype=torch.bool, device=start.device)

    def begin(self, candidate: Tensor, loss: Tensor, gradient: Tensor) -> None:
        """The first point is the best so far."""
        self.best, self.best_loss, self.best_gradient = candidate, loss, gradient
        self.last_loss, self.last_best = loss, loss

    def note(
        self, step: int, previous: Tensor, candidate: Tensor, loss: Tensor, gradient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Remember the point; at the end of a period, go back to the best where the step is halved."""
        self.rises += (loss > self.last_loss).to(self.rises)
        self.last_loss = loss
        better = loss > self.best_loss
        self.best = torch.where(column(better, candidate), candidate, self.best)
        self.best_gradient = torch.where(column(better, gradient), gradient, self.best_gradient)
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.since += 1
        if self.since < self.period:
            return previous, candidate, gradient
        return self._end_period(previous, candidate, gradient)

    def _end_period(self, previous: Tensor, candidate: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        few = self.rises < PROGRESS * self.period
        stuck = ~self.halved & (self.best_loss <= self.last_best)
        self.halved = few | stuck
        self.share = torch.where(self.halved, self.share / 2, self.share)
        self.last_best = self.best_loss
        self.rises, self.since = torch.zeros_like(self.rises), 0
        self.period = max(self.period - self._shorter, self._shortest)
        back = column(self.halved, candidate)
        return (
            torch.where(back, self.best, previous),
            torch.where(back, self.best, candidate),
            torch.where(back, self.best_gradient, gradient),
        )
