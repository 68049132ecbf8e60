"""Intervals cover what they claim to cover; calibration figures match their definitions."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from robustq import stats
from robustq.errors import DataError
from robustq.stats.intervals import crossed_variance


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (57, 114)])
def test_wilson_is_scipys(k, n):
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert stats.wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_one_seed_is_close_to_plain_wilson():
    outcomes = np.array([1.0] * 80 + [0.0] * 20)
    ours = stats.proportion(outcomes)
    low, high = stats.wilson(80, 100)
    assert ours.low == pytest.approx(low, abs=0.005)
    assert ours.high == pytest.approx(high, abs=0.005)


def test_identical_seeds_add_no_certainty():
    outcomes = np.array([1.0] * 80 + [0.0] * 20)
    once, thrice = stats.proportion(outcomes), stats.proportion(np.tile(outcomes, (3, 1)))
    assert thrice.half_width == pytest.approx(once.half_width, rel=0.02)


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(0)
    agree = (rng.random(100) < 0.8).astype(float)
    steady = np.tile(agree, (4, 1))
    shaky = np.array([(rng.random(100) < p).astype(float) for p in (0.5, 0.95, 0.7, 0.99)])
    assert stats.proportion(shaky).half_width > 1.5 * stats.proportion(steady).half_width


def test_crossed_variance_is_unbiased():
    """Over many crossed draws the estimate averages to the variance of the grand mean."""
    rng = np.random.default_rng(1)
    means, estimates = [], []
    for _ in range(4000):
        table = (
            rng.normal(size=(4, 1)) * 0.3
            + rng.normal(size=(1, 30))
            + rng.normal(size=(4, 30)) * 0.5
        )
        means.append(table.mean())
        estimates.append(crossed_variance(table).variance)
    assert np.mean(estimates) == pytest.approx(np.var(means), rel=0.08)


def crossed(rng, seeds, inputs, shift, noise):
    """Zeros and ones whose chance varies with the input and with the seed."""
    score = rng.normal(size=(1, inputs)) + shift + noise * rng.normal(size=(seeds, 1))
    return (score + 0.5 * rng.normal(size=(seeds, inputs)) > 0).astype(float)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("seeds", "inputs", "shift", "noise"),
    [(3, 100, 1.5, 0.2), (5, 114, 0.0, 0.5), (5, 114, 2.0, 0.0), (1, 200, 1.0, 0.0)],
)
def test_proportion_covers_at_its_confidence(seeds, inputs, shift, noise):
    """Misses may exceed five percent by no more than chance allows (binomial, 1 in 1000)."""
    rng = np.random.default_rng(2)
    truth = np.mean([crossed(rng, 200, 200, shift, noise).mean() for _ in range(100)])
    repeats, missed = 600, 0
    for _ in range(repeats):
        found = stats.proportion(crossed(rng, seeds, inputs, shift, noise))
        missed += not found.low <= truth <= found.high
    assert missed <= binom.ppf(0.999, repeats, 0.05 if noise < 0.3 else 0.07)


@pytest.mark.statistical
def test_ratio_covers_at_its_confidence():
    rng = np.random.default_rng(3)
    repeats, missed = 600, 0
    for _ in range(repeats):
        correct = (rng.random((5, 120)) < 0.9).astype(float)
        flipped = correct * (rng.random((5, 120)) < 0.3)
        found = stats.ratio(flipped, correct)
        missed += not found.low <= 0.3 <= found.high
    assert missed <= binom.ppf(0.999, repeats, 0.05)


def test_ratio_of_nothing_is_unknown():
    found = stats.ratio([0, 0], [0, 0])
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("table", [[], [[np.nan]], np.zeros((1, 0))])
def test_impossible_tables_are_refused(table):
    with pytest.raises(DataError, match="finite"):
        stats.proportion(table)


def test_wilson_refuses_more_successes_than_trials():
    with pytest.raises(DataError, match="successes <= trials"):
        stats.wilson(3, 2)


def test_ece_of_a_perfect_and_of_an_overconfident_model():
    rng = np.random.default_rng(4)
    p = rng.uniform(0.5, 1, 20000)
    chances = np.stack([p, 1 - p], axis=1)
    honest = (rng.random(20000) > p).astype(int)
    assert stats.expected_calibration_error(chances, honest) < 0.015
    liar = np.stack([np.full(1000, 0.9), np.full(1000, 0.1)], axis=1)
    labels = np.array([0] * 600 + [1] * 400)
    assert stats.expected_calibration_error(liar, labels) == pytest.approx(0.3)


def test_brier_is_scikit_learns():
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(5)
    p = rng.random(50)
    labels = rng.integers(0, 2, 50)
    ours = stats.brier(np.stack([1 - p, p], axis=1), labels).mean()
    assert ours == pytest.approx(2 * brier_score_loss(labels, p))


def test_reliability_counts_every_input():
    rng = np.random.default_rng(6)
    chances = rng.dirichlet([1, 1, 1], 200)
    bars = stats.reliability(chances, rng.integers(0, 3, 200))
    assert sum(b.count for b in bars) == 200
    assert all(b.low <= b.confidence <= b.high for b in bars)


@pytest.mark.parametrize(
    ("chances", "labels"),
    [([[0.5, 0.6]], [0]), ([[1.5, -0.5]], [0]), ([[0.5, 0.5]], [2]), ([[0.5, 0.5]], [0, 1])],
)
def test_what_is_no_probability_is_refused(chances, labels):
    with pytest.raises(DataError, match="expected"):
        stats.brier(np.array(chances), np.array(labels))


def test_bootstrap_brackets_the_value():
    rng = np.random.default_rng(7)
    values = rng.normal(size=300)
    found = stats.bootstrap(lambda seeds, inputs: float(values[inputs].mean()) + 5, 1, 300, rng)
    assert found.low < found.value < found.high
    assert found.half_width == pytest.approx(1.96 * values.std() / 300**0.5, rel=0.15)
