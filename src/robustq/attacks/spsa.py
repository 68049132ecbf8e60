"""Steepest ascent on a gradient estimated from scores (Uesato et al., ICML 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search
from robustq.errors import SpecError
from robustq.options import check_counts
from robustq.threats.ball import column, unit_noise


@dataclass(frozen=True)
class SPSA:
    """Simultaneous perturbation: two losses along a random direction tell the slope along it.

    The direction is the threat's steepest step for normal noise: random signs in l-inf, which is SPSA; a
    random direction in l2, which is the antithetic estimate of NES (Ilyas et al., ICML 2018). The mean of
    ``slope * direction`` over ``directions`` stands in for the gradient.

    Args:
        steps: of the ascent.
        directions: for each step; each costs two questions.
        step: step length as a fraction of eps; ``2.5 / steps`` by default.
        probe: how far the questions lie from the candidate, as a fraction of eps.
        loss: ``"margin"`` or ``"cross-entropy"``.

    >>> print(SPSA(steps=10, directions=4))
    SPSA, 10 steps of 4 directions
    """

    steps: int = 20
    directions: int = 12
    step: float | None = None
    probe: float = 0.2
    loss: str = "margin"

    def __post_init__(self) -> None:
        check_loss(self.loss)
        check_counts("spsa", steps=self.steps, directions=self.directions)
        for name in ("step", "probe"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise SpecError(f"spsa: expected {name} > 0 (a fraction of eps), got {value}")

    @property
    def step_fraction(self) -> float:
        """Step length divided by eps."""
        return self.step if self.step is not None else 2.5 / self.steps

    def __str__(self) -> str:
        return f"SPSA, {self.steps} steps of {self.directions} directions"

    def search(self, problem: Search) -> Tensor:
        """One run from the clean input."""
        threat, candidate = problem.threat, problem.x
        length = self.step_fraction * threat.eps
        for _ in range(self.steps):
            direction = threat.steepest(self._gradient(problem, candidate))
            candidate = threat.project(candidate + length * direction, problem.x)
        return candidate

    def _gradient(self, problem: Search, candidate: Tensor) -> Tensor:
        """A multiple of the estimated gradient, shape of ``x``.

        Questions beyond the threat set are projected onto it, so on its rim a difference shrinks; its
        sign is kept.
        """
        threat, total = problem.threat, torch.zeros_like(candidate)
        for _ in range(self.directions):
            direction = threat.steepest(unit_noise(problem.x, problem.generator))
            apart = self.probe * threat.eps * direction
            up, down = (problem.loss(candidate + d, self.loss) for d in (apart, -apart))
            total = total + column(up - down, candidate) * direction
        return total
