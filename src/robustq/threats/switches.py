"""Switches: settings that are off or on, of which a few may be on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robustq.errors import ThreatError


@dataclass(frozen=True)
class Switches:
    """At most ``at_most`` of many switches on; at rest all are off.

    >>> Switches(1).project(torch.tensor([[0.7, 0.9, 0.1]]), torch.zeros(1, 3))
    tensor([[0., 1., 0.]])
    """

    at_most: int = 1
    box: ClassVar[None] = None

    def __post_init__(self) -> None:
        if not isinstance(self.at_most, int) or self.at_most < 1:
            raise ThreatError(f"expected at_most as a whole number >= 1, got {self.at_most!r}")

    @property
    def eps(self) -> float:
        """How many may be on."""
        return float(self.at_most)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The largest settings are on, so far as they are nearer to on than to off."""
        chosen = torch.zeros_like(candidate)
        largest = candidate.topk(min(self.at_most, x.shape[1]), dim=1).indices
        return chosen.scatter(1, largest, 1.0) * (candidate > 0.5)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """As many switches on as may be, drawn at random."""
        order = 1 + torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        return self.project(order, x)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The gradient with its largest entry scaled to one."""
        tiny = torch.finfo(gradient.dtype).tiny
        return gradient / gradient.abs().amax(1, keepdim=True).clamp_min(tiny)

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """How many switches differ from rest, ``(batch,)``."""
        return (candidate != x).sum(1).to(x.dtype)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed."""
        clear = ((candidate == 0) | (candidate == 1)).all(1)
        return clear & (self.distance(candidate, x) <= self.at_most)

    def __str__(self) -> str:
        return f"switches, at most {self.at_most} on"
