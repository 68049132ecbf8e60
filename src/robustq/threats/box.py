"""The box a feature vector must stay in: one range for all features, or one for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustq.errors import ThreatError

MOST_EPS = 1e9
Bound = float | tuple[float, ...]
Box = tuple[Bound, Bound]


def check_box(box: Box | None) -> None:
    """Refuse a box that is empty or not a pair."""
    if box is None:
        return
    if not isinstance(box, tuple) or len(box) != 2:
        raise ThreatError(f"expected a box (low, high), got {box!r}")
    low, high = (_values(bound) for bound in box)
    if len({len(low), len(high)} - {1}) > 1:
        raise ThreatError(f"expected bounds of equal length, got {len(low)} and {len(high)}")
    width = max(len(low), len(high))
    pairs = zip(low * (width // len(low)), high * (width // len(high)), strict=True)
    if any(math.isnan(a) or math.isnan(b) or not a < b for a, b in pairs):
        raise ThreatError(f"expected low < high in the box, got {box!r}")


def _values(bound: Bound) -> tuple[float, ...]:
    return bound if isinstance(bound, tuple) else (float(bound),)


def bounds(box: Box, x: Tensor) -> tuple[Tensor, Tensor]:
    """The box as tensors that broadcast against ``x``."""
    low, high = (torch.as_tensor(bound, dtype=x.dtype, device=x.device) for bound in box)
    for bound in (low, high):
        if bound.ndim and bound.shape != x.shape[1:]:
            raise ThreatError(f"expected one bound per feature {tuple(x.shape[1:])}, got {tuple(bound.shape)}")
    return low, high


def clip(candidate: Tensor, box: Box | None) -> Tensor:
    """``candidate`` moved into the box, feature by feature."""
    if box is None:
        return candidate
    low, high = bounds(box, candidate)
    return torch.minimum(torch.maximum(candidate, low), high)


def check_inside(x: Tensor, box: Box | None) -> None:
    """Refuse inputs that lie outside the box."""
    if box is None:
        return
    low, high = bounds(box, x)
    slack = 8 * torch.finfo(x.dtype).eps * x.abs().clamp_min(1)
    if not bool(((x >= low - slack) & (x <= high + slack)).all()):
        raise ThreatError(
            f"expected data inside the box {box}, got values in [{float(x.min()):.6g}, {float(x.max()):.6g}]"
        )


def inside(x: Tensor, box: Box | None) -> Tensor:
    """Whether each row lies in the box exactly, ``(batch,)``."""
    if box is None:
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    low, high = bounds(box, x)
    return ((x >= low) & (x <= high)).flatten(1).all(1)


def check_eps(eps: float) -> None:
    """Refuse a budget that is negative or not finite."""
    if isinstance(eps, bool) or not isinstance(eps, int | float):
        raise ThreatError(f"expected eps as a number, got {eps!r}")
    if not (eps >= 0 and math.isfinite(eps)):
        raise ThreatError(f"expected eps >= 0 and finite, got {eps}")
    if eps > MOST_EPS:  # beyond, x + eps has no precision left, and steps overflow
        raise ThreatError(f"expected eps <= {MOST_EPS:g}, got {eps}")


def rounding(x: Tensor) -> Tensor:
    """What floating point may add to a distance from ``x``, ``(batch,)``."""
    return 4 * torch.finfo(x.dtype).eps * x.abs().flatten(1).amax(1).clamp_min(1)


def describe(box: Box | None) -> str:
    """The box as the end of a sentence.

    >>> describe((0.0, 1.0))
    ' in [0, 1]'
    """
    if box is None:
        return ""
    low, high = box
    if isinstance(low, tuple) or isinstance(high, tuple):
        return " in a box of its own for each feature"
    return f" in [{low:g}, {high:g}]"
