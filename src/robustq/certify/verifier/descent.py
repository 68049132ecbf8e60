"""A quick search for a counterexample, before anything is proved."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.certify.verifier.region import Region
from robustq.trigonometric import Trigonometric

STEPS = 8


def margin(logits: Tensor, label: Tensor) -> Tensor:
    """How far the label's logit exceeds the largest other one, ``(batch,)``.

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([1.])
    """
    own = logits.gather(1, label[:, None])[:, 0]
    return own - logits.scatter(1, label[:, None], -torch.inf).amax(1)


def descended(form: Trigonometric, label: Tensor, region: Region, start: Tensor) -> Tensor:
    """The lowest points met by going where the linearised margin is least, shape of ``start``.

    >>> from robustq.threats import L2
    >>> form = Trigonometric(torch.tensor([[0, 1.0, 0], [0, -1, 0]]).double(), torch.ones(1).double(), 0.0)
    >>> x = torch.tensor([[0.1]]).double()
    >>> here = Region.around(L2(0.5), x, torch.tensor([0.5]))
    >>> round(float(descended(form, torch.tensor([0]), here, x)), 6)
    0.6
    """
    best, lowest = start, torch.full((len(start),), torch.inf, dtype=torch.float64)
    point = start
    for step in range(STEPS):
        value, slope = _slope(form, label, point)
        better = value < lowest
        best, lowest = torch.where(better[:, None], point, best), torch.where(better, value, lowest)
        if region.threat is None:
            aim = torch.where(slope > 0, region.low, region.high)
        else:
            aim = region.x - region.eps[:, None] * region.threat.steepest(slope)
        # full Frank-Wolfe steps jump between corners; halved ones at the end settle inside
        share = 1.0 if step < STEPS // 2 else 0.5
        point = region.into(point + share * (region.into(aim) - point))
    better = margin(form(point), label) < lowest
    return torch.where(better[:, None], point, best)


def _slope(form: Trigonometric, label: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaves = points.detach().requires_grad_(True)
        value = margin(form(leaves), label)
        (slope,) = torch.autograd.grad(value.sum(), leaves)
    return value.detach(), slope
