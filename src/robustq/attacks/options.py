"""The counts and rates that attacks take as options."""

from __future__ import annotations

from robustq.errors import SpecError


def check_counts(attack: str, least: int = 1, **counts: int) -> None:
    """Refuse counts that are not whole numbers from ``least`` on.

    >>> check_counts("ddn", steps=0)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: ddn: expected steps as a whole number >= 1, got 0
    """
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < least:
            raise SpecError(f"{attack}: expected {name} as a whole number >= {least}, got {count!r}")


def check_rates(attack: str, **rates: float) -> None:
    """Refuse rates that are not numbers > 0.

    >>> check_rates("ddn", step=-1.0)
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: ddn: expected step > 0, got -1.0
    """
    for name, rate in rates.items():
        if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
            raise SpecError(f"{attack}: expected {name} > 0, got {rate!r}")
