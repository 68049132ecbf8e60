"""Selective answers: what is left of the errors when the least sure inputs are not answered.

Inputs of equal uncertainty are refused in a random order; every figure is the mean over such orders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.errors import DataError
from robustq.stats.calibration import shared

Array = NDArray[np.float64]


def risk_coverage(uncertainty: ArrayLike, wrong: ArrayLike) -> tuple[Array, Array]:
    """Coverage ``k / n`` and the error rate among the ``k`` surest inputs, for ``k = 1 .. n``.

    The risk-coverage curve (El-Yaniv & Wiener, JMLR 11, 2010).

    Args:
        uncertainty: of each input, higher is less sure, ``(inputs,)``.
        wrong: whether its answer is, ``(inputs,)``.

    Raises:
        DataError: on values that are not finite, or tables that do not fit.

    >>> [part.tolist() for part in risk_coverage([0.1, 0.9], [False, True])]
    [[0.5, 1.0], [0.0, 0.5]]
    """
    doubt, errors = _checked(uncertainty, wrong)
    order = np.argsort(doubt, kind="stable")
    answered = np.arange(1, len(doubt) + 1)
    # ties answered together, each with the mean error of its tie
    mistakes = np.cumsum(shared(doubt[order], errors[order]))
    return answered / len(doubt), mistakes / answered


def aurc(uncertainty: ArrayLike, wrong: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages (Geifman et al., ICLR 2019).

    >>> aurc([0.1, 0.9], [False, True])
    0.25
    """
    return float(risk_coverage(uncertainty, wrong)[1].mean())


def excess_aurc(uncertainty: ArrayLike, wrong: ArrayLike) -> float:
    """The area less that of the best order of the same errors (E-AURC of Geifman et al., exactly).

    >>> excess_aurc([0.1, 0.9], [False, True])
    0.0
    """
    _, errors = _checked(uncertainty, wrong)
    return aurc(uncertainty, wrong) - aurc(errors, errors)


def errors_removed(uncertainty: ArrayLike, wrong: ArrayLike, share: float) -> float:
    """Share of the errors that are gone when the least sure ``share`` of the inputs is not answered.

    No score removes more than ``share / error rate``.

    Raises:
        DataError: if there is no error to remove, or the share lies outside [0, 1].

    >>> errors_removed([0.1, 0.2, 0.3, 0.4], [False, True, False, True], 0.25)
    0.5
    """
    doubt, errors = _checked(uncertainty, wrong)
    if not 0 <= share <= 1:
        raise DataError(f"expected a share in [0, 1], got {share}")
    if not errors.any():
        raise DataError(f"expected at least one error among {len(errors)} inputs, got none")
    order = np.argsort(-doubt, kind="stable")
    gone = np.concatenate([[0.0], np.cumsum(shared(doubt[order], errors[order]))])
    return float(np.interp(share * len(doubt), np.arange(len(gone)), gone) / errors.sum())


def _checked(uncertainty: ArrayLike, wrong: ArrayLike) -> tuple[Array, Array]:
    doubt, errors = np.asarray(uncertainty, dtype=float), np.asarray(wrong, dtype=float)
    if doubt.ndim != 1 or doubt.shape != errors.shape or not doubt.size:
        raise DataError(
            f"expected an uncertainty and an outcome for each input, got {doubt.shape} and {errors.shape}"
        )
    if not np.isfinite(doubt).all() or not np.isin(errors, (0, 1)).all():
        raise DataError("expected finite uncertainties and outcomes of zero or one, got others")
    return doubt, errors
