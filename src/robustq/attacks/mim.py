"""Momentum iterative method (Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search
from robustq.errors import SpecError
from robustq.options import check_counts, check_rates
from robustq.threats.ball import column


@dataclass(frozen=True)
class MIM:
    """Steepest ascent along an accumulated gradient: steadier, and it transfers better.

    ``g <- decay * g + grad / |grad|_1``, then a step along ``g``.

    Args:
        steps: gradient steps.
        step: step length as a fraction of eps; the default ``2.5 / steps`` lets a run cross the ball.
        decay: how much of the accumulated gradient is kept.
        loss: ``"cross-entropy"`` or ``"margin"``.

    >>> MIM(steps=10).decay
    1.0
    """

    steps: int = 20
    step: float | None = None
    decay: float = 1.0
    loss: str = "cross-entropy"

    def __post_init__(self) -> None:
        check_loss(self.loss)
        check_counts("mim", steps=self.steps)
        check_rates("mim", step=1.0 if self.step is None else self.step)
        if not self.decay >= 0:
            raise SpecError(f"mim: expected decay >= 0, got {self.decay}")

    def __str__(self) -> str:
        return f"MIM, {self.steps} steps, {self.loss}"

    def search(self, problem: Search) -> Tensor:
        """One run from the clean input."""
        threat = problem.threat
        length = threat.eps * (2.5 / self.steps if self.step is None else self.step)
        candidate, momentum = problem.x, torch.zeros_like(problem.x)
        for _ in range(self.steps):
            gradient = problem.gradient(candidate, self.loss)
            size = gradient.abs().flatten(1).sum(1).clamp_min(torch.finfo(gradient.dtype).tiny)
            momentum = self.decay * momentum + gradient / column(size, gradient)
            candidate = threat.project(candidate + length * threat.steepest(momentum), problem.x)
        problem.loss(candidate, self.loss)
        return candidate
