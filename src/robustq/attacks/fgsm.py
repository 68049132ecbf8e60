"""Fast gradient sign method: one full-size step (Goodfellow, Shlens, Szegedy, ICLR 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search


@dataclass(frozen=True)
class FGSM:
    """``x + eps * steepest(grad)``: the sign for l-infinity, the unit gradient for l2.

    Args:
        loss: ``"cross-entropy"`` or ``"margin"``.

    >>> FGSM()
    FGSM(loss='cross-entropy')
    """

    loss: str = "cross-entropy"

    def __post_init__(self) -> None:
        check_loss(self.loss)

    def __str__(self) -> str:
        return f"FGSM, {self.loss}"

    def search(self, problem: Search) -> Tensor:
        """One step of the whole budget."""
        direction = problem.threat.steepest(problem.gradient(problem.x, self.loss))
        return problem.x + problem.threat.eps * direction
