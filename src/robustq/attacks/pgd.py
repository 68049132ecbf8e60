"""Projected gradient descent with restarts (Madry et al., ICLR 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.attacks.targets import target_options
from robustq.contracts import Search
from robustq.errors import SpecError
from robustq.options import check_counts


@dataclass(frozen=True)
class PGD:
    """Steepest ascent on the loss, projected after every step.

    The first run starts at the clean input, the others at random points of the threat set.

    Args:
        steps: gradient steps a run.
        restarts: runs.
        step: step length as a fraction of eps; the default ``2.5 / steps`` lets a run cross the ball
            and come back.
        loss: ``"margin"``, whose maximum decides (near the boundary of three classes the cross-entropy's
            lies elsewhere), or ``"cross-entropy"``, as published.
        targets: how many classes to aim at, the likeliest wrong ones first, one run each; 0 only leads
            away from the right class.

    >>> PGD(steps=40, restarts=5).step_fraction
    0.0625
    """

    steps: int = 20
    restarts: int = 3
    step: float | None = None
    loss: str = "margin"
    targets: int = 0

    def __post_init__(self) -> None:
        check_loss(self.loss)
        check_counts("pgd", steps=self.steps, restarts=self.restarts)
        check_counts("pgd", 0, targets=self.targets)
        if self.step is not None and self.step <= 0:
            raise SpecError(f"pgd: expected step > 0 (a fraction of eps), got {self.step}")

    @property
    def step_fraction(self) -> float:
        """Step length divided by eps."""
        return self.step if self.step is not None else 2.5 / self.steps

    def __str__(self) -> str:
        again = "restart" if self.restarts == 1 else "restarts"
        aimed = f", {self.targets} targets" if self.targets else ""
        return f"PGD, {self.steps} steps, {self.restarts} {again}, {self.loss}{aimed}"

    def search(self, problem: Search) -> Tensor:
        """All runs; the framework remembers the strongest candidate of any of them."""
        threat, length = problem.threat, self.step_fraction * problem.threat.eps
        candidate = problem.x
        for run in range(self.restarts):
            start = threat.sample(problem.x, problem.generator) if run else problem.x
            for aim in target_options(problem, self.targets):
                candidate = start
                for _ in range(self.steps):
                    direction = threat.steepest(problem.gradient(candidate, self.loss, **aim))
                    candidate = threat.project(candidate + length * direction, problem.x)
                problem.loss(candidate)
        return candidate
