"""A ball of some norm around an input, cut by a box: what the four norms share.

Features may be measured in units of their own (``scale``) and may be out of the adversary's reach
(``frozen``): a network flow's duration moves by seconds, its protocol not at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from robustq.errors import ThreatError
from robustq.threats.box import Box, bounds, check_box, check_eps, clip, describe, inside, rounding


@dataclass(frozen=True)
class Ball(ABC):
    """``{x + delta: norm(delta / scale) <= eps}`` in a box; the norms are its subclasses.

    Args:
        eps: largest norm of the change, in units of ``scale``.
        box: ``(low, high)`` that inputs must stay in; numbers, or one tuple a feature; or None.
        scale: the unit of each feature, > 0; None for 1 everywhere.
        frozen: features that cannot be changed.
    """

    eps: float
    box: Box | None = None
    scale: tuple[float, ...] | None = None
    frozen: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_eps(self.eps)
        check_box(self.box)
        for name in ("scale", "frozen"):  # lists are taken too, and made hashable
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        if self.scale is not None and not all(0 < s < float("inf") for s in self.scale):
            raise ThreatError(f"expected a scale > 0 for each feature, got {self.scale}")
        if any(not isinstance(k, int) or k < 0 for k in self.frozen):
            raise ThreatError(f"expected frozen features as indices >= 0, got {self.frozen}")

    @property
    def is_plain(self) -> bool:
        """Whether every feature may move, in the same unit."""
        return self.scale is None and not self.frozen

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """A point of the set near ``candidate``: onto the ball, then into the box.

        Clipping moves no feature away from ``x`` (which lies in the box), so the result is in both
        sets; it is the nearest point of the ball where the box does not bind.
        """
        units = self.units(x)
        shrunk = self._shrink(_divide(candidate - x, units))
        return clip(x + (shrunk if units is None else shrunk * units), self.box)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random point of the ball, uniform before the box cuts it."""
        drawn, units = self._draw(x, generator), self.units(x)
        return self.project(x + (drawn if units is None else drawn * units), x)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The step of unit norm that raises a linear function most; zero where it vanishes."""
        units = self.units(gradient)
        if units is None:
            return self._ascend(gradient)
        return self._ascend(gradient * units) * units

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The norm of the change in units of ``scale``, ``(batch,)``; infinite if a frozen feature moved."""
        delta, units = candidate - x, self.units(x)
        length = self._norm(_divide(delta, units))
        if not self.frozen:
            return length
        moved = (delta[:, list(self.frozen)] != 0).any(1)
        return length.masked_fill(moved, torch.inf)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed, up to the rounding of ``x`` and of ``delta``."""
        slack = rounding(x) / min(self.scale or (1.0,))
        slack = slack * self._norm(torch.ones_like(x)) + 4 * torch.finfo(x.dtype).eps * self.eps
        return (self.distance(candidate, x) <= self.eps + slack) & inside(candidate, self.box)

    def covers_box(self, x: Tensor) -> Tensor:
        """Whether the whole box lies in the ball, so that eps limits nothing, ``(batch,)``."""
        if self.box is None or self.frozen:
            return torch.zeros(len(x), dtype=torch.bool, device=x.device)
        low, high = bounds(self.box, x)
        corner = torch.where(x - low > high - x, low, high)
        return self.distance(corner, x) <= self.eps

    def units(self, x: Tensor) -> Tensor | None:
        """What one unit of norm is for each feature, zero where frozen; None if 1 everywhere."""
        if self.is_plain:
            return None
        if x.ndim != 2:
            raise ThreatError(f"scale and frozen: expected flat features, got {tuple(x.shape)}")
        return _units(self.scale, self.frozen, x.shape[1], x.dtype, x.device)

    @abstractmethod
    def _shrink(self, delta: Tensor) -> Tensor:
        """The nearest point of the ball, in units."""

    @abstractmethod
    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random point of the ball, in units."""

    @abstractmethod
    def _ascend(self, gradient: Tensor) -> Tensor:
        """The step of unit norm that raises a linear function most, in units."""

    @abstractmethod
    def _norm(self, delta: Tensor) -> Tensor:
        """The norm of a change in units, ``(batch,)``."""

    def _describe(self, norm: str) -> str:
        plural = "s" if len(self.frozen) > 1 else ""
        held = f", {len(self.frozen)} feature{plural} frozen" if self.frozen else ""
        own = ", features in units of their own" if self.scale else ""
        return f"{norm} eps={self.eps:g}" + describe(self.box) + own + held


def _divide(delta: Tensor, units: Tensor | None) -> Tensor:
    if units is None:
        return delta
    return torch.where(units > 0, delta / units.clamp_min(torch.finfo(delta.dtype).tiny), 0)


@lru_cache(maxsize=64)
def _units(
    scale: tuple[float, ...] | None, frozen: tuple[int, ...], features: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    if scale is not None and len(scale) != features:
        raise ThreatError(f"expected a scale for each of {features} features, got {len(scale)}")
    if frozen and max(frozen) >= features:
        raise ThreatError(f"expected frozen features below {features}, got {max(frozen)}")
    units = torch.ones(features) if scale is None else torch.tensor(scale, dtype=torch.float64)
    units = units.to(dtype=dtype, device=device)
    units[list(frozen)] = 0
    return units


def column(values: Tensor, like: Tensor) -> Tensor:
    """``(batch,)`` values shaped to broadcast against ``like``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def unit_noise(x: Tensor, generator: torch.Generator, *, normal: bool = True) -> Tensor:
    """Standard normal, or uniform in [-1, 1], noise of the shape of ``x``, drawn on the CPU."""
    draw = torch.randn if normal else torch.rand
    noise = draw(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    return noise if normal else 2 * noise - 1


def unit_radius(x: Tensor, generator: torch.Generator) -> Tensor:
    """Radii of points uniform in a unit ball of the dimension of ``x``, to broadcast against it."""
    size = max(1, x[0].numel() if len(x) else 1)
    # the volume within r grows like r^n
    radius = torch.rand(len(x), generator=generator, dtype=x.dtype).to(x.device) ** (1 / size)
    return column(radius, x)
