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
        table = rng.normal(size=(4, 1)) * 0.3 + rng.normal(size=(1, 30)) + rng.normal(size=(4, 30)) * 0.5
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
    ("chances", "labels"), [([[0.5, 0.6]], [0]), ([[1.5, -0.5]], [0]), ([[0.5, 0.5]], [2]), ([[0.5, 0.5]], [0, 1])]
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


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("seeds", "inputs", "up", "down"),
    [(1, 100, 0.01, 0.01), (1, 100, 0.0, 0.02), (5, 114, 0.1, 0.02), (2, 114, 0.05, 0.05), (3, 100, 0.01, 0.0)],
)
def test_difference_covers_when_models_rarely_disagree(seeds, inputs, up, down):
    rng = np.random.default_rng(8)
    repeats, missed, widest = 500, 0, 0.0
    for _ in range(repeats):
        u = rng.random((seeds, inputs))
        better, worse = (u < up).astype(float), (u > 1 - down).astype(float)
        found = stats.difference(0.5 + (better - worse) / 2, np.full((seeds, inputs), 0.5))
        gap = stats.difference(better, worse)
        assert gap.low < gap.value < gap.high
        missed += not gap.low <= up - down <= gap.high
        widest = max(widest, gap.high - gap.low)
        assert found.value == pytest.approx(gap.value / 2)
    assert missed <= binom.ppf(0.999, repeats, 0.06)
    assert widest <= 2


def test_two_seeds_give_a_wide_but_possible_interval():
    rng = np.random.default_rng(9)
    first = np.stack([(rng.random(100) < p).astype(float) for p in (0.95, 0.7)])
    second = np.stack([(rng.random(100) < p).astype(float) for p in (0.9, 0.85)])
    found = stats.difference(first, second)
    assert -1 <= found.low < found.value < found.high <= 1


def test_relative_may_pass_one_and_contains_it_when_nothing_changes():
    clean = np.array([1.0] * 80 + [0.0] * 20)
    better = np.array([1.0] * 85 + [0.0] * 15)
    assert stats.relative(better, clean).value == pytest.approx(85 / 80)
    same = stats.relative(clean, clean)
    assert same.low < 1 < same.high
    assert stats.relative([0.0], [0.0]).low == 0.0


@pytest.mark.statistical
@pytest.mark.parametrize("seeds", [2, 3])
def test_few_seeds_that_differ_are_covered(seeds):
    """Between-seed spread of a logit and few seeds: the shrinking for degrees of freedom is needed."""
    rng = np.random.default_rng(10)
    truth = np.mean([crossed(rng, 200, 200, 1.0, 0.5).mean() for _ in range(100)])
    repeats, missed = 400, 0
    for _ in range(repeats):
        found = stats.proportion(crossed(rng, seeds, 114, 1.0, 0.5))
        missed += not found.low <= truth <= found.high
    assert missed <= binom.ppf(0.999, repeats, 0.10 if seeds == 2 else 0.07)


@pytest.mark.statistical
def test_ratio_covers_with_seeds_that_differ():
    rng = np.random.default_rng(11)
    repeats, missed = 400, 0
    for _ in range(repeats):
        rate = 1 / (1 + np.exp(-(-0.85 + 0.4 * rng.normal(size=(4, 1)))))
        correct = (rng.random((4, 114)) < 0.9).astype(float)
        found = stats.ratio(correct * (rng.random((4, 114)) < rate), correct)
        missed += not found.low <= 0.3057 <= found.high  # mean of the logistic-normal rate
    assert missed <= binom.ppf(0.999, repeats, 0.08)


def test_ratio_is_linearised_not_pooled():
    """Identical seeds must not shrink the interval of a ratio either."""
    rng = np.random.default_rng(12)
    correct = (rng.random(100) < 0.8).astype(float)
    flipped = correct * (rng.random(100) < 0.4)
    once = stats.ratio(flipped, correct)
    often = stats.ratio(np.tile(flipped, (6, 1)), np.tile(correct, (6, 1)))
    assert often.half_width == pytest.approx(once.half_width, rel=0.05)


@pytest.mark.statistical
def test_calibration_interval_allows_for_the_bias_of_the_ece():
    """True ECE 0.05 at 100 inputs: the raw estimate averages far above it, the interval must reach down."""
    rng = np.random.default_rng(13)
    repeats, missed = 120, 0
    for _ in range(repeats):
        p = rng.uniform(0.55, 0.95, 100)
        labels = (rng.random(100) > p - 0.05).astype(int)
        chances = np.stack([p, 1 - p], axis=1)

        def error(seeds, inputs, chances=chances, labels=labels):
            return stats.expected_calibration_error(chances[inputs], labels[inputs])

        found = stats.bootstrap(error, 1, 100, rng, resamples=100)
        missed += not found.low <= 0.05 <= found.high
    assert missed <= binom.ppf(0.999, repeats, 0.10)


@pytest.mark.parametrize("alpha", [1e-9, 0.001, 0.05, 0.3])
@pytest.mark.parametrize("trials", [1, 7, 100, 100_000])
def test_clopper_pearson_is_the_inverse_of_the_binomial_tail(trials, alpha):
    successes = np.unique([0, 1, trials // 2, trials - 1, trials])
    bound = stats.clopper_pearson(successes, trials, alpha)
    tail = binom.sf(successes - 1, trials, bound)
    assert tail[1:] == pytest.approx(alpha, rel=1e-6)
    assert bound[0] == 0
    for k, low in zip(successes, bound, strict=True):
        theirs = binomtest(int(k), trials, alternative="greater").proportion_ci(1 - alpha, "exact")
        assert low == pytest.approx(theirs.low, rel=1e-6)


@pytest.mark.parametrize("bad", [(3, 2, 0.1), (-1, 2, 0.1), (0, 0, 0.1), (np.nan, 2, 0.1), (1, 2, 0), (1, 2, 1.0)])
def test_clopper_pearson_refuses_impossible_counts(bad):
    with pytest.raises(DataError, match="expected"):
        stats.clopper_pearson(*bad)
