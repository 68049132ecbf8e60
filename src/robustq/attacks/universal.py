"""One perturbation for all inputs (Moosavi-Dezfooli et al., CVPR 2017; Shafahi et al., AAAI 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.contracts import Problem
from robustq.errors import SpecError, ThreatError
from robustq.options import check_counts
from robustq.threats.ball import Ball


@dataclass(frozen=True)
class Universal:
    """The same change added to every input of the batch, made to raise the mean clipped loss.

    Shafahi et al.'s ascent with the whole batch at every step: each input's cross-entropy is clipped at
    ``clip``, so that one input that is badly wrong already does not decide. What is added is one vector of
    the ball; the box then cuts it for each input by itself. Of all steps only the best vector
    is submitted: an input flipped on the way by another one is not flipped by this attack.

    A limit on queries that ends the search ends it before anything was submitted.

    Args:
        steps: of each run.
        restarts: runs; the first from no change, the others from random ones.
        clip: of the loss of each input.

    Raises:
        ThreatError: when searching a threat without a norm ball to share.

    >>> print(Universal(steps=10, restarts=1))
    one perturbation for all, 10 steps, 1 restart
    """

    steps: int = 40
    restarts: int = 2
    clip: float = 9.0

    def __post_init__(self) -> None:
        check_counts("universal", steps=self.steps, restarts=self.restarts)
        if not self.clip > 0:
            raise SpecError(f"universal: expected clip > 0, got {self.clip}")

    def __str__(self) -> str:
        again = "restart" if self.restarts == 1 else "restarts"
        return f"one perturbation for all, {self.steps} steps, {self.restarts} {again}"

    def search(self, problem: Problem) -> Tensor:
        """The inputs moved by the best vector."""
        return problem.run(_Ascent(self), keep=False)


@dataclass(frozen=True)
class _Ascent:
    """The search itself, whose findings on the way must not count."""

    plan: Universal

    def search(self, problem: Problem) -> Tensor:
        threat, plan = _shared(problem.threat), self.plan
        rest = torch.zeros_like(problem.x[:1])
        best, best_loss = rest, -torch.inf
        for run in range(plan.restarts):
            delta = threat.sample(rest, problem.generator) if run else rest
            for _ in range(plan.steps + 1):
                loss, gradient = self._mean(problem, delta)
                if loss > best_loss:
                    best, best_loss = delta, loss
                step = 2.5 / plan.steps * threat.eps * threat.steepest(gradient)
                delta = threat.project(delta + step, rest)
        return problem.x + best

    def _mean(self, problem: Problem, delta: Tensor) -> tuple[float, Tensor]:
        """The mean clipped loss and its gradient ``(1, *features)``."""
        losses, gradients = problem.loss_and_gradient(problem.x + delta, "cross-entropy")
        gradients = gradients[losses < self.plan.clip]
        mean = float(losses.clamp(max=self.plan.clip).mean())
        return mean, gradients.sum(0, keepdim=True) / max(1, len(losses))


def _shared(threat: object) -> Ball:
    """The ball that a shared change lies in: the threat's without its box."""
    if not isinstance(threat, Ball):
        raise ThreatError(f"universal: expected a norm ball, got {threat}")
    return replace(threat, box=None)
