"""What features may be at all: values, ranges and one-hot patterns of real rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.errors import SpecError

SLACK = 1e-5  # rounding of inputs, which is no violation


class Support(Detector):
    """By how much the worst feature leaves what training rows were; zero for what could be one of them.

    A feature with few different values may only take those; any other one stays within its range; of
    columns that are one-hot together exactly one is hot. An attack on tables that forgets this (Simonetto et al.,
    IJCAI 2022) makes inputs that cannot exist.
    """

    kind = "support"
    low: Tensor
    high: Tensor
    values: Tensor
    discrete: Tensor
    groups: Tensor

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The largest violation in units of the features, float64 ``(batch,)``."""
        rows = x.double()
        outside = (self.low.to(rows) - rows).clamp_min(0) + (rows - self.high.to(rows)).clamp_min(0)
        nearest = (rows[:, :, None] - self.values.to(rows)).abs().amin(2)
        wrong = torch.where(self.discrete.to(rows.device) > 0, nearest, outside)
        hot = (rows @ self.groups.to(rows).T - 1).abs()
        # below zero where all is allowed: an alarm level with the winner would hide every flip
        return torch.cat([wrong, hot], 1).amax(1) - SLACK

    @classmethod
    def fitted(cls, clean: Clean, levels: int = 10, features: Sequence[int] = ()) -> Self:
        """What the rows show.

        Args:
            clean: real rows.
            levels: most values of a feature that may take only those; no more than a fifth of the rows.
            features: columns that are watched; empty for all.
        """
        rows = clean.x.detach().double()
        width = rows.shape[1]
        if any(not 0 <= column < width for column in features):
            raise SpecError(f"support: expected features in 0..{width - 1}, got {list(features)}")
        watched = torch.ones(width, dtype=torch.bool)
        if features:
            watched = torch.zeros(width, dtype=torch.bool)
            watched[list(features)] = True
        seen = [column.unique() for column in rows.T]
        few = min(levels, len(rows) // 5)
        discrete = torch.tensor([len(values) <= few for values in seen]) & watched
        low, high = rows.amin(0), rows.amax(0)
        low[~watched], high[~watched] = -torch.inf, torch.inf
        return cls(
            {},
            low=low,
            high=high,
            discrete=discrete.double(),
            values=_padded([v if d else v[:1] for v, d in zip(seen, discrete, strict=True)]),
            groups=one_hot_groups(rows, watched).double(),
        )


def one_hot_groups(rows: Tensor, watched: Tensor) -> Tensor:
    """Runs of neighbouring 0/1 columns of which exactly one is 1 in every row, ``(groups, features)``.

    >>> rows = torch.tensor([[0.3, 1.0, 0.0], [0.7, 0.0, 1.0]])
    >>> one_hot_groups(rows, torch.ones(3, dtype=torch.bool)).tolist()
    [[False, True, True]]
    """
    binary = (((rows == 0) | (rows == 1)).all(0) & watched.to(rows.device)).tolist()
    groups, start, width = [], 0, rows.shape[1]
    while start < width:
        end, hot = start, rows.new_zeros(len(rows))
        while end < width and binary[end] and bool((hot + rows[:, end] <= 1).all()):
            hot, end = hot + rows[:, end], end + 1
        if end - start > 1 and bool((hot == 1).all()):
            groups.append([start <= column < end for column in range(width)])
        start = max(end, start + 1)
    return torch.tensor(groups, dtype=torch.bool).reshape(len(groups), width)


def _padded(seen: Sequence[Tensor]) -> Tensor:
    """Rows of one length, the last value repeated."""
    most = max(len(values) for values in seen)
    return torch.stack([torch.cat([v, v[-1:].expand(most - len(v))]) for v in seen])
