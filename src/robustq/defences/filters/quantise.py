"""Fewer grey levels (feature squeezing: Xu, Evans & Qi, NDSS 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.front import Fronted
from robustq.errors import SpecError


class Quantise(nn.Module):
    """Features of [0, 1] rounded to ``2**bits`` levels; gradients pass straight through.

    >>> Quantise(1)(torch.tensor([[0.2, 0.7]]))
    tensor([[0., 1.]])
    """

    kind = "quantise"

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        """Rounded features, shape of ``x``."""
        steps = 2**self.bits - 1
        rounded: Tensor = torch.round(x.detach() * steps) / steps
        return x + (rounded - x.detach()) if x.requires_grad else rounded

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"bits": self.bits}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Quantise:
        """The inverse of :meth:`config`."""
        return cls(int(config["bits"]))


@dataclass(frozen=True)
class FeatureSqueezing:
    """A model that sees its features with few bits only, in training too.

    Args:
        bits: of each feature, 1 to 16.

    >>> FeatureSqueezing(3).bits
    3
    """

    bits: int = 4

    trained_through = True

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 1 <= self.bits <= 16:
            raise SpecError(f"feature-squeezing: expected bits in 1..16, got {self.bits!r}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind a quantiser."""
        return Fronted(Quantise(self.bits), model)
