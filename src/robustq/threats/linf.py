"""Every feature may move by at most eps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.ball import Ball, unit_noise


@dataclass(frozen=True)
class Linf(Ball):
    """The l-infinity ball of radius ``eps``, cut by a box; see :class:`robustq.threats.ball.Ball`.

    >>> Linf(0.1, box=(0, 1)).project(torch.tensor([[0.5, 2.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([[0.1000, 1.0000]])
    >>> Linf(0.1, frozen=(0,)).project(torch.ones(1, 2), torch.zeros(1, 2))
    tensor([[0.0000, 0.1000]])
    """

    def _shrink(self, delta: Tensor) -> Tensor:
        return delta.clamp(-self.eps, self.eps)

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return self.eps * unit_noise(x, generator, normal=False)

    def _ascend(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def _norm(self, delta: Tensor) -> Tensor:
        return delta.abs().flatten(1).amax(1)

    def __str__(self) -> str:
        return self._describe("l-inf")
