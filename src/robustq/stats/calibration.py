"""Calibration: whether what a model is 90 % sure of is right 90 % of the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustq.errors import DataError
from robustq.stats.intervals import Interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def check_probabilities(probabilities: Array, labels: NDArray[np.int64]) -> None:
    """Refuse anything but rows of probabilities with one label in range for each."""
    if probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise DataError(
            f"expected (inputs, classes) probabilities and as many labels, got "
            f"{probabilities.shape} and {labels.shape}"
        )
    if not np.allclose(probabilities.sum(1), 1, atol=1e-4) or (probabilities < 0).any():
        raise DataError("expected rows of probabilities that sum to one, got something else")
    if labels.size and not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise DataError(f"expected labels in 0..{probabilities.shape[1] - 1}, got others")


def reliability(probabilities: Array, labels: NDArray[np.int64], bins: int = 10) -> list[Bin]:
    """Equal-width bins of the top probability; empty bins are left out.

    >>> [b.count for b in reliability(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]))]
    [1, 1]
    """
    check_probabilities(probabilities, labels)
    top, hit = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((top * bins).astype(int), bins - 1)
    filled = []
    for k in range(bins):
        here = place == k
        if here.any():
            filled.append(
                Bin(k / bins, (k + 1) / bins, int(here.sum()), float(top[here].mean()), float(hit[here].mean()))
            )
    return filled


def expected_calibration_error(probabilities: Array, labels: NDArray[np.int64], bins: int = 10) -> float:
    """ECE: mean gap between confidence and accuracy, weighted by bin (Guo et al. 2017).

    >>> round(expected_calibration_error(np.array([[0.9, 0.1]] * 10), np.array([0] * 9 + [1])), 6)
    0.0
    """
    total = sum(b.count * abs(b.accuracy - b.confidence) for b in reliability(probabilities, labels, bins))
    return float(total / max(1, len(labels)))


def adaptive_calibration_error(
    probabilities: Array, labels: NDArray[np.int64], bins: int = 15, *, classwise: bool = False
) -> float:
    """As the ECE, with as many inputs in every bin (Nguyen & O'Connor, EMNLP 2015).

    Of the top probability; ``classwise`` is the mean over classes of every class's own (the ACE of Nixon et
    al., 2019). Inputs of equal probability share their outcomes, so that no order of rows matters.

    Raises:
        DataError: if there are fewer inputs than bins.

    >>> chances = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    >>> labels = np.array([0] * 9 + [1] + [0] * 5 + [1] * 5)
    >>> round(adaptive_calibration_error(chances, labels, bins=2), 6)
    0.05
    """
    check_probabilities(probabilities, labels)
    if not 1 <= bins <= len(labels):
        raise DataError(f"expected at least {bins} inputs for {bins} bins, got {len(labels)}")
    if not classwise:
        return _gap(probabilities.max(1), probabilities.argmax(1) == labels, bins)
    classes = range(probabilities.shape[1])
    return float(np.mean([_gap(probabilities[:, k], labels == k, bins) for k in classes]))


def _gap(chance: Array, hit: NDArray[np.bool_], bins: int) -> float:
    """Mean gap between chance and frequency over bins of equal size."""
    order = np.argsort(chance, kind="stable")
    # equal chances share their outcomes, or the split into bins would depend on the order of rows
    chance, hits = chance[order], shared(chance[order], hit[order].astype(float))
    parts = zip(np.array_split(chance, bins), np.array_split(hits, bins), strict=True)
    return float(sum(len(c) * abs(c.mean() - h.mean()) for c, h in parts) / len(chance))


def shared(key: Array, values: Array) -> Array:
    """Each value replaced by the mean over all of the same key; keys are sorted.

    >>> shared(np.array([1.0, 2.0, 2.0]), np.array([1.0, 0.0, 1.0])).tolist()
    [1.0, 0.5, 0.5]
    """
    group = np.concatenate([[0], np.cumsum(np.diff(key) != 0)])
    sums, counts = np.bincount(group, values), np.bincount(group)
    means: Array = (sums / counts)[group]
    return means


def negative_log_likelihood(probabilities: Array, labels: NDArray[np.int64]) -> Array:
    """``-log p_y`` of each input, in nats; infinite where the truth was given no chance.

    >>> negative_log_likelihood(np.array([[0.5, 0.5]]), np.array([1])).round(4).tolist()
    [0.6931]
    """
    check_probabilities(probabilities, labels)
    with np.errstate(divide="ignore"):
        losses: Array = -np.log(probabilities[np.arange(len(labels)), labels])
    return losses


def brier(probabilities: Array, labels: NDArray[np.int64]) -> Array:
    """Brier score of each input, ``sum_k (p_k - [y = k])^2`` in [0, 2] (Brier 1950).

    >>> brier(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0])).tolist()
    [0.0, 0.5]
    """
    check_probabilities(probabilities, labels)
    truth = np.eye(probabilities.shape[1])[labels]
    scores: Array = ((probabilities - truth) ** 2).sum(1)
    return scores


def bootstrap(
    statistic: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    seeds: int,
    inputs: int,
    generator: np.random.Generator,
    *,
    resamples: int = 500,
    confidence: float = 0.95,
) -> Interval:
    """Basic bootstrap interval of ``statistic(seeds, inputs)`` over resampled seeds and inputs.

    For statistics that are not means of per-input outcomes, such as the ECE. The ECE is biased
    upwards in small samples and every resample repeats that bias, so the percentile interval would sit
    too high; the basic interval reflects it (Davison & Hinkley 1997, ch. 5). Cut off at zero.

    >>> rng = np.random.default_rng(0)
    >>> bootstrap(lambda seeds, inputs: float(inputs.mean()), 1, 11, rng).value
    5.0
    """
    value = statistic(np.arange(seeds), np.arange(inputs))
    draws = [
        statistic(generator.integers(0, seeds, seeds), generator.integers(0, inputs, inputs))
        for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [0.5 - confidence / 2, 0.5 + confidence / 2])
    # reflected about the estimate: the basic interval
    low, high = max(0.0, 2 * value - float(high)), max(0.0, 2 * value - float(low))
    return Interval(value, min(low, value), max(high, value), inputs, seeds, confidence)
