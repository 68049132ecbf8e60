"""Features held within what was usual in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.front import Fronted
from robustq.errors import SpecError


class Clip(nn.Module):
    """Each feature moved into a range of its own; gradients pass straight through.

    Args:
        low: lower ends, ``(features,)``.
        high: upper ends, ``(features,)``.

    >>> Clip(torch.tensor([0.1]), torch.tensor([0.6]))(torch.tensor([[0.0], [0.5], [0.9]]))[:, 0]
    tensor([0.1000, 0.5000, 0.6000])
    """

    kind = "clip"
    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, x: Tensor) -> Tensor:
        """Clipped features, shape of ``x``."""
        inside = torch.minimum(torch.maximum(x.detach(), self.low.to(x)), self.high.to(x))
        return straight_through(x, inside)

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"features": len(self.low)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Clip:
        """The inverse of :meth:`config`, its ranges still to be loaded."""
        return cls(torch.zeros(int(config["features"])), torch.ones(int(config["features"])))


@dataclass(frozen=True)
class Clipping:
    """A model that sees every feature within its training quantiles only, in training too.

    Outliers are the cheapest part of an adversary's box: where data is rare, a model is untrained.

    Args:
        tails: share of the training rows beyond each end of a feature's range, in [0, 0.5).

    >>> Clipping().tails
    0.01
    """

    tails: float = 0.01

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 <= self.tails < 0.5:
            raise SpecError(f"clipping: expected tails in [0, 0.5), got {self.tails}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind the ranges of ``x``."""
        low, high = (torch.quantile(x.double(), q, dim=0) for q in (self.tails, 1 - self.tails))
        return Fronted(Clip(low, high), model)


def straight_through(x: Tensor, filtered: Tensor) -> Tensor:
    """The values of ``filtered`` with the gradient of ``x`` (BPDA: Athalye, Carlini & Wagner, ICML 2018).

    >>> import torch
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> straight_through(x, x.detach().clamp(0, 1)).backward()
    >>> x.grad
    tensor([1.])
    """
    # a difference first would round: what is answered has to be the filter's value itself
    return filtered.detach() + (x - x.detach()) if x.requires_grad else filtered
