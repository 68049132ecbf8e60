"""Lower bounds over a box, and over what a ball leaves of it.

Squared distances have trigonometric minorants of degree 1, so that the l2 budget relaxes to one more
polynomial ``g <= eps^2`` with control values of its own, and ``f + multiplier (g - eps^2) <= f`` inside the
ball for every multiplier >= 0 (weak duality). The l1 distance is bounded by lines where its sign is known and
by parabolas elsewhere. Both err by O(width^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.certify.verifier.enclosure import controls
from robustq.certify.verifier.linear import linear_minimum
from robustq.certify.verifier.nodes import Nodes
from robustq.certify.verifier.region import ROUND, Region
from robustq.threats import L2

ROUNDS = 6  # of the search for the multiplier


@dataclass(frozen=True, eq=False)
class Lowest:
    """Where control values are smallest.

    Attributes:
        lower: bounds on the margin, ``(nodes,)``; infinite where the ball misses the box.
        worst: flat index of the control values that attain them, ``(nodes,)``.
        values: the control values they were taken of, ``(nodes, controls)``.
        loose: how much more each feature costs the bound, ``(nodes, features)``.
    """

    lower: Tensor
    worst: Tensor
    values: Tensor
    loose: Tensor

    def __getitem__(self, rows: Tensor) -> Lowest:
        """Some of them."""
        return Lowest(self.lower[rows], self.worst[rows], self.values[rows], self.loose[rows])


def lowest(nodes: Nodes, region: Region, live: Tensor, frequencies: Tensor) -> Lowest:
    """Bounds of every node; ``region`` holds a row for each and ``live`` names its features.

    >>> from robustq.certify.verifier.nodes import rooted
    >>> from robustq.threats import Linf
    >>> one = torch.ones(1).double()
    >>> cosine = torch.tensor([[0.0, 1.0, 0.0]]).double()
    >>> node = rooted(torch.tensor([0]), one[:, None], one[:, None] / 2, cosine, one, one)
    >>> here = Region.around(Linf(0.5), one[:, None], one / 2)
    >>> bool((lowest(node, here, torch.tensor([0]), one).lower - torch.cos(one + 0.5)).abs() < 1e-9)
    True
    """
    values = nodes.values.flatten(1)
    lower, worst = values.min(1)
    bounds = Lowest(lower, worst, values, torch.zeros_like(nodes.half))
    if region.is_box:
        return bounds
    # two bounds of one thing; the linear part apart is tighter inside a ball, neither always wins
    size, budget, scale = _excess(nodes, region, live, frequencies)
    parted, least, loose = _parted(nodes, region, live, frequencies)
    rest = _dual(Lowest(*parted.min(1), parted, loose), size - budget[:, None], scale)
    return replace(rest, lower=torch.maximum(rest.lower + least, lower))


def _parted(nodes: Nodes, region: Region, live: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Control values without their linear part, a lower bound on that part within the ball, its looseness.

    A linear function of the features is bounded exactly over a ball, and far too low over the box around it.
    """
    assert region.threat is not None
    shape = nodes.values.shape
    ends = torch.sin(frequencies * nodes.half)
    slope, total = torch.zeros_like(nodes.half), nodes.values.new_zeros(len(nodes), 1)
    for axis, count in enumerate(shape[1:]):
        before = nodes.values.reshape(len(nodes), math.prod(shape[1 : 1 + axis]), count, -1)
        rise = before[:, :, -1].mean((1, 2)) - before[:, :, 0].mean((1, 2))
        # slope of the sine through the mean values at both ends of this axis
        wave = rise / (2 * ends[:, axis]).clamp_min(1e-300)  # beside sin of the lowest frequency
        slope[:, axis] = wave * frequencies[axis]
        half = frequencies[axis] * nodes.half[:, axis]
        row = controls((count - 1) // 2, torch.zeros_like(half), half)[:, :, 2] * wave[:, None]
        total = (total[:, :, None] + row[:, None, :]).flatten(1)
    bent = nodes.half - ends / frequencies  # between an angle and its sine
    unit = region.units[:, live]
    x, power = region.x[:, live], 2 if isinstance(region.threat, L2) else 1
    low, high = (nodes.centre - nodes.half - x) / unit, (nodes.centre + nodes.half - x) / unit
    least, _ = linear_minimum(slope * unit, low, high, region.eps * (1 + ROUND), power)
    least = least + (slope * (x - nodes.centre) - slope.abs() * bent).sum(1)
    # outwards: rounding of the centre and of the inputs, through the slope
    least = least - 8 * ROUND * (slope.abs() * (x.abs() + nodes.centre.abs() + nodes.half)).sum(1)
    return nodes.values.flatten(1) - total, least, slope.abs() * bent


def _dual(plain: Lowest, excess: Tensor, scale: Tensor) -> Lowest:
    """The best of a few multipliers: of the line that rises and the one that falls, where they meet."""
    least, nearest = excess.min(1)
    best, worst, best_values = plain.lower, plain.worst, plain.values
    rise, rises = _at(excess, worst), plain.lower  # value and slope at zero of the rising line
    fall, falls = least, _at(plain.values, nearest)
    for _ in range(ROUNDS):
        going = (rise > 0) & (fall < 0)
        if not bool(going.any()):
            break
        # where the two lines meet: the dual is concave and piecewise linear in the multiplier
        step = torch.where(going, (falls - rises) / (rise - fall).clamp_min(1e-300), 0).clamp_min(0)
        values = plain.values + step[:, None] * excess
        low, at = values.min(1)
        # the bound stands for any multiplier, so only this product's rounding has to be taken off
        low = low - 8 * ROUND * step * scale
        better = going & (low > best)
        best, worst = torch.where(better, low, best), torch.where(better, at, worst)
        best_values = torch.where(better[:, None], values, best_values)
        slope, start = _at(excess, at), _at(plain.values, at)
        rising = slope > 0
        rise, rises = torch.where(rising, slope, rise), torch.where(rising, start, rises)
        fall, falls = torch.where(rising, fall, slope), torch.where(rising, falls, start)
    # even the least size exceeds the budget: the ball misses the box and nothing is to be proved
    best = best.masked_fill(least > 0, torch.inf)
    return Lowest(best, worst, best_values, plain.loose)


def _at(values: Tensor, place: Tensor) -> Tensor:
    return values.gather(1, place[:, None])[:, 0]


def _excess(nodes: Nodes, region: Region, live: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Control values of a minorant of the size of a change, the budget, and the size of both."""
    assert region.threat is not None
    unit = region.units[:, live]
    euclid = isinstance(region.threat, L2)
    waves = minorant(nodes, region.x[:, live], frequencies, unit, euclid)
    total = torch.zeros(len(nodes), 1).double()
    scale = torch.zeros(len(nodes)).double()
    for axis, count in enumerate(nodes.values.shape[1:]):
        half = frequencies[axis] * nodes.half[:, axis]
        matrix = controls((count - 1) // 2, torch.zeros_like(half), half)[:, :, :3]
        row = (matrix @ waves[:, axis, :, None])[..., 0]
        total = (total[:, :, None] + row[:, None, :]).flatten(1)
        scale = scale + waves[:, axis].abs().sum(1) * matrix.abs().amax((1, 2))
    budget = region.eps**2 if euclid else region.eps
    return total, budget * (1 + 4 * ROUND) + ROUND * (1 + 8 * scale), scale + budget


def minorant(nodes: Nodes, x: Tensor, frequencies: Tensor, unit: Tensor, euclid: bool) -> Tensor:
    """Below each feature's change, squared if ``euclid``: coefficients of 1, cos, sin of the angle from
    the centre, ``(nodes, features, 3)``.
    """
    away, half = nodes.centre - x, nodes.half
    bent = (half - torch.sin(frequencies * half) / frequencies).clamp_min(0)
    # a^2 >= 2 (1 - cos wa) / w^2, and |a - sin(wa) / w| <= bent on the node
    turn = 2 / frequencies**2
    square = torch.stack([away**2 - 2 * away.abs() * bent + turn, -turn.expand_as(away), 2 * away / frequencies], -1)
    if euclid:
        return square / unit[..., None] ** 2
    side = away.sign()
    line = torch.stack([away.abs() - bent, torch.zeros_like(away), side / frequencies], -1)
    farthest = (away.abs() + half).clamp_min(1e-300)[..., None]
    # the sign of the change is known there; elsewhere |c| >= c^2 / max|c|
    outside = (away.abs() >= half)[..., None]
    return torch.where(outside, line, square / farthest) / unit[..., None]
