"""The numbers that attacks and defences take as options: refused with one sentence where they are none."""

from __future__ import annotations

import math

from robustq.errors import SpecError


def check_counts(taker: str, least: int = 1, **counts: int) -> None:
    """Refuse counts that are not whole numbers from ``least`` on.

    >>> check_counts("ddn", steps=0)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: ddn: expected steps as a whole number >= 1, got 0
    """
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < least:
            raise SpecError(f"{taker}: expected {name} as a whole number >= {least}, got {count!r}")


def check_rates(taker: str, **rates: float) -> None:
    """Refuse rates that are not numbers > 0.

    >>> check_rates("ddn", step=-1.0)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: ddn: expected step > 0, got -1.0
    """
    for name, rate in rates.items():
        if not isinstance(rate, int | float) or not 0 < rate < math.inf:
            raise SpecError(f"{taker}: expected {name} > 0, got {rate!r}")


def check_shares(taker: str, **shares: float) -> None:
    """Refuse shares outside [0, 1].

    >>> check_shares("mart", weight=1.5)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: mart: expected weight in [0, 1], got 1.5
    """
    for name, share in shares.items():
        if not _is_number(share) or not 0 <= share <= 1:
            raise SpecError(f"{taker}: expected {name} in [0, 1], got {share!r}")


def check_not_negative(taker: str, **sizes: float) -> None:
    """Refuse sizes that are negative or no finite numbers.

    >>> check_not_negative("trades", beta=-1.0)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: trades: expected beta >= 0 and finite, got -1.0
    """
    for name, size in sizes.items():
        if not _is_number(size) or not 0 <= size < math.inf:
            raise SpecError(f"{taker}: expected {name} >= 0 and finite, got {size!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
