"""At most eps features may change, by any amount the box allows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import ThreatError
from robustq.threats.ball import Ball, column, unit_noise
from robustq.threats.box import bounds, clip


@dataclass(frozen=True)
class L0(Ball):
    """``eps`` features of the attacker's choice; see :class:`robustq.threats.ball.Ball`.

    >>> L0(1, box=(0, 1)).project(torch.tensor([[0.4, 2.0]]), torch.tensor([[0.0, 0.5]]))
    tensor([[0., 1.]])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eps != int(self.eps):
            raise ThreatError(f"l0: expected eps as a whole number of features, got {self.eps}")

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest point of the set: the changes kept are those whose loss would cost most."""
        units = self.units(x)
        change = candidate - x if units is None else torch.where(units > 0, candidate - x, 0)
        allowed = clip(x + change, self.box) - x
        gain = change**2 - (change - allowed) ** 2
        moved = x + torch.where(_largest(gain, int(self.eps)), allowed, 0)
        return clip(moved, self.box)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """``eps`` features drawn at random, anywhere in the box (normal where it has an open side)."""
        chance = unit_noise(x, generator, normal=False)
        units = self.units(x)
        if units is not None:
            chance = torch.where(units > 0, chance, -2)
        chosen = _largest(chance, int(self.eps))
        return self.project(torch.where(chosen, self._draw(x, generator), x), x)

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.box is None:
            return x + unit_noise(x, generator)
        low, high = bounds(self.box, x)
        width = high - low
        inside = low + width * (unit_noise(x, generator, normal=False) + 1) / 2
        if bool(torch.isfinite(width).all()):
            return inside
        return torch.where(torch.isfinite(width), inside, x + unit_noise(x, generator))

    def _shrink(self, delta: Tensor) -> Tensor:
        return torch.where(_largest(delta.abs(), int(self.eps)), delta, 0)

    def _ascend(self, gradient: Tensor) -> Tensor:
        """The gradient with its largest entry scaled to one: what to move is for ``project`` to say."""
        largest = gradient.abs().flatten(1).amax(1).clamp_min(torch.finfo(gradient.dtype).tiny)
        return gradient / column(largest, gradient)

    def _norm(self, delta: Tensor) -> Tensor:
        return (delta != 0).flatten(1).sum(1).to(delta.dtype)

    def __str__(self) -> str:
        return self._describe("l0")


def _largest(values: Tensor, count: int) -> Tensor:
    """Whether each entry is among the ``count`` largest of its row, shape of ``values``."""
    flat = values.flatten(1)
    count = min(count, flat.shape[1])
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    return chosen.scatter(1, flat.topk(count, dim=1).indices, True).reshape(values.shape)
