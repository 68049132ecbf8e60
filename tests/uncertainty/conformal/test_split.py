"""Thresholds beside the order statistic they are, guarantees beside simulation, and what is refused."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from robustq.catalogue import resolve
from robustq.errors import DataError, SpecError
from robustq.uncertainty.conformal import (
    SCORES,
    Conformal,
    LeastAmbiguous,
    calibrate,
    evaluate,
    guarantee,
    rows_needed,
)
from robustq.uncertainty.conformal.split import place


def two_columns(first):
    return np.stack([first, 1 - np.asarray(first)], 1)


@given(st.integers(1, 400), st.integers(1, 99))
def test_place_is_the_exact_ceiling_or_too_few_are_refused(count, percent):
    alpha = percent / 100
    exact = (count + 1) * (1 - Fraction(percent, 100))
    if exact <= count:
        assert place(count, alpha) == -(-exact.numerator // exact.denominator)
    else:
        with pytest.raises(DataError, match=f"at least {rows_needed(alpha)} "):
            place(count, alpha)


@given(st.integers(1, 99))
def test_rows_needed_is_the_fewest(percent):
    needed = rows_needed(percent / 100)
    assert place(needed, percent / 100) == needed
    if needed > 1:
        with pytest.raises(DataError):
            place(needed - 1, percent / 100)


@given(st.lists(st.floats(0, 1), min_size=19, max_size=60), st.sampled_from([0.05, 0.1, 0.25]))
def test_the_threshold_is_the_order_statistic(first, alpha):
    rows = two_columns(first)
    found = calibrate(rows, np.zeros(len(rows), int), alpha=alpha)
    level = np.ceil(round((len(rows) + 1) * (1 - alpha), 9)) / len(rows)
    own = 1 - rows[:, 0]
    assert found.thresholds[0] == np.quantile(own, min(level, 1), method="inverted_cdf")
    assert found.sets(rows)[:, 0].mean() >= 1 - alpha  # of the calibration rows themselves


def test_per_class_thresholds_are_those_of_each_class_alone(rng):
    rows, y = rng.dirichlet([1, 1, 1], 300), rng.integers(0, 3, 300)
    found = calibrate(rows, y, alpha=0.1, groups="class")
    for label in range(3):
        own = y == label
        alone = calibrate(rows[own], y[own], alpha=0.1)
        assert found.thresholds[label] == alone.thresholds[label]
        assert found.counts[label] == own.sum()
        assert found.guarantee()[label] == guarantee(int(own.sum()), 0.1)
    assert {interval.inputs for interval in calibrate(rows, y, alpha=0.1).guarantee()} == {300}


def test_too_few_of_one_class_are_refused_by_name():
    rows, y = two_columns(np.linspace(0, 1, 30)), np.array([0] * 22 + [1] * 8)
    with pytest.raises(DataError, match=r"class 1: expected at least 9 .* got 8"):
        calibrate(rows, y, alpha=0.1, groups="class")
    with pytest.raises(DataError, match=r"class 2: expected at least 9 .* got 0"):
        calibrate(np.full((40, 3), 1 / 3), np.arange(40) % 2, alpha=0.1, groups="class")
    assert calibrate(rows, y, alpha=0.1).counts == (22, 8)


def test_coverage_of_one_calibration_is_beta_distributed(rng):
    """Uniform scores: coverage given the calibration is the threshold itself."""
    first = 1 - rng.random((2000, 50))
    covers = [calibrate(two_columns(row), np.zeros(50, int), alpha=0.2).thresholds[0] for row in first]
    kept = place(50, 0.2)
    assert kstest(covers, "beta", (kept, 51 - kept)).pvalue > 1e-3
    found = guarantee(50, 0.2, 0.9)
    inside = np.mean((np.array(covers) > found.low) & (np.array(covers) < found.high))
    assert abs(inside - 0.9) < 4 * np.sqrt(0.09 / 2000)
    assert found.value == kept / 51


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("groups", ["none", "class"])
def test_saved_and_read_again_it_gives_the_same_sets(name, groups, rng):
    options = {"raps": {"k_reg": 2, "penalty": 0.125}, "aps": {"randomised": False}}
    score = resolve("score", name, SCORES).make(**options.get(name, {}))
    rows, y = rng.dirichlet([2, 1, 1], 100), rng.integers(0, 3, 100)
    found = calibrate(rows, y, alpha=0.1, score=score, groups=groups, generator=rng)
    again = Conformal.from_data(json.loads(json.dumps(found.to_data())))
    assert again == found
    one, two = (c.sets(rows, np.random.default_rng(3)) for c in (found, again))
    assert np.array_equal(one, two)


def test_damaged_data_is_refused(rng):
    good = calibrate(rng.dirichlet([1, 1], 50), rng.integers(0, 2, 50), alpha=0.1).to_data()
    for key in good:
        with pytest.raises(DataError):
            Conformal.from_data({k: v for k, v in good.items() if k != key})
    for change in (
        {"thresholds": [0.5]},
        {"thresholds": [0.5, float("nan")]},
        {"options": {"what": 1}},
        {"counts": None},
    ):
        with pytest.raises(DataError):
            Conformal.from_data(good | change)
    for change in ({"alpha": 1.5}, {"groups": "all"}, {"score": "lak"}):
        with pytest.raises(SpecError):
            Conformal.from_data(good | change)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan"), "0.1"])
def test_levels_that_are_none_are_refused(alpha):
    with pytest.raises(SpecError, match="alpha"):
        calibrate(two_columns(np.ones(30)), np.zeros(30, int), alpha=alpha)


@pytest.mark.parametrize("y", [np.zeros(29, int), np.zeros(30), np.full(30, 2), np.full(30, -1)])
def test_labels_that_are_none_are_refused(y):
    with pytest.raises(DataError, match="labels"):
        calibrate(two_columns(np.ones(30)), y, alpha=0.1)


def test_answers_about_other_classes_are_refused():
    found = Conformal(LeastAmbiguous(), 0.1, "none", (0.5, 0.5), (9, 9))
    with pytest.raises(DataError, match="2 classes, got 3"):
        found.sets([[0.2, 0.3, 0.5]])


def test_widened_sets_hold_scores_that_rose_by_no_more(rng):
    found = Conformal(LeastAmbiguous(), 0.1, "none", (0.4, 0.6), (9, 9)).widened(0.05)
    rows = rng.dirichlet([1, 1], 200)
    worse = np.clip(rows[:, :1] + 0.05, 0, 1)
    worse = np.concatenate([worse, 1 - worse], 1)
    plain = Conformal(LeastAmbiguous(), 0.1, "none", (0.4, 0.6), (9, 9)).sets(rows)
    assert (found.sets(worse) | ~plain).all()
    with pytest.raises(SpecError, match="slack"):
        found.widened(-0.1)


def test_evaluation_by_hand():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], bool)
    found = evaluate(sets, [0, 2, 1, 1])
    assert found.coverage.value == 0.5
    assert {k: v.value for k, v in found.by_class.items()} == {0: 1.0, 1: 0.5, 2: 0.0}
    assert {k: v.value for k, v in found.by_size.items()} == {0: 0.0, 1: 1.0, 2: 0.0}
    assert (found.size.value, found.singletons.value, found.empty.value) == (1.0, 0.5, 0.25)
    with pytest.raises(DataError, match="bool"):
        evaluate(sets.astype(int), [0, 2, 1, 1])
