"""Exact tests and bounds on counts: what chance alone would do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.errors import DataError


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


def clopper_pearson(successes: ArrayLike, trials: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """The least chance that would give so many successes or more as often as ``alpha``.

    A one-sided lower bound of the chance that is wrong with probability ``alpha`` at most, whatever the
    chance is (Clopper & Pearson, Biometrika 26, 1934). Arrays broadcast; fractional successes are taken too.

    Raises:
        DataError: unless ``0 <= successes <= trials``, ``trials > 0`` and ``0 < alpha < 1``.

    >>> float(clopper_pearson(10, 10, 0.001)) == 0.001 ** (1 / 10)
    True
    >>> clopper_pearson([0, 5], 10, 0.05).round(3).tolist()
    [0.0, 0.222]
    """
    from scipy.special import betaincinv

    count, of = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if not (np.isfinite(of).all() and ((count >= 0) & (count <= of) & (of > 0)).all()):
        raise DataError(f"expected 0 <= successes <= trials > 0, got {count} of {of}")
    if not 0 < alpha < 1:
        raise DataError(f"expected alpha in (0, 1), got {alpha}")
    # ends of the range in closed form: there the inverse of the beta distribution is 0, or loses digits
    inside = np.clip(count, 1e-9, None)
    bound = betaincinv(inside, of - inside + 1, alpha)
    bound = np.where(count == of, alpha ** (1 / of), bound)
    return np.asarray(np.where(count == 0, 0.0, bound), dtype=np.float64)
