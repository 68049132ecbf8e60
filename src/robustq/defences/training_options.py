"""Options of defences: numbers in a range, refused with one sentence."""

from __future__ import annotations

import math

from robustq.errors import SpecError


def check_shares(defence: str, **shares: float) -> None:
    """Refuse shares outside [0, 1].

    >>> check_shares("mart", weight=1.5)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: mart: expected weight in [0, 1], got 1.5
    """
    for name, share in shares.items():
        if not _is_number(share) or not 0 <= share <= 1:
            raise SpecError(f"{defence}: expected {name} in [0, 1], got {share!r}")


def check_not_negative(defence: str, **sizes: float) -> None:
    """Refuse sizes that are negative or no finite numbers.

    >>> check_not_negative("trades", beta=-1.0)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: trades: expected beta >= 0 and finite, got -1.0
    """
    for name, size in sizes.items():
        if not _is_number(size) or not 0 <= size < math.inf:
            raise SpecError(f"{defence}: expected {name} >= 0 and finite, got {size!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
