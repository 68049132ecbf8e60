"""Adversarial training: minimise the loss at the attacked inputs (Madry et al., ICLR 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.attacks import SearchProblem
from robustq.contracts import Attack, QuantumClassifier, Threat
from robustq.errors import SpecError

EXPECTED_STEPS = 16  # gradients an input in one inner search, roughly: is freezing worth its while?


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
        if not 0 <= self.weight <= 1:
            raise SpecError(f"adversarial training: expected weight in [0, 1], got {self.weight}")

    def loss(self, model: Any, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """``weight * CE(attacked) + (1 - weight) * CE(clean)``."""
        uses = len(x) * EXPECTED_STEPS
        target = model.freeze(uses=uses) if isinstance(model, QuantumClassifier) else model
        attacked = _search(self.attack, target, x, y, self.threat, generator)
        loss = torch.nn.functional.cross_entropy(model(attacked), y)
        if self.weight < 1:
            clean = torch.nn.functional.cross_entropy(model(x), y)
            loss = self.weight * loss + (1 - self.weight) * clean
        return loss


def _search(
    attack: Attack, model: Any, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
) -> Tensor:
    """The strongest candidate, without the clean and final passes a verdict needs."""
    problem = SearchProblem(model, x, y, threat, generator)
    return problem.best(attack)
