"""Whole numbers that attacks are made with: steps, restarts, queries."""

from __future__ import annotations

from robustq.errors import SpecError


def check_counts(attack: str, made: object, *names: str) -> None:
    """Refuse attributes of an attack that are no whole numbers >= 1.

    Raises:
        SpecError: naming the attack, the attribute and its value.

    >>> from types import SimpleNamespace
    >>> check_counts("spsa", SimpleNamespace(steps=0), "steps")
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: spsa: expected steps as a whole number >= 1, got 0
    """
    for name in names:
        value = getattr(made, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"{attack}: expected {name} as a whole number >= 1, got {value!r}")
