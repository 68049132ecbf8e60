"""The scaling law of logical error rates, for rates too small to be sampled.

``P = A (p / p_th)^((d + 1) / 2)``: of the errors that half the distance takes, one more is fatal (Fowler
et al., PRA 86, 032324 (2012), equation 11). On a log scale it is a straight line in ``log A`` and
``log p_th``, fitted here by maximum likelihood of the counts (a generalised linear model with a log
link; McCullagh & Nelder, *Generalized Linear Models*), so that runs without a failure count too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustq.errors import DataError
from robustq.mitigation.correction.surface import Memory

STEPS, SETTLED = 100, 1e-10  # of the scoring iteration
MOST = 201  # a distance beyond which no one builds
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """``P(p, d) = amplitude (p / threshold)^((d + 1) / 2)`` with its uncertainty.

    Attributes:
        amplitude: ``A``.
        threshold: ``p_th``, in the library's convention.
        covariance: of ``(log A, log p_th)``, row by row.
        misfit: Pearson's statistic a degree of freedom; the covariance is widened by it above 1.

    >>> law = Law(0.1, 0.01, (0.0, 0.0, 0.0, 0.0), 1.0)
    >>> round(law.rate(0.001, 5), 12), law.distance_for(0.001, 2e-9)
    (0.0001, 15)
    """

    amplitude: float
    threshold: float
    covariance: tuple[float, float, float, float]
    misfit: float

    def rate(self, p: float, distance: int) -> float:
        """The logical error rate of a memory over ``distance`` rounds, at most 1/2.

        Raises:
            DataError: unless ``0 < p < threshold``: above it a larger code is worse, not better.
        """
        return min(0.5, math.exp(self._log(p, distance)))

    def interval(self, p: float, distance: int, confidence: float = 0.95) -> tuple[float, float]:
        """Around :meth:`rate`, normal on the log scale; of the fit, not of the law itself."""
        from scipy.stats import norm

        k = (distance + 1) / 2
        aa, ab, _, bb = self.covariance
        spread = math.sqrt(max(0.0, aa - 2 * k * ab + k * k * bb))
        reach, middle = float(norm.ppf(0.5 + confidence / 2)) * spread, self._log(p, distance)
        return min(0.5, math.exp(middle - reach)), min(0.5, math.exp(middle + reach))

    def distance_for(self, p: float, target: float, confidence: float | None = None) -> int:
        """The smallest odd distance whose rate is at most ``target``, or whose interval ends there.

        Raises:
            DataError: as :meth:`rate`, or if the target is not in (0, 1/2), or takes more than ``MOST``.
        """
        if not 0 < target < 0.5:
            raise DataError(f"surface code: expected a target in (0, 0.5), got {target}")
        for distance in range(3, MOST + 1, 2):
            reached = self.rate(p, distance) if confidence is None else self.interval(p, distance, confidence)[1]
            if reached <= target:
                return distance
        raise DataError(
            f"surface code: expected a target within reach of distance {MOST}, got {target:g} at p = {p:g}; "
            f"try {reached:.2g}"
        )

    def _log(self, p: float, distance: int) -> float:
        if not 0 < p < self.threshold:
            raise DataError(f"surface code: expected p in (0, threshold = {self.threshold:.3g}), got {p}")
        return math.log(self.amplitude) + (distance + 1) / 2 * math.log(p / self.threshold)


def fit(measured: Sequence[Memory]) -> Law:
    """Fit the law to memories of several distances and rates well below the threshold.

    Memories of both bases may be given; in this circuit "x" fails somewhat more often than "z", and the law is then
    one between the two, with a misfit that says so. Each must have run for as many rounds as its distance.

    Raises:
        DataError: on fewer than three memories or two distances, other rounds, or too few failures.

    >>> exact = Law(0.1, 0.01, (0.0,) * 4, 1.0)
    >>> counts = [(d, p, round(1e9 * exact.rate(p, d))) for d in (3, 5, 7) for p in (0.001, 0.002)]
    >>> law = fit([Memory(d, d, "z", p, failed, 10**9) for d, p, failed in counts])
    >>> round(law.amplitude, 3), round(law.threshold, 4)
    (0.1, 0.01)
    """
    _check(measured)
    half = np.array([(m.distance + 1) / 2 for m in measured])
    design = np.stack([np.ones_like(half), -half], axis=1)
    offset = half * np.log([m.p for m in measured])
    counts = np.array([m.failures for m in measured], dtype=float)
    shots = np.array([m.shots for m in measured], dtype=float)
    solution, information = _scored(design, offset, counts, shots)
    expected = shots * np.exp(design @ solution + offset)
    chi = (counts - expected) ** 2 / (expected * (1 - np.minimum(expected / shots, 0.5)))
    misfit = float(chi.sum() / max(1, len(counts) - 2))
    covariance = np.linalg.inv(information) * max(1.0, misfit)
    aa, ab, ba, bb = (float(entry) for entry in covariance.ravel())
    amplitude, threshold = math.exp(solution[0]), math.exp(solution[1])
    return Law(amplitude, threshold, (aa, ab, ba, bb), misfit)


def _scored(design: Vector, offset: Vector, counts: Vector, shots: Vector) -> tuple[Vector, Vector]:
    """Fisher scoring for binomial counts with a log link; the solution and its information."""
    seen = counts + 0.5  # a start that has a logarithm
    logs, weights = np.log(seen / shots) - offset, seen
    solution = np.asarray(np.linalg.solve(design.T * weights @ design, design.T @ (weights * logs)))
    for _ in range(STEPS):
        rate: Vector = np.exp(np.minimum(design @ solution + offset, math.log(0.5)))
        weights = shots * rate / (1 - rate)
        information: Vector = design.T * weights @ design
        step = np.linalg.solve(information, design.T @ ((counts - shots * rate) / (1 - rate)))
        solution += step
        if np.abs(step).max() < SETTLED:
            return solution, information
    raise DataError("surface code: expected counts that fix the law, got a fit that does not settle")


def _check(measured: Sequence[Memory]) -> None:
    if len(measured) < 3 or len({m.distance for m in measured}) < 2:
        raise DataError("surface code: expected three memories or more, of two distances or more")
    if any(m.rounds != m.distance or m.p <= 0 for m in measured):
        raise DataError("surface code: expected as many rounds as the distance, and p > 0")
    if sum(m.failures for m in measured) < 10:
        raise DataError("surface code: expected 10 failures or more in all; draw more shots")
