"""Every feature may move by at most eps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.box import Box, check_box, check_eps, clip, describe, inside, rounding


@dataclass(frozen=True)
class Linf:
    """The l-infinity ball of radius ``eps``, cut by a box.

    Args:
        eps: largest change of any feature, in the input's units.
        box: ``(low, high)`` that inputs must stay in; numbers, or one tuple a feature; or None.

    >>> Linf(0.1, box=(0, 1)).project(torch.tensor([[0.5, 2.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([[0.1000, 1.0000]])
    """

    eps: float
    box: Box | None = None

    def __post_init__(self) -> None:
        check_eps(self.eps)
        check_box(self.box)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest allowed point."""
        return clip(x + (candidate - x).clamp(-self.eps, self.eps), self.box)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform in the ball, then clipped to the box."""
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        return self.project(x + self.eps * (2 * noise - 1), x)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The sign of the gradient."""
        return gradient.sign()

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Largest change of a feature, ``(batch,)``."""
        return (candidate - x).abs().flatten(1).amax(1)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed, up to the rounding of ``x + delta``."""
        near = self.distance(candidate, x) <= self.eps + rounding(x)
        return near & inside(candidate, self.box)

    def __str__(self) -> str:
        return f"l-inf eps={self.eps:g}" + describe(self.box)
