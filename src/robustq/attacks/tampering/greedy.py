"""Greedy search over switches: one at a time, always the one that helps most."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search


@dataclass(frozen=True)
class Greedy:
    """Turns on the switch that raises the loss most, then the next, while any raises it.

    Within a factor ``1 - 1/e`` of the best choice where gains diminish (Nemhauser, Wolsey & Fisher
    1978); no such promise holds for circuits in general.

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
        """At most as many rounds as switches may be on."""
        current, best = problem.x, float(problem.loss(problem.x, self.loss))
        for _ in range(int(problem.threat.eps)):
            tried = {k: self._try(problem, current, k) for k in _off(current)}
            k = max(tried, key=lambda k: tried[k], default=None)
            if k is None or tried[k] <= best:
                break
            current, best = _on(current, k), tried[k]
        return current

    def _try(self, problem: Search, current: Tensor, k: int) -> float:
        return float(problem.loss(_on(current, k), self.loss))


def _off(current: Tensor) -> list[int]:
    off: list[int] = (current[0] == 0).nonzero()[:, 0].tolist()
    return off


def _on(current: Tensor, k: int) -> Tensor:
    turned = current.clone()
    turned[0, k] = 1
    return turned
