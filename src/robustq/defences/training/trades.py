"""TRADES: a robust answer is one that does not change (Zhang et al., ICML 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import Step, Threat, frozen
from robustq.defences.training.inner import climb, divergence
from robustq.options import check_counts, check_not_negative, check_rates


@dataclass(frozen=True)
class TRADES:
    """``CE(clean) + beta * max KL(clean || attacked)``, the multi-class form of the paper.

    The inner search raises the divergence itself, from a random point of the threat set, since at the clean
    input its gradient is zero.

    Args:
        threat: what the inner adversary may do.
        beta: price of an answer that changes, ``1 / lambda`` in the paper.
        steps: gradient steps of the inner search.
        step: their length as a fraction of eps; None for ``2 / steps``.

    >>> from robustq.threats import Linf
    >>> TRADES(Linf(0.1), beta=3.0).step_fraction
    0.4
    """

    threat: Threat
    beta: float = 6.0
    steps: int = 5
    step: float | None = None

    def __post_init__(self) -> None:
        check_not_negative("trades", beta=self.beta)
        check_counts("trades", steps=self.steps)
        check_rates("trades", step=self.step_fraction)

    @property
    def step_fraction(self) -> float:
        """Step length divided by eps."""
        return 2 / self.steps if self.step is None else self.step

    def losses(self, model: Any, step: Step) -> Tensor:
        """``CE(clean) + beta * KL(clean || attacked)``, differentiated through both answers."""
        clean = model(step.x)
        losses = cross_entropy(clean, step.y, reduction="none")
        if self.beta == 0:
            return losses
        return losses + self.beta * divergence(clean, model(self.furthest(model, step)))

    def furthest(self, model: Any, step: Step) -> Tensor:
        """Inputs at which the answer has changed most, shape of ``step.x``, detached."""
        # the inner search asks often and needs no gradient in the weights
        target = frozen(model, uses=len(step.x) * (self.steps + 1))
        with torch.no_grad():
            clean = target(step.x)
        return climb(
            lambda inputs: divergence(clean, target(inputs)),
            step.x,
            self.threat.sample(step.x, step.generator),
            self.threat,
            steps=self.steps,
            length=self.step_fraction,
        )
