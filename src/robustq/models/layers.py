"""Linear layers that use no global generator and follow the dtype of their input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def new_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer, uniform in ``+-1/sqrt(inputs)`` (torch's law), drawn from ``generator``.

    >>> new_linear(4, 2, torch.Generator()).weight.abs().max() <= 0.5
    tensor(True)
    """
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    bound = 1 / math.sqrt(inputs)
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


def weights(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of an ``nn.Linear`` in float64, detached.

    >>> [part.dtype for part in weights(nn.Linear(4, 2))]
    [torch.float64, torch.float64]
    """
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach().double(), layer.bias.detach().double()
