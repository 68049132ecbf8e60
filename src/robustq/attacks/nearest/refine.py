"""From a flipped input to a near one: the first crossing on a path, and a walk along the boundary."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robustq.attacks.nearest.hyperplane import projection
from robustq.attacks.nearest.moves import Moves

SCAN = 20  # distances tried on a path, each RATIO times the one before
RATIO = 1.5  # a slab that a sine flips is thrice as far at its end as at its beginning
HALVINGS = 16
RIVALS = 3  # classes that an opening looks at
BLENDS = (0.0, 0.5, 0.75, 0.9)  # of the tangent's projection with the point itself, boldest first

Path = Callable[[Tensor], Tensor]


def crossing(moves: Moves, path: Path, *, scan: int = SCAN, halvings: int = HALVINGS) -> Tensor:
    """The first flipped point of a path, by a scan and a bisection; its end where none flips.

    Args:
        moves: asks about changes.
        path: from fractions ``(batch, 1)`` in [0, 1] to changes; 0 leaves the input as it is.
        scan: distances tried before the bisection, geometric; 0 trusts that the end flips.
        halvings: steps of the bisection.
    """
    outer = torch.ones_like(moves.low[:, :1])
    inner = torch.zeros_like(outer)
    open_, step = torch.ones_like(outer, dtype=torch.bool), RATIO ** -torch.arange(scan, 0, -1.0)
    # geometric from the input outwards: the first flip along the path, not any flip
    for fraction in [float(s) for s in step] + ([1.0] if scan else []):
        here = torch.full_like(outer, fraction)
        flipped = moves.margin(path(torch.where(open_, here, outer)))[:, None] > 0
        outer = torch.where(open_ & flipped, here, outer)
        inner = torch.where(open_ & ~flipped, here, inner)
        open_ = open_ & ~flipped
        if not bool(open_.any()):
            break
    for _ in range(halvings):
        middle = (inner + outer) / 2
        flipped = moves.margin(path(middle))[:, None] > 0
        inner, outer = torch.where(flipped, inner, middle), torch.where(flipped, middle, outer)
    return path(outer)


def straight(delta: Tensor) -> Path:
    """The segment from the input."""
    return lambda fraction: fraction * delta


def opening(moves: Moves) -> Tensor:
    """The first crossing towards the few classes whose boundaries seem nearest, whichever is best.

    Each is sought on the path of least norm for every gain of the linearised margin, which bends where
    a feature meets its limit. The path's end is returned where none flips.
    """
    start = torch.zeros_like(moves.low)
    edge = start
    for slope in moves.boundaries(start)[1].unbind(1)[:RIVALS]:
        edge = crossing(moves, _descent(moves, moves.nonvanishing(slope)), halvings=4)
        if moves.order > 0:
            edge = _round(moves, edge)
    return torch.where(moves.problem.flipped[:, None], moves.nearest, edge)


def _descent(moves: Moves, slope: Tensor) -> Path:
    start, room = torch.zeros_like(slope), (moves.low, moves.high)
    most = torch.maximum(slope * moves.low, slope * moves.high).sum(1)
    return lambda fraction: projection(start, slope, most * fraction[:, 0], room, moves.order)


def slide(moves: Moves, rounds: int) -> Tensor:
    """Walk from the nearest flipped point along the boundary to where its normal points at the input.

    Each round goes to the foot of the tangent plane, or part of the way if the boundary bends away,
    at an unchanged distance, and from there back to the boundary. No round loses anything.
    """
    edge = crossing(moves, straight(moves.nearest))
    for _ in range(rounds):
        edge = _round(moves, edge)
    return crossing(moves, straight(moves.nearest), scan=0)


def _round(moves: Moves, edge: Tensor) -> Tensor:
    margin, slope = moves.slope(edge)
    # the tangent plane at the edge, as a function of the whole change: slope . z = rise
    rise = (slope * edge).sum(1) - margin
    target = projection(torch.zeros_like(edge), slope, rise, (moves.low, moves.high), moves.order)
    return crossing(moves, straight(_flipped_blend(moves, edge, target)), scan=0, halvings=6)


def _flipped_blend(moves: Moves, edge: Tensor, target: Tensor) -> Tensor:
    """The boldest of a few points between ``edge`` and ``target`` that flips, else ``edge``."""
    chosen, flipped = edge, torch.zeros_like(edge[:, 0], dtype=torch.bool)
    length = moves.size(edge)
    for weight in BLENDS:
        blend = weight * edge + (1 - weight) * target
        # a blend of two points is shorter than either; stretched back to the old distance, at most twofold
        longer = (length / moves.size(blend).clamp_min(torch.finfo(edge.dtype).tiny)).clamp(1, 2)
        blend = moves.clip(blend * longer[:, None])
        flips = (moves.margin(blend) > 0) & ~flipped
        chosen, flipped = torch.where(flips[:, None], blend, chosen), flipped | flips
        if bool(flipped.all()):
            break
    return chosen
