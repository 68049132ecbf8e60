"""The inputs that no attack has flipped yet: threat sets are nested, so only these are attacked at a larger eps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustq.attacks import run_attack
from robustq.contracts import Attack, AttackResult, Classifier, Threat


def right(model: nn.Module | Classifier, x: Tensor, y: Tensor) -> Tensor:
    """Which inputs ``(batch, ...)`` a model classifies as labelled."""
    with torch.no_grad():
        return model(x).argmax(1) == y


@dataclass(eq=False)
class Survivors:
    """Inputs, labels, and who is still standing.

    Attributes:
        x: ``(inputs, ...)``.
        y: labels.
        alive: one flag an input; changed by every attack.
    """

    x: Tensor
    y: Tensor
    alive: Tensor

    @staticmethod
    def all_of(x: Tensor, y: Tensor) -> Survivors:
        """Nobody attacked yet."""
        return Survivors(x, y, torch.ones(len(x), dtype=torch.bool))

    @property
    def rows(self) -> Tensor:
        """Who is still standing, by number."""
        return self.alive.nonzero()[:, 0]

    def attack(
        self,
        attack: Attack,
        model: nn.Module | Classifier,
        threat: Threat,
        generator: torch.Generator,
        *,
        answers: int = 1,
        judge: Classifier | None = None,
    ) -> AttackResult | None:
        """Attack those that stand, and strike out whom it flips; None if nobody stands.

        With a ``judge`` the candidates are made on ``model``, but it is the judge's answers that count.
        """
        rows = self.rows
        if not len(rows):
            return None
        x, y = self.x[rows], self.y[rows]
        result = run_attack(attack, model, x, y, threat, generator=generator, answers=answers)
        self.alive[rows] = result.robust if judge is None else right(judge, result.x_adv, y)
        return result
