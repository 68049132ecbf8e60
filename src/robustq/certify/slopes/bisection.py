"""The largest radius of which something is proved, by bisection of its exponent."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LEAST, MOST = -60.0, 60.0  # powers of two
STEPS = 60


def largest_radius(holds: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """The largest radius found at which ``holds``; zero where it holds at none that was tried.

    What holds at a radius must hold within it; nothing else is asked of ``holds``.

    Args:
        holds: maps radii to bools, both of the shape of ``like``.
        like: gives shape and dtype.

    >>> float(largest_radius(lambda r: r**2 <= 4, torch.zeros(1, dtype=torch.float64)))
    2.0
    """
    low, high = torch.full_like(like, LEAST), torch.full_like(like, MOST)
    largest = torch.where(holds(2**low), 2**low, 0)
    for _ in range(STEPS):
        middle = (low + high) / 2
        radius = 2**middle
        good = holds(radius)
        largest = torch.where(good, radius, largest)
        low, high = torch.where(good, middle, low), torch.where(good, high, middle)
    return largest
