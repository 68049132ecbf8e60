"""Signals of how sure a model is, from its logits alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Signal = Callable[[Tensor, Tensor], Tensor]
"""From inputs and logits to one number each, ``(batch,)``."""


def confidence(x: Tensor, logits: Tensor) -> Tensor:
    """The softmax of the class answered.

    >>> confidence(torch.zeros(1, 1), torch.zeros(1, 4))
    tensor([0.2500])
    """
    return logits.softmax(1).amax(1)


def margin(x: Tensor, logits: Tensor) -> Tensor:
    """How far it leads over the second, in softmax.

    >>> margin(torch.zeros(1, 1), torch.zeros(1, 4))
    tensor([0.])
    """
    top = logits.softmax(1).topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def entropy(x: Tensor, logits: Tensor) -> Tensor:
    """Shannon's entropy of the softmax over its largest value, in [0, 1].

    >>> entropy(torch.zeros(1, 1), torch.zeros(1, 4))
    tensor([1.])
    """
    logs = logits.log_softmax(1)
    full = torch.tensor(float(logits.shape[1])).log().to(logits)
    return -(logs.exp() * logs).sum(1) / full


BUILT_IN: Mapping[str, Signal] = {"confidence": confidence, "margin": margin, "entropy": entropy}
