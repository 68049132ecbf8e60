"""Selection and detection against brute force and scikit-learn; adaptive calibration against its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import auc, log_loss, roc_auc_score, roc_curve

from robustq import stats
from robustq.errors import DataError

few = st.integers(0, 3).map(float)  # so few values that most are tied


@given(st.lists(st.tuples(few, st.booleans()), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_risk_coverage_is_the_mean_over_orders_of_ties(rows):
    doubt, wrong = (np.array(part, dtype=float) for part in zip(*rows, strict=True))
    n = len(rows)
    curves = []
    for order in itertools.permutations(range(n)):
        if all(doubt[a] <= doubt[b] for a, b in itertools.pairwise(order)):
            curves.append(np.cumsum(wrong[list(order)]) / np.arange(1, n + 1))
    coverage, risk = stats.risk_coverage(doubt, wrong)
    assert coverage == pytest.approx(np.arange(1, n + 1) / n)
    assert risk == pytest.approx(np.mean(curves, axis=0))
    assert stats.aurc(doubt, wrong) == pytest.approx(np.mean(curves))
    if wrong.any():
        kept = n - n // 2
        gone = 1 - risk[kept - 1] * kept / wrong.sum()
        assert stats.errors_removed(doubt, wrong, (n // 2) / n) == pytest.approx(gone)


def test_excess_is_zero_for_the_best_order_and_positive_for_others(rng):
    wrong = rng.random(50) < 0.3
    assert stats.excess_aurc(wrong + 0.1 * rng.random(50), wrong) == pytest.approx(0)
    assert stats.excess_aurc(rng.random(50), wrong) > 0


def test_errors_removed_has_its_ceiling_and_its_chance_level(rng):
    wrong = np.arange(100) < 22
    assert stats.errors_removed(wrong, wrong, 0.1) == pytest.approx(10 / 22)
    assert stats.errors_removed(np.zeros(100), wrong, 0.1) == pytest.approx(0.1)
    assert stats.errors_removed(wrong, wrong, 1.0) == 1


@pytest.mark.parametrize("tied", [False, True])
def test_auroc_is_scikit_learns(rng, tied):
    low, high = rng.normal(size=80), rng.normal(1, 1, 50)
    if tied:
        low, high = low.round(), high.round()
    labels = np.concatenate([np.zeros(80), np.ones(50)])
    scores = np.concatenate([low, high])
    assert stats.auroc(low, high) == pytest.approx(roc_auc_score(labels, scores))
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert stats.auroc(low, high) == pytest.approx(auc(false, true))
    assert stats.false_alarms(low, high) == pytest.approx(false[true >= 0.95].min())


def test_delong_variance_is_its_definition(rng):
    """Structural components written out pair by pair."""
    low, high = rng.normal(size=40).round(1), rng.normal(0.8, 1, 30).round(1)
    pairs = np.array([[(h > b) + 0.5 * (h == b) for b in low] for h in high])
    variance = pairs.mean(1).var(ddof=1) / 30 + pairs.mean(0).var(ddof=1) / 40
    value = pairs.mean()
    size = value * (1 - value) / variance
    found = stats.auroc_interval(low, high)
    assert found.value == pytest.approx(value)
    assert (found.low, found.high) == pytest.approx(stats.wilson(value * size, size))


@pytest.mark.statistical
@pytest.mark.parametrize("shift", [0.5, 1.5, 2.5])
def test_auroc_interval_covers(shift):
    from scipy.stats import norm

    rng, truth, repeats = np.random.default_rng(7), norm.cdf(shift / np.sqrt(2)), 500
    missed = 0
    for _ in range(repeats):
        found = stats.auroc_interval(rng.normal(size=60), rng.normal(shift, 1, 60))
        missed += not found.low <= truth <= found.high
    assert missed <= binom.ppf(0.999, repeats, 0.06)


def test_sets_apart_are_not_certain():
    found = stats.auroc_interval(np.arange(10), np.arange(10) + 50)
    assert found.value == found.high == 1
    assert found.low == pytest.approx(stats.wilson(10, 10)[0])


def test_adaptive_error_is_its_definition(rng):
    chances = rng.dirichlet([1, 2, 3], 60)
    labels = rng.integers(0, 3, 60)
    total = 0.0
    order = chances.max(1).argsort()
    for rows in order.reshape(6, 10):
        hit = chances[rows].argmax(1) == labels[rows]
        total += abs(hit.mean() - chances[rows].max(1).mean()) / 6
    assert stats.adaptive_calibration_error(chances, labels, 6) == pytest.approx(total)
    by_class = [
        np.mean(
            [
                abs((labels[rows] == k).mean() - chances[rows, k].mean())
                for rows in chances[:, k].argsort().reshape(6, 10)
            ]
        )
        for k in range(3)
    ]
    found = stats.adaptive_calibration_error(chances, labels, 6, classwise=True)
    assert found == pytest.approx(np.mean(by_class))


def test_adaptive_error_does_not_depend_on_the_order_of_ties(rng):
    top = rng.choice([0.6, 0.7, 0.9], 90)
    chances, labels = np.stack([top, 1 - top], 1), rng.integers(0, 2, 90)
    order = rng.permutation(90)
    first = stats.adaptive_calibration_error(chances, labels, 7)
    assert stats.adaptive_calibration_error(chances[order], labels[order], 7) == pytest.approx(first)


def test_likelihood_is_scikit_learns(rng):
    chances, labels = rng.dirichlet([1, 1, 1], 40), rng.integers(0, 3, 40)
    found = stats.negative_log_likelihood(chances, labels).mean()
    assert found == pytest.approx(log_loss(labels, chances, labels=[0, 1, 2]))
    assert stats.negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) == np.inf


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: stats.aurc([], []), "for each input"),
        (lambda: stats.aurc([np.nan], [0]), "finite"),
        (lambda: stats.aurc([1.0], [2]), "zero or one"),
        (lambda: stats.errors_removed([1.0, 2.0], [0, 0], 0.1), "at least one error among 2"),
        (lambda: stats.errors_removed([1.0], [1], 1.5), "got 1.5"),
        (lambda: stats.auroc([], [1.0]), "at least one input"),
        (lambda: stats.auroc([np.inf], [1.0]), "finite"),
        (lambda: stats.false_alarms([0.0], [1.0], 0.0), "got 0.0"),
        (
            lambda: stats.adaptive_calibration_error(np.array([[1.0, 0.0]]), np.array([0])),
            "15 inputs for 15 bins, got 1",
        ),
    ],
)
def test_what_has_no_answer_is_refused(call, says):
    with pytest.raises(DataError, match=says):
        call()
