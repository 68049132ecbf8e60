"""A smooth step in front of the encoder: features near 0 and 1 hardly turn their gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.front import Fronted
from robustq.options import check_shares


class SmoothStep(nn.Module):
    """``x - strength sin(2 pi x) / (2 pi)``: keeps 0, 1/2 and 1, rises everywhere.

    Its slope is ``1 - strength`` at 0 and at 1, and ``1 + strength`` at 1/2.

    >>> x = torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64)
    >>> SmoothStep(1.0)(x).round(decimals=4).abs().tolist()
    [0.0, 0.0065, 0.5]
    """

    kind = "smooth-step"

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        """Features pushed towards 0 and 1, shape of ``x``."""
        return x - self.strength * torch.sin(2 * math.pi * x) / (2 * math.pi)

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"strength": self.strength}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SmoothStep:
        """The inverse of :meth:`config`."""
        return cls(float(config["strength"]))


@dataclass(frozen=True)
class SmoothedEncoding:
    """A model whose encoder sees its features of [0, 1] through a smooth step, in training too.

    Feature squeezing (Xu, Evans & Qi, NDSS 2018) to one bit, but with true gradients everywhere. It
    helps where features are nearly black or white; where they are grey it makes an adversary's step longer.

    Args:
        strength: in [0, 1]; 0 changes nothing, 1 has no slope at 0 and 1.

    >>> SmoothedEncoding().strength
    0.8
    """

    strength: float = 0.8

    trained_through = True

    def __post_init__(self) -> None:
        check_shares("smoothed-encoding", strength=self.strength)

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind the step."""
        return Fronted(SmoothStep(self.strength), model)
