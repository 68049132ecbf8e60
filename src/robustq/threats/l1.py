"""The changes of all features may add up to at most eps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.ball import Ball, column, unit_radius
from robustq.threats.box import bounds, clip

SHARE = 0.05  # of the features move in one step (Croce & Hein, "Mind the box", ICML 2021)


@dataclass(frozen=True)
class L1(Ball):
    """The l1 ball of radius ``eps``, cut by a box; see :class:`robustq.threats.ball.Ball`.

    >>> L1(1.0).project(torch.tensor([[3.0, 2.5]]), torch.zeros(1, 2))
    tensor([[0.7500, 0.2500]])
    """

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest point of the ball within the box.

        ``delta = clip(soft(d, t), low - x, high - x)`` with the smallest threshold ``t`` that meets the
        budget, found by bisection. Projecting onto the ball first and clipping afterwards would waste
        most of the budget of an image, whose pixels lie on the box's edges.
        """
        if self.box is None:
            return super().project(candidate, x)
        units = self.units(x)
        unit = torch.ones_like(x) if units is None else units.expand_as(x)
        low, high = (bound - x for bound in bounds(self.box, x))
        delta = torch.where(unit > 0, candidate - x, 0)

        def at(threshold: Tensor) -> Tensor:
            soft = delta.sign() * (delta.abs() - column(threshold, x) / unit.clamp_min(1e-30))
            same_sign = torch.where(soft.sign() == delta.sign(), soft, 0)
            return torch.minimum(torch.maximum(same_sign, low), high)

        def size(moved: Tensor) -> Tensor:
            return torch.where(unit > 0, moved / unit.clamp_min(1e-30), 0).abs().flatten(1).sum(1)

        lower = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        if bool((size(at(lower)) <= self.eps).all()):
            return clip(x + at(lower), self.box)
        upper = (delta.abs() * unit).flatten(1).amax(1)
        for _ in range(30):
            middle = (lower + upper) / 2
            fits = size(at(middle)) <= self.eps
            lower, upper = torch.where(fits, lower, middle), torch.where(fits, middle, upper)
        # no threshold at all where the candidate already fits; `upper` is the end that fits, never `lower`
        upper = torch.where(size(at(torch.zeros_like(upper))) <= self.eps, 0, upper)
        return clip(x + at(upper), self.box)

    def _shrink(self, delta: Tensor) -> Tensor:
        """Onto the ball by the sorted threshold (Duchi et al., ICML 2008)."""
        flat = delta.flatten(1)
        ordered = flat.abs().sort(1, descending=True).values
        excess = ordered.cumsum(1) - self.eps
        ranks = torch.arange(1, flat.shape[1] + 1, dtype=flat.dtype, device=flat.device)
        support = (ordered * ranks > excess).sum(1, keepdim=True).clamp_min(1)
        # theta of their algorithm 1
        threshold = (excess.gather(1, support - 1) / support).clamp_min(0)
        left = (flat.abs() - threshold).clamp_min(0)
        # many features far away leave the threshold few digits
        length = left.sum(1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
        return (flat.sign() * left * (self.eps / length).clamp(max=1)).reshape(delta.shape)

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Exponential lengths with random signs are uniform on the sphere of the l1 norm."""
        chance = torch.rand(x.shape, generator=generator, dtype=x.dtype).clamp_min(1e-12)
        side = torch.rand(x.shape, generator=generator, dtype=x.dtype) < 0.5
        lengths = -chance.log().to(x.device)
        direction = torch.where(side.to(x.device), lengths, -lengths)
        direction = direction / column(self._norm(direction), x)
        return self.eps * unit_radius(x, generator) * direction

    def _ascend(self, gradient: Tensor) -> Tensor:
        """The signs of the largest few entries, sharing the unit between them."""
        flat = gradient.flatten(1)
        count = max(1, int(SHARE * flat.shape[1]))
        largest = flat.abs().topk(count, dim=1)
        signs = flat.gather(1, largest.indices).sign() / count
        return torch.zeros_like(flat).scatter(1, largest.indices, signs).reshape(gradient.shape)

    def _norm(self, delta: Tensor) -> Tensor:
        return delta.abs().flatten(1).sum(1)

    def __str__(self) -> str:
        return self._describe("l1")
