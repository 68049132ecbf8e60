"""A threshold whose false-alarm rate is guaranteed at any sample size (split conformal prediction)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustq.errors import DataError, SpecError


def check_rate(rate: float) -> None:
    """Refuse a false-alarm rate that is none."""
    if not 0 < rate < 1:
        raise SpecError(f"expected a false-alarm rate in (0, 1), got {rate}")


def rows_needed(rate: float) -> int:
    """The fewest clean rows for which a finite threshold keeps the rate.

    >>> rows_needed(0.05)
    19
    """
    check_rate(rate)
    return math.ceil((1 - rate) / rate - 1e-9)


def threshold(scores: Tensor, rate: float) -> Tensor:
    """The ``ceil((n + 1)(1 - rate))``-th smallest of ``n`` clean scores.

    A further clean score, exchangeable with these, exceeds it with probability ``rate`` at most (Vovk,
    Gammerman & Shafer, 2005, prop. 4.1; Bates et al., Ann. Statist. 51, 2023, for outlier detection),
    averaged over the draw of the ``n``.

    Raises:
        DataError: if there are too few scores, saying how many would do, or some are not finite.

    >>> threshold(torch.arange(19.0), 0.05)
    tensor(18.)
    """
    needed = rows_needed(rate)
    if len(scores) < needed:
        raise DataError(
            f"expected at least {needed} clean rows to calibrate a false-alarm rate of {rate:g}, got {len(scores)}"
        )
    if not bool(torch.isfinite(scores).all()):
        raise DataError("expected finite scores of clean rows, got NaN or infinity")
    place = math.ceil((len(scores) + 1) * (1 - rate) - 1e-9)
    return scores.sort().values[place - 1]
