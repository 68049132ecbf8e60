"""The whole input may move by at most eps in Euclidean length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.ball import Ball, column, unit_noise, unit_radius


@dataclass(frozen=True)
class L2(Ball):
    """The l2 ball of radius ``eps``, cut by a box; see :class:`robustq.threats.ball.Ball`.

    >>> L2(1.0).project(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    tensor([[0.6000, 0.8000]])
    """

    def _shrink(self, delta: Tensor) -> Tensor:
        length = length_of(delta).clamp_min(torch.finfo(delta.dtype).tiny)
        return delta * column((self.eps / length).clamp(max=1), delta)

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        direction = direction_of(unit_noise(x, generator))
        return self.eps * unit_radius(x, generator) * direction

    def _ascend(self, gradient: Tensor) -> Tensor:
        return direction_of(gradient)

    def _norm(self, delta: Tensor) -> Tensor:
        return length_of(delta)

    def __str__(self) -> str:
        return self._describe("l2")


def length_of(vectors: Tensor) -> Tensor:
    """Euclidean length of each row, ``(batch,)``."""
    length: Tensor = torch.linalg.vector_norm(vectors.flatten(1), dim=1)
    return length


def direction_of(vectors: Tensor) -> Tensor:
    """Rows scaled to unit length; zero where they vanish."""
    tiny = torch.finfo(vectors.dtype).tiny
    # The largest entry first: squares of very small entries would vanish.
    largest = column(vectors.abs().flatten(1).amax(1), vectors).clamp_min(tiny)
    scaled = vectors / largest
    return scaled / column(length_of(scaled), scaled).clamp_min(tiny)
