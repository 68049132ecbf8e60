"""Intervals for the numbers a report prints.

A robustness figure has two sources of chance: which inputs were drawn and which seed trained the
model. All seeds are judged on the same inputs, so the design is *crossed*: pooling the
``seeds x inputs`` outcomes as if independent would be too sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.errors import DataError


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval and what it was computed from.

    >>> Interval(0.5, 0.4, 0.6, inputs=100, seeds=1).half_width
    0.1
    """

    value: float
    low: float
    high: float
    inputs: int
    seeds: int
    confidence: float = 0.95

    @property
    def half_width(self) -> float:
        """Half the interval's length, rounded to four digits."""
        return round((self.high - self.low) / 2, 4)


def wilson(successes: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927); trials may be fractional.

    >>> low, high = wilson(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise DataError(f"expected 0 <= successes <= trials > 0, got {successes} of {trials}")
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + confidence / 2))
    p = successes / trials
    middle = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


@dataclass(frozen=True)
class CrossedVariance:
    """Variance of a grand mean over crossed seeds and inputs, with its degrees of freedom."""

    variance: float
    freedom: float


def crossed_variance(values: NDArray[np.float64]) -> CrossedVariance:
    """Random-effects variance of the mean of ``(seeds, inputs)`` outcomes.

    ``(MS_seeds + MS_inputs - MS_residual) / (seeds * inputs)`` with Satterthwaite's degrees of
    freedom (Searle, Casella & McCulloch, *Variance Components*, ch. 4; the multi-reader multi-case
    analysis of diagnostic imaging is the same model).
    """
    seeds, inputs = values.shape
    mean, total = values.mean(), seeds * inputs
    by_seed, by_input = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    ms_input = seeds * float(((by_input - mean) ** 2).sum()) / max(1, inputs - 1)
    if seeds == 1:
        return CrossedVariance(ms_input / total, max(1, inputs - 1))
    ms_seed = inputs * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    residual = values - by_seed - by_input + mean
    ms_rest = float((residual**2).sum()) / ((seeds - 1) * max(1, inputs - 1))
    # the difference of mean squares can be negative by chance; a variance cannot
    combined = max(ms_seed + ms_input - ms_rest, ms_rest, 0.0)
    spread = (
        ms_seed**2 / (seeds - 1) + ms_input**2 / max(1, inputs - 1) + ms_rest**2 / ((seeds - 1) * max(1, inputs - 1))
    )
    freedom = combined**2 / spread if spread > 0 else float(inputs - 1)
    return CrossedVariance(combined / total, max(1.0, freedom))


def proportion(outcomes: ArrayLike, confidence: float = 0.95) -> Interval:
    """A proportion over ``(seeds, inputs)`` zeros and ones, or ``(inputs,)`` for one seed.

    Wilson's interval at the effective sample size ``p (1 - p) / variance`` of the crossed design,
    shrunk for the few degrees of freedom of few seeds (Korn & Graubard 1998). When every outcome
    agrees, the effective size is the number of distinct inputs.

    >>> result = proportion([[1, 1, 0, 1], [1, 1, 0, 1]])
    >>> result.value, result.inputs, result.seeds
    (0.75, 4, 2)
    """
    values = _table(outcomes)
    seeds, inputs = values.shape
    p = float(values.mean())
    size = float(inputs)
    if 0 < p < 1:
        from scipy.stats import t

        estimate = crossed_variance(values)
        if estimate.variance > 0:
            size = min(p * (1 - p) / estimate.variance, float(seeds * inputs))
        q = 0.5 + confidence / 2
        size *= float(t.ppf(q, max(1, inputs - 1)) / t.ppf(q, estimate.freedom)) ** 2
        size = max(size, 1.0)
    low, high = wilson(p * size, size, confidence)
    return Interval(p, min(low, p), max(high, p), inputs, seeds, confidence)


