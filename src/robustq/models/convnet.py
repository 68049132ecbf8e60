"""A small convolutional network for square grey images, as flat rows of pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustq.errors import ModelError
from robustq.models.layers import linear, new_linear


class ConvNet(nn.Module):
    """Two 3 x 3 convolutions of stride 1 and 2 with ReLU, then a linear layer (LeCun et al. 1998).

    Args:
        features: pixels of an image, a square number.
        channels: of the two convolutions.
        classes: width of the output.
        generator: where the starting weights come from.

    Raises:
        ModelError: if the pixels do not make a square.

    >>> ConvNet(64, (4, 8), 3, generator=torch.Generator())(torch.zeros(5, 64)).shape
    torch.Size([5, 3])
    """

    kind = "conv-net"

    def __init__(self, features: int, channels: tuple[int, int], classes: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.side = math.isqrt(max(features, 0))
        if self.side < 1 or self.side**2 != features or min(channels) < 1:
            raise ModelError(
                f"expected a square number of pixels and channels >= 1, got {features} and {tuple(channels)}"
            )
        first, second = channels
        self.first = _new_convolution(1, first, 1, generator)
        self.second = _new_convolution(first, second, 2, generator)
        self.last = new_linear(second * ((self.side + 1) // 2) ** 2, classes, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for pixels ``(batch, side * side)``, in their dtype."""
        if x.ndim != 2 or x.shape[1] != self.side**2:
            raise ModelError(f"expected pixels of shape (batch, {self.side**2}), got {tuple(x.shape)}")
        maps = x.reshape(-1, 1, self.side, self.side)
        for layer in (self.first, self.second):
            maps = torch.relu(_convolve(layer, maps))
        return linear(self.last, maps.flatten(1))

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        return {
            "features": self.side**2,
            "channels": [self.first.out_channels, self.second.out_channels],
            "classes": self.last.out_features,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ConvNet:
        """A model of the same shape, its weights still to be loaded."""
        first, second = (int(width) for width in config["channels"])
        return cls(int(config["features"]), (first, second), int(config["classes"]), generator=torch.Generator())


def _new_convolution(inputs: int, outputs: int, stride: int, generator: torch.Generator) -> nn.Conv2d:
    """Zero-padded 3 x 3, uniform in ``+-1/sqrt(9 inputs)`` (torch's law), drawn from ``generator``."""
    layer: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv2d, inputs, outputs, 3, stride=stride, padding=1
    )
    bound = 1 / math.sqrt(9 * inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            drawn = torch.rand(parameter.shape, generator=generator)
            parameter.copy_((2 * drawn - 1) * bound)
    return layer


def _convolve(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """In the dtype of ``maps``, so that float64 is honoured end to end."""
    weight, bias = (parameter.to(maps.dtype) for parameter in (layer.weight, layer.bias))  # type: ignore[union-attr]
    return nn.functional.conv2d(maps, weight, bias, stride=layer.stride, padding=1)
