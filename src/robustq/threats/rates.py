"""Rates of error: settings that can only rise from rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.knobs import Knobs


@dataclass(frozen=True)
class Rates(Knobs):
    """:class:`Knobs` that turn one way only, as probabilities of an error do.

    Half of what a box would cut to zero is not wasted by :meth:`sample`: draws are folded upwards, so
    that a random baseline uses its whole budget.

    >>> Rates(0.1).project(torch.tensor([[0.3, -0.4]]), torch.zeros(1, 2))
    tensor([[0.1000, 0.0000]])
    """

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Falling settings back to rest, then as :class:`Knobs`."""
        return super().project(torch.maximum(candidate, x), x)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Random rises of as many settings as may be turned."""
        both_ways = Knobs(self.eps, self.norm, self.at_most).sample(x, generator)
        return self.project(x + (both_ways - x).abs(), x)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed."""
        return super().contains(candidate, x) & (candidate >= x).all(1)

    def __str__(self) -> str:
        return f"{super().__str__()}, rising only"
