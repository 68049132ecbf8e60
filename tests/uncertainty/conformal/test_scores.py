"""Scores beside their definitions, written out one label at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustq.catalogue import resolve
from robustq.errors import DataError, SpecError
from robustq.uncertainty.conformal import (
    SCORES,
    Adaptive,
    LeastAmbiguous,
    LogitMargin,
    Margin,
    Nearest,
    RegularisedAdaptive,
)

rows_of = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(1, 1000), min_size=k, max_size=k), min_size=1, max_size=4)
)


def normalised(rows):
    table = np.array(rows, float)
    return table / table.sum(1, keepdims=True)


def adaptive(row, label, u):
    """Romano, Sesia & Candes: the smallest tau at which the label joins the set, likeliest first."""
    order = sorted(range(len(row)), key=lambda k: (-row[k], k))
    upto = order.index(label)
    return sum(row[k] for k in order[:upto]) + (1 - u) * row[label], upto + 1


@given(rows_of, st.integers(0, 2**32 - 1))
def test_adaptive_scores(rows, seed):
    table = normalised(rows)
    u = np.random.default_rng(seed).random((len(table), 1))[:, 0]
    plain = Adaptive(False).of(table)
    drawn = Adaptive().of(table, np.random.default_rng(seed))
    punished = RegularisedAdaptive(2, 0.3).of(table, np.random.default_rng(seed))
    for n, row in enumerate(table):
        for label in range(len(row)):
            expected, rank = adaptive(row, label, u[n])
            assert drawn[n, label] == pytest.approx(expected, abs=1e-12)
            assert plain[n, label] == pytest.approx(adaptive(row, label, 0)[0], abs=1e-12)
            assert punished[n, label] == pytest.approx(expected + 0.3 * max(0, rank - 2), abs=1e-12)


@given(rows_of)
def test_margins(rows):
    table = normalised(rows)
    found = Margin().of(table)
    for n, row in enumerate(table):
        for label, own in enumerate(row):
            assert found[n, label] == max(np.delete(row, label)) - own
    assert np.array_equal(found, LogitMargin().of(table))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_nearest_is_the_distance_of_the_kth_nearest_outcome(outcomes, data):
    k = data.draw(st.integers(1, len(outcomes)))
    frequencies = np.bincount(outcomes, minlength=5) / len(outcomes)
    found = Nearest(k / len(outcomes)).of(frequencies[None])[0]
    for label in range(5):
        assert found[label] == sorted(abs(label - outcome) for outcome in outcomes)[k - 1]


def test_lac_of_two_classes_is_half_the_margin():
    """``1 - p`` and ``1 - 2 p``: the same order, so the same sets."""
    table = normalised([[1, 3], [5, 2]])
    assert np.allclose(LeastAmbiguous().of(table), (Margin().of(table) + 1) / 2)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(name, bad, rng):
    with pytest.raises(DataError, match="finite"):
        resolve("score", name, SCORES).make().of([[bad, 0.5]], rng)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "logit-margin"])
@pytest.mark.parametrize("row", [[0.7, 0.7], [-0.5, 1.5], [2.0, -1.0]])
def test_what_are_no_probabilities_is_refused(name, row, rng):
    with pytest.raises(DataError, match="probabilities"):
        resolve("score", name, SCORES).make().of([row], rng)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 2, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="classes >= 2"):
        LogitMargin().of(np.zeros(shape))


def test_chance_needs_a_generator():
    with pytest.raises(SpecError, match="generator"):
        Adaptive().of([[0.5, 0.5]])


@pytest.mark.parametrize(
    ("make", "options"),
    [(RegularisedAdaptive, {"k_reg": -1}), (RegularisedAdaptive, {"penalty": np.nan}), (Nearest, {"share": 0.0})],
)
def test_impossible_options_are_refused(make, options):
    with pytest.raises(SpecError, match="expected"):
        make(**options)
