"""What the adversary may reach: boxes, and balls within them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import CertificateError
from robustq.threats import L1, L2, Linf
from robustq.threats.box import bounds

ROUND = 2.0**-49  # relative, outwards: what rounding may do to a distance or to an end of an interval

Norm = Linf | L2 | L1


@dataclass(frozen=True, eq=False)
class Region:
    """For each input a box, and the ball around the input that cuts it.

    Attributes:
        x: the inputs ``(batch, features)``, inside their boxes.
        low: lower ends ``(batch, features)``.
        high: upper ends.
        threat: whose distance is meant; None where all of the box may be reached.
        eps: radii ``(batch,)``.

    >>> here = Region.around(Linf(0.3, box=(0, 1)), torch.tensor([[0.1, 0.5]]).double(), torch.tensor([0.2]))
    >>> [round(v, 6) + 0.0 for v in (here.low[0, 0].item(), here.high[0, 0].item())]
    [0.0, 0.3]
    """

    x: Tensor
    low: Tensor
    high: Tensor
    threat: Norm | None
    eps: Tensor

    @classmethod
    def around(cls, threat: Norm, x: Tensor, eps: Tensor) -> Region:
        """The ball of each input with a radius of its own; the threat's own ``eps`` plays no part."""
        units = threat.units(x)
        reach = eps.to(x)[:, None] * (torch.ones_like(x) if units is None else units)
        # outwards, except for what may not move at all
        reach = torch.where(reach > 0, reach + ROUND * (reach + x.abs()), 0.0)
        low, high = x - reach, x + reach
        if threat.box is not None:
            least, most = bounds(threat.box, x)
            low = torch.minimum(torch.maximum(low, least), x)
            high = torch.maximum(torch.minimum(high, most), x)
        return cls(x, low, high, threat, eps.to(x))

    @property
    def is_box(self) -> bool:
        """Whether every point of the box may be reached."""
        return self.threat is None or isinstance(self.threat, Linf)

    @property
    def units(self) -> Tensor:
        """What one unit of distance is for each feature, shape of ``x``; 1 where it may not move."""
        units = None if self.threat is None else self.threat.units(self.x)
        if units is None:
            return torch.ones_like(self.x)
        return torch.where(units > 0, units, 1.0).expand_as(self.x)

    def rows(self, rows: Tensor) -> Region:
        """The same of some inputs."""
        return Region(self.x[rows], self.low[rows], self.high[rows], self.threat, self.eps[rows])

    def meets(self, low: Tensor, high: Tensor) -> Tensor:
        """Whether a box may hold a point of the ball, ``(batch,)`` of bool; never wrongly False."""
        if self.is_box or self.threat is None:
            return torch.ones(len(low), dtype=torch.bool)
        # the nearest point of a box, in every norm: each feature clipped by itself
        nearest = torch.minimum(torch.maximum(self.x, low), high)
        return self._distance(nearest) <= self.eps * (1 + ROUND) + self._rounding()

    def into(self, points: Tensor) -> Tensor:
        """Points of the region near others of the box: towards the input until the ball holds them."""
        inside = torch.minimum(torch.maximum(points, self.low), self.high)
        if self.threat is None:
            return inside
        length = self._distance(inside).clamp_min(torch.finfo(inside.dtype).tiny)
        share = (self.eps / length).clamp(max=1)[:, None]
        moved = self.x + share * (inside - self.x)
        # rounding must not carry a point that was inside across the box
        return torch.minimum(torch.maximum(moved, self.low), self.high)

    def _distance(self, points: Tensor) -> Tensor:
        assert self.threat is not None
        return self.threat.distance(points, self.x)

    def _rounding(self) -> Tensor:
        """What rounding of the inputs adds to a distance, ``(batch,)``."""
        assert self.threat is not None
        units = self.threat.units(self.x)
        size = self.x.abs().clamp_min(1) / (1 if units is None else units.clamp_min(1e-300))
        size = size if units is None else torch.where(units > 0, size, 0.0)
        return ROUND * size.sum(1)


def check_norm(name: str, threat: object) -> Norm:
    """The threat, if it is one whose balls a verifier knows.

    Raises:
        CertificateError: otherwise.

    >>> check_norm("complete", L2(0.5))
    L2(eps=0.5, box=None, scale=None, frozen=())
    """
    if not isinstance(threat, Linf | L2 | L1):
        raise CertificateError(f"{name}: expected an l-inf, l2 or l1 threat, got {threat}")
    return threat
