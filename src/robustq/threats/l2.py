"""The whole input may move by at most eps in Euclidean length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.ball import Ball, column, unit_noise, unit_radius
from robustq.threats.box import clip

ROUNDS = 8  # of the search for the share of a change that the box and the budget leave


@dataclass(frozen=True)
class L2(Ball):
    """The l2 ball of radius ``eps``, cut by a box; see :class:`robustq.threats.ball.Ball`.

    >>> L2(1.0).project(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    tensor([[0.6000, 0.8000]])
    """

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest point of the ball within the box, ``clip(x + s delta)``, up to the last rounds.

        Shrinking onto the ball and clipping afterwards would waste much of the budget of an image, whose
        pixels lie on the box's edges. Length over ``s`` falls with ``s``, so that no round overshoots but
        by rounding.
        """
        projected = super().project(candidate, x)
        if self.box is None or self.eps == 0:
            return projected
        units = self.units(x)
        delta = candidate - x if units is None else torch.where(units > 0, candidate - x, 0)
        full = super().distance(candidate if units is None else x + delta, x)
        tiny = torch.finfo(x.dtype).tiny
        share = (self.eps / full.clamp_min(tiny)).clamp(max=1)
        for _ in range(ROUNDS):
            length = super().distance(projected, x)
            if bool(((length > 0.999 * self.eps) | (share == 1)).all()):
                break
            share = (share * self.eps / length.clamp_min(tiny)).clamp(max=1)
            projected = clip(x + column(share, x) * delta, self.box)
        # a short first length has few digits, and its share as few
        return super().project(projected, x)

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
