"""Linear layers that use no global generator and follow the dtype of their input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


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


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply an ``nn.Linear`` in the dtype of ``x``, so that float64 is honoured end to end.

    >>> linear(nn.Linear(4, 2), torch.zeros(3, 4, dtype=torch.float64)).dtype
    torch.float64
    """
    assert isinstance(layer, nn.Linear)
    return nn.functional.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))
