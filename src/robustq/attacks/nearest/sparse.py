"""Fewer features: what an l0 attack tries once it has flipped an input."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.attacks.nearest.moves import Moves

TRIED = 16  # features looked at one by one
VALUES = 8  # of each feature tried alone


def try_single_features(moves: Moves) -> None:
    """Try the features with the most to gain alone, over all of their room.

    A sine may flip on the far side of its summit, where the gradient does not point.
    """
    _, slope = moves.slope(torch.zeros_like(moves.low))
    width = moves.high - moves.low
    count = min(TRIED, slope.shape[1])
    for feature in (slope.abs() * width).topk(count, dim=1).indices.T[:, :, None]:
        for value in torch.linspace(0, 1, VALUES).tolist():
            if bool((moves.problem.radius <= 1).all()):
                return
            change = (moves.low + value * width).gather(1, feature)
            moves.margin(torch.zeros_like(width).scatter(1, feature, change))


def prune(moves: Moves) -> Tensor:
    """Put changed features back, the least changed first, as long as the input stays flipped."""
    delta = moves.nearest
    changed = int((delta != 0).sum(1).max())
    # unchanged features rank last, so that the slice holds changed ones only
    ranks = torch.where(delta != 0, delta.abs(), torch.inf).argsort(1)[:, : min(changed, TRIED)]
    for feature in ranks.T[:, :, None]:
        trial = delta.scatter(1, feature, 0)
        delta = torch.where(moves.margin(trial)[:, None] > 0, trial, delta)
    return delta
