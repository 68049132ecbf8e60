"""Starting weights from an explicit generator (torch's own layers use the global one)."""

from __future__ import annotations

import math

import torch
from torch import nn


def reset_linear(layer: nn.Linear, generator: torch.Generator) -> nn.Linear:
    """Uniform in ``+-1/sqrt(fan_in)``, torch's default law, drawn from ``generator``.

    >>> reset_linear(nn.Linear(4, 2), torch.Generator()).weight.abs().max() <= 0.5
    tensor(True)
    """
    bound = 1 / math.sqrt(layer.in_features)
    with torch.no_grad():
        for tensor in (layer.weight, layer.bias):
            tensor.copy_((2 * torch.rand(tensor.shape, generator=generator) - 1) * bound)
    return layer
