"""Greedy search over switches: one at a time, always the one that helps most."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search


@dataclass(frozen=True)
class Greedy:
    """Turns on the switch that raises the loss most, then the next, as many as may be on.

    Where gains diminish it is within ``1 - 1/e`` of the best choice (Nemhauser, Wolsey & Fisher 1978);
    no such promise holds for circuits in general.

    Args:
        loss: ``"margin"`` (a smooth 0/1 loss) or ``"cross-entropy"``.

    >>> print(Greedy())
    greedy, margin
    """

    loss: str = "margin"

    def __post_init__(self) -> None:
        check_loss(self.loss)

    def __str__(self) -> str:
        return f"greedy, {self.loss}"

    def search(self, problem: Search) -> Tensor:
        """Goes on where one switch more helps nothing by itself: two more may."""
        current = problem.x
        for _ in range(min(int(problem.threat.eps), problem.x.shape[1])):
            off = (current[0] == 0).nonzero()[:, 0].tolist()
            further = [_with_on(current, place) for place in off]
            losses = [float(problem.loss(candidate, self.loss)) for candidate in further]
            current = further[losses.index(max(losses))]
        return current


def _with_on(current: Tensor, place: int) -> Tensor:
    turned = current.clone()
    turned[0, place] = 1
    return turned
