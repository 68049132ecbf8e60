"""A trained scale and shift of each feature in front of the encoder (after Berberich et al., PRR 6, 2024)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.front import Fronted
from robustq.errors import SpecError

NEAR = 0.95  # of the largest scale: where a bounded one starts if 1 is out of reach


class Affine(nn.Module):
    """``scale_j x_j + shift_j`` of each feature, with ``|scale_j| <= largest``.

    Args:
        features: how many.
        largest: bound of every scale, by ``largest tanh(raw)``; 0 for none.

    >>> Affine(2)(torch.tensor([[0.25, 0.5]])).tolist()
    [[0.25, 0.5]]
    """

    kind = "affine-front"

    def __init__(self, features: int, largest: float = 0.0) -> None:
        super().__init__()
        self.largest = largest
        start = math.atanh(min(NEAR, 1 / largest)) if largest else 1.0
        self.raw = nn.Parameter(torch.full((features,), start))
        self.shift = nn.Parameter(torch.zeros(features))

    @property
    def scale(self) -> Tensor:
        """The scale of every feature, ``(features,)``."""
        return self.largest * torch.tanh(self.raw) if self.largest else self.raw

    def forward(self, x: Tensor) -> Tensor:
        """Scaled and shifted features, shape of ``x``."""
        return x * self.scale.to(x.dtype) + self.shift.to(x.dtype)

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"features": len(self.raw), "largest": self.largest}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Affine:
        """The inverse of :meth:`config`."""
        return cls(int(config["features"]), float(config["largest"]))


@dataclass(frozen=True)
class TrainableEncoding:
    """A model that learns how far each feature turns its gates, up to a bound.

    A fixed encoding fixes the model's Lipschitz constant; a trained one lets it ignore what an adversary would
    use. With ``largest`` no change of a feature reaches the encoder more than that many times as large.

    Args:
        largest: bound of every feature's scale; 0 for none.

    >>> TrainableEncoding(0.5).largest
    0.5
    """

    largest: float = 1.0

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 <= self.largest < math.inf:
            raise SpecError(f"trainable-encoding: expected largest >= 0, got {self.largest}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind a trainable scale and shift, which start as near to nothing as they may."""
        return Fronted(Affine(x.shape[1], self.largest), model)
