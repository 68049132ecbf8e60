"""Exact tests on counts: what chance alone would do."""

from __future__ import annotations


def at_least(found: int, of: int, chance: float = 0.5) -> float:
    """Probability of ``found`` or more among ``of`` when each has this chance (binomial tail).

    With the two ways in which paired outcomes can differ and ``chance`` one half this is the one-sided
    exact test of McNemar (1947), a sign test.

    >>> at_least(5, 5)
    0.03125
    >>> at_least(0, 0)
    1.0
    """
    from scipy.stats import binom

    return 1.0 if found <= 0 else float(binom.sf(found - 1, of, chance))
