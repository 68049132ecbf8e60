"""From a point on a decision boundary to an input behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robustq.contracts import Classifier
from robustq.threats.ball import column
from robustq.threats.box import Box, clip

# As shares of the way to the boundary: the first suffices unless the margin behind it drowns in rounding.
STEPS = (2e-7, 1e-5, 1e-3)


def just_beyond(
    model: Classifier, x: Tensor, edge: Tensor, label: Tensor, steps: Sequence[float] = STEPS, box: Box | None = None
) -> Tensor:
    """A little further than ``edge``, as little as makes the model answer otherwise; shape of ``x``.

    Where a ``box`` is given, it is left by no feature.

    >>> model = lambda x: torch.cat([x, -x], 1)
    >>> x, edge = torch.tensor([[1.0]]).double(), torch.tensor([[0.0]]).double()
    >>> just_beyond(model, x, edge, torch.tensor([0]))
    tensor([[-2.0000e-07]], dtype=torch.float64)
    """
    witness = edge.clone()
    left = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for step in steps:
        candidate = clip(edge + step * (edge - x), box)
        witness = torch.where(column(left, x), candidate, witness)
        left = left & (model(candidate).argmax(1) == label)
        if not bool(left.any()):
            break
    return witness