def mean(
    outcomes: ArrayLike, confidence: float = 0.95, *, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """A mean over ``(seeds, inputs)`` real outcomes within ``bounds``, with Student's interval.

    >>> mean([1.0, 2.0, 3.0]).value
    2.0
    """
    from scipy.stats import t

    values = _table(outcomes)
    seeds, inputs = values.shape
    centre = float(values.mean())
    estimate = crossed_variance(values)
    reach = float(t.ppf(0.5 + confidence / 2, estimate.freedom)) * math.sqrt(estimate.variance)
    low, high = max(bounds[0], centre - reach), min(bounds[1], centre + reach)
    return Interval(centre, low, high, inputs, seeds, confidence)


def _table(outcomes: ArrayLike) -> NDArray[np.float64]:
    values = np.atleast_2d(np.asarray(outcomes, dtype=float))
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise DataError(f"expected a finite (seeds, inputs) table, got shape {values.shape}")
    return values


def difference(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Interval:
    """Paired difference of two ``(seeds, inputs)`` means in [0, 1], judged on the same inputs.

    Wilson's intervals of "first better" and of "second better", joined by square-and-add (Newcombe 1998;
    Donner & Zou 2012), so that rare disagreement does not look like certainty; at the effective sample
    size of the crossed design, shrunk for few degrees of freedom as in :func:`proportion`.

    >>> gain = difference([1, 1, 1, 0], [1, 0, 1, 0])
    >>> gain.value, gain.low < 0 < gain.high
    (0.25, True)
    """
    from scipy.stats import t

    gap = _table(first) - _table(second)
    seeds, inputs = gap.shape
    value, size = float(gap.mean()), float(inputs)
    estimate = crossed_variance(gap)
    if estimate.variance > 0:
        spread = float((gap**2).mean()) - value**2
        size = min(spread / estimate.variance, float(seeds * inputs))
        q = 0.5 + confidence / 2
        size *= float(t.ppf(q, max(1, inputs - 1)) / t.ppf(q, estimate.freedom)) ** 2
    size = max(size, 1.0)
    up, down = float(gap.clip(0).mean()), float((-gap).clip(0).mean())
    up_low, up_high = wilson(up * size, size, confidence)
    down_low, down_high = wilson(down * size, size, confidence)
    # square-and-add: the distances of the two limits add up like standard errors
    low = value - math.hypot(up - up_low, down_high - down)
    high = value + math.hypot(up_high - up, down - down_low)
    return Interval(value, max(-1.0, low), min(1.0, high), inputs, seeds, confidence)


def relative(numerator: ArrayLike, denominator: ArrayLike, confidence: float = 0.95) -> Interval:
    """The ratio of two paired means when neither is part of the other, such as noisy over clean accuracy.

    ``1 + difference / denominator``, which may pass 1, with the interval of :func:`difference`.

    >>> relative([1, 1, 0, 0], [1, 1, 1, 1]).value
    0.5
    """
    base = float(_table(denominator).mean())
    gap = difference(numerator, denominator, confidence)
    if base <= 0:
        return Interval(1.0, 0.0, 2.0, gap.inputs, gap.seeds, confidence)
    value, low, high = (max(0.0, 1 + part / base) for part in (gap.value, gap.low, gap.high))
    return Interval(value, low, high, gap.inputs, gap.seeds, confidence)


def ratio(numerator: ArrayLike, denominator: ArrayLike, confidence: float = 0.95) -> Interval:
    """The ratio of two ``(seeds, inputs)`` means in [0, 1], such as flipped over correct.

    The ratio is linearised (Cochran, *Sampling Techniques*, ch. 6): its variance is that of the mean
    of ``numerator - ratio * denominator``, divided by the squared denominator; Wilson's interval
    is then taken at the effective sample size, as in :func:`proportion`.

    >>> ratio([1, 0, 0, 0], [1, 1, 0, 0]).value
    0.5
    """
    top, bottom = _table(numerator), _table(denominator)
    seeds, inputs = top.shape
    base = float(bottom.mean())
    if base <= 0:
        return Interval(0.0, 0.0, 1.0, inputs, seeds, confidence)
    value = min(max(float(top.mean()) / base, 0.0), 1.0)
    size = base * inputs
    estimate = crossed_variance((top - value * bottom) / base)
    if 0 < value < 1 and estimate.variance > 0:
        from scipy.stats import t

        size = min(value * (1 - value) / estimate.variance, base * seeds * inputs)
        q = 0.5 + confidence / 2
        size *= float(t.ppf(q, max(1, inputs - 1)) / t.ppf(q, estimate.freedom)) ** 2
    low, high = wilson(value * max(size, 1.0), max(size, 1.0), confidence)
    return Interval(value, min(low, value), max(high, value), inputs, seeds, confidence)
