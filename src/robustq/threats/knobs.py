"""The knobs of a machine: a few of many settings may be turned a little, the same for every input.

Drifting angles, inserted gates, misread bits, crosstalk and badly scaled encodings are all vectors of
settings that rest at zero (or another neutral value).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from robustq.errors import ThreatError, unknown_name
from robustq.threats.ball import Ball
from robustq.threats.box import Box
from robustq.threats.l0 import L0
from robustq.threats.l2 import L2
from robustq.threats.linf import Linf

NORMS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2}


@dataclass(frozen=True)
class Knobs:
    """At most ``at_most`` settings turned, together by at most ``eps`` in ``norm``.

    Args:
        eps: largest size of the change.
        norm: ``"linf"`` (each setting by at most eps) or ``"l2"``.
        at_most: how many settings may differ from rest; None for all.
        box: ``(low, high)`` that settings must stay in, or None.

    >>> Knobs(0.1, at_most=1).project(torch.tensor([[0.3, -0.4]]), torch.zeros(1, 2))
    tensor([[ 0.0000, -0.1000]])
    """

    eps: float
    norm: str = "linf"
    at_most: int | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown_name("norm", self.norm, NORMS)
        if self.at_most is not None and self.at_most < 1:
            raise ThreatError(f"expected at_most >= 1 or None, got {self.at_most}")
        NORMS[self.norm](self.eps, self.box)  # refuses an impossible budget or box now

    @cached_property
    def _ball(self) -> Ball:
        return NORMS[self.norm](self.eps, self.box)

    @cached_property
    def _few(self) -> L0:
        return L0(self.at_most or 0)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The largest changes kept, then onto the ball and into the box."""
        fewest = candidate if self.at_most is None else self._few.project(candidate, x)
        return self._ball.project(fewest, x)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Random settings, as many as may be turned, chosen at random."""
        if self.at_most is None:
            return self._ball.sample(x, generator)
        order = 1 + torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        chosen = self._few.project(x + order, x) != x
        return self.project(torch.where(chosen, self._ball.sample(x, generator), x), x)

    def steepest(self, gradient: Tensor) -> Tensor:
        """As the norm says; which settings are kept is for :meth:`project` to say."""
        if self.at_most is None:
            return self._ball.steepest(gradient)
        # a sign would make all settings look alike to the projection
        return self._few.steepest(gradient)

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The norm of the change, ``(batch,)``."""
        return self._ball.distance(candidate, x)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed."""
        near = self._ball.contains(candidate, x)
        return near if self.at_most is None else near & self._few.contains(candidate, x)

    def __str__(self) -> str:
        few = "" if self.at_most is None else f", at most {self.at_most} turned"
        return f"settings {self._ball}{few}"
