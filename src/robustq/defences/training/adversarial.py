"""Adversarial training: minimise the loss at the attacked inputs (Madry et al., ICLR 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import Attack, Step, Threat
from robustq.defences.training.inner import worst_inputs
from robustq.options import check_shares


@dataclass(frozen=True)
class AdversarialTraining:
    """Cross-entropy at the attack's candidates, mixed with the clean loss.

    Args:
        attack: the inner search, run against the model as it is at this step.
        threat: what the inner adversary may do; independent of the threat used to judge.
        weight: share of the attacked loss, in [0, 1].

    >>> from robustq.attacks import PGD
    >>> from robustq.threats import Linf
    >>> AdversarialTraining(PGD(steps=7, restarts=1), Linf(0.1)).weight
    1.0
    """

    attack: Attack
    threat: Threat
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_shares("adversarial training", weight=self.weight)

    def losses(self, model: Any, step: Step) -> Tensor:
        """``weight * CE(attacked) + (1 - weight) * CE(clean)``."""
        attacked = worst_inputs(self.attack, model, step, self.threat)
        losses = cross_entropy(model(attacked), step.y, reduction="none")
        if self.weight < 1:
            clean = cross_entropy(model(step.x), step.y, reduction="none")
            losses = self.weight * losses + (1 - self.weight) * clean
        return losses
