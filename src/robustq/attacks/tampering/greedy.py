"""Greedy search over switches: one at a time, always the one that helps most, then exchanges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.losses import check_loss
from robustq.contracts import Search
from robustq.errors import SpecError


@dataclass(frozen=True)
class Greedy:
    """Turns on the best switch, then the next best; then exchanges one for another while that helps.

    The greedy and the interchange heuristic of Nemhauser, Wolsey & Fisher (1978). Where gains diminish
    the first is within ``1 - 1/e`` of the best choice; no such promise holds for circuits in general.

    Args:
        exchanges: how many exchanges at most.
        loss: ``"margin"`` (a smooth 0/1 loss) or ``"cross-entropy"``.

    >>> print(Greedy())
    greedy, at most 3 exchanges, margin
    """

    exchanges: int = 3
    loss: str = "margin"

    def __post_init__(self) -> None:
        check_loss(self.loss)
        if not isinstance(self.exchanges, int) or self.exchanges < 0:
            raise SpecError(f"greedy: expected exchanges >= 0, got {self.exchanges!r}")

    def __str__(self) -> str:
        return f"greedy, at most {self.exchanges} exchanges, {self.loss}"

    def search(self, problem: Search) -> Tensor:
        """As many rounds as switches may be on, even where one more helps nothing by itself."""
        current, best = problem.x, -torch.inf
        for _ in range(min(int(problem.threat.eps), problem.x.shape[1])):
            best, current = self._best(problem, (_set(current, on=k) for k in _places(current, 0)))
        for _ in range(self.exchanges):
            loss, found = self._best(problem, _exchanged(current))
            if loss <= best:
                break
            best, current = loss, found
        return current

    def _best(self, problem: Search, candidates: Iterable[Tensor]) -> tuple[float, Tensor]:
        tried = [(float(problem.loss(c, self.loss)), c) for c in candidates]
        return max(tried, key=lambda pair: pair[0], default=(-torch.inf, problem.x))


def _exchanged(current: Tensor) -> Iterable[Tensor]:
    """Every way to turn one switch off and another on."""
    off = _places(current, 0)
    return (_set(_set(current, off=k), on=j) for k in _places(current, 1) for j in off)


def _places(current: Tensor, value: int) -> list[int]:
    places: list[int] = (current[0] == value).nonzero()[:, 0].tolist()
    return places


def _set(current: Tensor, *, on: int | None = None, off: int | None = None) -> Tensor:
    turned = current.clone()
    for place, value in ((on, 1.0), (off, 0.0)):
        if place is not None:
            turned[0, place] = value
    return turned
