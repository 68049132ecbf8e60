"""Branch and bound: whether a margin stays positive on boxes of a few features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.amplitude.margin import QuadraticMargin
from robustq.certify.amplitude.quadratic import clear, minimise
from robustq.certify.amplitude.relaxation import Shift, relaxed

STEPS = 24  # of descent in each box
MIDDLE = 0.2  # share of a box that a cut leaves on either side, at least


@dataclass(frozen=True, eq=False)
class BoxDecision:
    """What is known of each row.

    Attributes:
        positive: the margin is positive on the whole box, ``(batch,)`` of bool.
        refuted: a point was found where it is not, ``(batch,)``; neither where the budget was spent.
        point: that point, ``(batch, n)``; zero where there is none.
    """

    positive: Tensor
    refuted: Tensor
    point: Tensor


def decide(margin: QuadraticMargin, shift: Shift, low: Tensor, high: Tensor, nodes: int) -> BoxDecision:
    """Split boxes until the relaxation proves them all, a point refutes them, or ``nodes`` a row are spent.

    What the relaxation loses falls with the square of the width (alpha-BB: Adjiman et al., Computers & Chem. Eng.
    1998); a box is cut at the feature that it loses most in.

    Args:
        margin: one a row.
        shift: what makes its form convex.
        low: the boxes' lower ends, ``(batch, n)``.
        high: their upper ends.
        nodes: boxes looked at for each row, about.

    >>> from robustq.certify.amplitude.margin import margin_of
    >>> from robustq.certify.amplitude.relaxation import least_shift
    >>> from robustq.threats import Linf
    >>> x, form = torch.tensor([[1.0, 0.2]]).double(), torch.diag(torch.tensor([1.0, -1.0])).double()
    >>> margin = margin_of(form, x, Linf(1.0), 0.0)
    >>> [bool(decide(margin, least_shift(margin.form), -e + 0 * x, e + 0 * x, 99).positive) for e in (0.39, 0.41)]
    [True, False]
    """
    refuted = torch.zeros_like(margin.constant, dtype=torch.bool)
    spent, point = torch.zeros_like(margin.constant), torch.zeros_like(margin.linear)
    row = torch.arange(len(low), device=low.device)
    open_ = torch.zeros_like(refuted)
    while len(row):
        spent.index_add_(0, row, torch.ones_like(low[:, 0]))
        here = margin.rows(row)
        least = minimise(relaxed(here, shift, low, high), (low + high) / 2, STEPS, clear)
        below = here.at(least.point) <= 0
        refuted[row[below]], point[row[below]] = True, least.point[below]
        # one counterexample settles all boxes of its row
        left = (least.bound <= 0) & ~refuted[row]
        open_[row[left & (spent[row] >= nodes)]] = True
        left = left & ~open_[row]
        low, high = _halves(shift, least.point[left], low[left], high[left])
        row = row[left].repeat(2)
    return BoxDecision(~refuted & ~open_, refuted, point)


def _halves(shift: Shift, point: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Both parts of each box, cut near ``point``."""
    width = high - low
    # what the relaxation loses at its minimiser, feature by feature; width breaks ties
    loss = shift.diagonal * (point - low) * (high - point) + 1e-9 * width
    at = loss.argmax(1, keepdim=True)
    edge = MIDDLE * width
    cut = torch.minimum(torch.maximum(point, low + edge), high - edge).gather(1, at)
    return torch.cat([low, low.scatter(1, at, cut)]), torch.cat([high.scatter(1, at, cut), high])
