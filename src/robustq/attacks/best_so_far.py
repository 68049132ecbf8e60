"""The best candidates of each input that a search has seen."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.contracts import Threat
from robustq.threats.ball import column


class BestSoFar:
    """Of each input the strongest candidate, and the nearest of those that flipped.

    Attributes:
        strongest: the candidate with the largest margin, shape of the inputs.
        margin: its margin, ``(batch,)``.
        nearest: the nearest flipped candidate; the clean input where there was none, shape of the inputs.
        radius: its distance, infinite where there was none, ``(batch,)``.

    >>> from robustq.threats import Linf
    >>> best = BestSoFar(torch.zeros(2, 1), Linf(1.0))
    >>> best.note(torch.tensor([[0.5], [0.5]]), torch.tensor([0.2, -0.1]), torch.zeros(2))
    >>> best.nearest[:, 0].tolist(), best.radius.tolist()
    ([0.5, 0.0], [0.5, inf])
    """

    def __init__(self, x: Tensor, threat: Threat) -> None:
        self._x, self._threat = x, threat
        self.strongest, self.nearest = x.clone(), x.clone()
        self.margin = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)
        self.radius = torch.full_like(self.margin, torch.inf)

    def note(self, candidate: Tensor, margins: Tensor, clear: Tensor) -> None:
        """Keep what is better of a feasible candidate whose margins count as flipped beyond ``clear``."""
        values = margins.to(self.margin.dtype)
        # of equals the last: labels alone make all flips equal, and the search's end is its choice
        # NaN and the -inf of what is not allowed never win
        better = (values >= self.margin) & torch.isfinite(values)
        self.strongest = torch.where(column(better, candidate), candidate, self.strongest)
        self.margin = torch.where(better, values, self.margin)
        flipped = values > clear
        if bool(flipped.any()):
            distance = self._threat.distance(candidate, self._x)
            nearer = flipped & (distance < self.radius)
            self.nearest = torch.where(column(nearer, candidate), candidate, self.nearest)
            self.radius = torch.where(nearer, distance, self.radius)

    def merge(self, other: BestSoFar, rows: Tensor) -> None:
        """Keep what is better of another search on the inputs ``rows``, bool ``(batch,)``."""
        better, nearer = torch.zeros_like(rows), torch.zeros_like(rows)
        better[rows] = other.margin > self.margin[rows]
        nearer[rows] = other.radius < self.radius[rows]
        self.strongest[better] = other.strongest[better[rows]]
        self.margin[better] = other.margin[better[rows]]
        self.nearest[nearer] = other.nearest[nearer[rows]]
        self.radius[nearer] = other.radius[nearer[rows]]
