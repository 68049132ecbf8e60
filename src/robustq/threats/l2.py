"""The whole input may move by at most eps in Euclidean length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.threats.box import Box, check_box, check_eps, clip, describe, inside, rounding


@dataclass(frozen=True)
class L2:
    """The l2 ball of radius ``eps``, cut by a box.

    Args:
        eps: largest Euclidean length of the change, in the input's units.
        box: ``(low, high)`` that inputs must stay in; numbers, or one tuple a feature; or None.

    >>> L2(1.0).project(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    tensor([[0.6000, 0.8000]])
    """

    eps: float
    box: Box | None = None

    def __post_init__(self) -> None:
        check_eps(self.eps)
        check_box(self.box)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Shrink onto the ball, then clip to the box.

        Clipping moves no feature away from ``x`` (which lies in the box), so the result is in
        both sets; it is the nearest point of the ball when the box does not bind.
        """
        delta = candidate - x
        length = _length(delta).clamp_min(torch.finfo(x.dtype).tiny)
        factor = (self.eps / length).clamp(max=1).reshape(-1, *[1] * (x.ndim - 1))
        return clip(x + delta * factor, self.box)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform in the ball, then clipped to the box."""
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        size = x[0].numel() if len(x) else 1
        radius = torch.rand(len(x), generator=generator, dtype=x.dtype).to(x.device) ** (1 / size)
        radius = radius.reshape(-1, *[1] * (x.ndim - 1))
        return self.project(x + self.eps * radius * self.steepest(noise), x)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The gradient scaled to unit length; zero where it vanishes."""
        shape = (-1, *[1] * (gradient.ndim - 1))
        tiny = torch.finfo(gradient.dtype).tiny
        # The largest entry first: squares of very small entries would vanish.
        largest = gradient.abs().flatten(1).amax(1).reshape(shape).clamp_min(tiny)
        scaled = gradient / largest
        return scaled / _length(scaled).reshape(shape).clamp_min(tiny)

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Euclidean length of the change, ``(batch,)``."""
        return _length(candidate - x)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed, up to the rounding of ``x + delta``."""
        size = max(1, x[0].numel() if len(x) else 1)
        near = self.distance(candidate, x) <= self.eps + rounding(x) * math.sqrt(size)
        return near & inside(candidate, self.box)

    def __str__(self) -> str:
        return f"l2 eps={self.eps:g}" + describe(self.box)


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length of each row, ``(batch,)``."""
    length: Tensor = torch.linalg.vector_norm(vectors.flatten(1), dim=1)
    return length
