"""A sequential test that scores have changed, whose chance of ever crying wolf is bounded.

Conformal test martingale (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson & Gammerman, "Retrain or not retrain",
COPA 2021): each score's smoothed conformal p-value is independent and uniform as long as scores are
exchangeable; a gambler who bets that they are not multiplies his capital. By Ville's inequality it
ever exceeds ``1 / alpha`` with probability ``alpha`` at most, however long one looks.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import DataError, SpecError

STAKES = (-1.0, 0.0, 1.0)  # bets on small p-values (high scores), on nothing, on large ones


@dataclass(frozen=True)
class Drift:
    """Where the test stands.

    Attributes:
        alarmed: whether the capital ever exceeded ``1 / alpha``.
        at: number of the score at which it first did, counted from 1; None if it never did.
        seen: scores so far, the reference not counted.
        log_capital: natural log of the capital now.
    """

    alarmed: bool
    at: int | None
    seen: int
    log_capital: float


class DriftMonitor:
    """The Simple Jumper martingale on scores in their order of arrival.

    Args:
        reference: clean scores to start from, ``(rows,)``; more make the test quicker, none are needed.
        generator: breaks ties between scores.
        alpha: chance of ever raising the alarm on exchangeable scores.
        jump: share of the capital that is laid anew on all three bets at every step.

    >>> generator = torch.Generator().manual_seed(0)
    >>> monitor = DriftMonitor(torch.randn(200, generator=generator), generator)
    >>> monitor.update(torch.randn(100, generator=generator)).alarmed
    False
    >>> monitor.update(torch.randn(100, generator=generator) + 3).alarmed
    True
    """

    def __init__(
        self, reference: Tensor, generator: torch.Generator, alpha: float = 0.01, jump: float = 0.01
    ) -> None:
        if not 0 < alpha < 1 or not 0 < jump < 1:
            raise SpecError(f"drift: expected alpha and jump in (0, 1), got {alpha} and {jump}")
        self.alpha, self.jump, self.generator = alpha, jump, generator
        self._bag = sorted(_finite(reference))
        self._shares = [1 / len(STAKES)] * len(STAKES)
        self._log_capital, self._seen = 0.0, 0
        self._at: int | None = None

    @property
    def state(self) -> Drift:
        """Where the test stands."""
        return Drift(self._at is not None, self._at, self._seen, self._log_capital)

    def update(self, scores: Tensor) -> Drift:
        """See further scores ``(batch,)``, in their order.

        Raises:
            DataError: if one is not finite.
        """
        chances = torch.rand(len(scores), generator=self.generator, dtype=torch.float64).tolist()
        for score, chance in zip(_finite(scores), chances, strict=True):
            self._bet(self.p_value(score, chance))
        return self.state

    def p_value(self, score: float, chance: float) -> float:
        """The smoothed share of scores so far, this one included, at least as high; the score is kept."""
        insort(self._bag, score)
        up_to, below = bisect_right(self._bag, score), bisect_left(self._bag, score)
        return (len(self._bag) - up_to + chance * (up_to - below)) / len(self._bag)

    def _bet(self, p: float) -> None:
        mixed = [(1 - self.jump) * share + self.jump / len(STAKES) for share in self._shares]
        won = [share * (1 + stake * (p - 0.5)) for share, stake in zip(mixed, STAKES, strict=True)]
        growth = sum(won)
        self._shares = [part / growth for part in won]
        self._log_capital += math.log(growth)
        self._seen += 1
        if self._at is None and self._log_capital >= -math.log(self.alpha):
            self._at = self._seen


def _finite(scores: Tensor) -> list[float]:
    if scores.ndim != 1 or not bool(torch.isfinite(scores).all()):
        raise DataError(f"drift: expected finite scores (rows,), got shape {tuple(scores.shape)}")
    values: list[float] = scores.detach().double().tolist()
    return values
