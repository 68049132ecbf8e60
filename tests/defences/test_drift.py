"""The drift monitor: uniform p-values, a bounded chance of crying wolf, and how soon it notices."""

import math

import pytest
import torch
from scipy.stats import binom, kstest

from robustq.defences import DriftMonitor
from robustq.errors import DataError, SpecError


def normal(count, seed, shift=0.0):
    draw = torch.Generator().manual_seed(seed)
    return shift + torch.randn(count, generator=draw, dtype=torch.float64)


def monitor(seed=0, reference=200, **options):
    generator = torch.Generator().manual_seed(seed)
    return DriftMonitor(normal(reference, 1000 + seed), generator, **options)


@pytest.mark.statistical
@pytest.mark.parametrize("round_to", [None, 0])
def test_p_values_are_uniform_ties_or_not(round_to, generator):
    scores = normal(3000, 7)
    scores = scores if round_to is None else scores.round(decimals=round_to)
    watching = DriftMonitor(scores[:100], generator)
    chances = torch.rand(2900, generator=generator).tolist()
    found = [watching.p_value(float(s), c) for s, c in zip(scores[100:], chances, strict=True)]
    assert kstest(found, "uniform").pvalue > 1e-4


def test_p_values_count_the_scores_above(generator):
    watching = DriftMonitor(torch.tensor([1.0, 2.0, 3.0]), generator)
    assert watching.p_value(2.5, 0.5) == pytest.approx((1 + 0.5) / 4)
    assert watching.p_value(9.0, 0.0) == 0.0
    assert watching.p_value(1.0, 1.0) == 1.0


def test_capital_by_hand(generator):
    """One step from even shares: the three bets cancel; the second step pays for being right twice."""
    watching = DriftMonitor(torch.zeros(0), generator, jump=0.1)
    watching._bet(0.1)
    assert watching.state.log_capital == pytest.approx(0.0)
    shares = [share / 3 for share in (1.4, 1.0, 0.6)]
    mixed = [0.9 * share + 0.1 / 3 for share in shares]
    watching._bet(0.1)
    expected = math.log(sum(m * w for m, w in zip(mixed, (1.4, 1.0, 0.6), strict=True)))
    assert watching.state.log_capital == pytest.approx(expected)


@pytest.mark.statistical
@pytest.mark.parametrize(("alpha", "reference"), [(0.1, 50), (0.1, 0), (0.3, 50)])
def test_it_ever_cries_wolf_as_rarely_as_promised(alpha, reference):
    runs, length = 400, 300
    alarms = sum(
        monitor(seed, reference, alpha=alpha).update(normal(length, 5000 + seed)).alarmed for seed in range(runs)
    )
    assert alarms <= binom.ppf(1 - 1e-4, runs, alpha)


@pytest.mark.statistical
def test_it_notices_shifts_and_larger_ones_sooner():
    delays = {}
    for shift in (1.0, 3.0):
        found = []
        for seed in range(30):
            watching = monitor(seed)
            assert not watching.update(normal(100, 2000 + seed)).alarmed
            state = watching.update(normal(150, 3000 + seed, shift))
            found.append(state.at - 100 if state.alarmed else 1000)
        delays[shift] = sorted(found)[15]
    assert 0 < delays[3.0] < delays[1.0] < 60
    assert delays[3.0] < 30


def test_scores_that_fall_are_noticed_too():
    assert monitor().update(normal(150, 1, -2.0)).alarmed


def test_the_first_alarm_is_remembered_and_batches_do_not_matter():
    one, many = monitor(3), monitor(3)
    scores = torch.cat([normal(40, 1), normal(60, 2, 3.0), normal(200, 3)])
    whole = one.update(scores)
    for part in scores.split(7):
        last = many.update(part)
    assert whole.alarmed
    assert whole.at == last.at
    assert 40 < whole.at <= 100
    assert whole.seen == last.seen == 300


def test_a_smaller_alpha_waits_longer():
    late, soon = (monitor(1, alpha=alpha).update(normal(200, 5, 1.5)).at for alpha in (1e-6, 0.1))
    assert late > soon


def test_what_is_no_score_is_refused(generator):
    with pytest.raises(DataError, match="finite scores"):
        monitor().update(torch.tensor([math.nan]))
    with pytest.raises(DataError, match="finite scores"):
        DriftMonitor(torch.zeros(2, 2), generator)
    with pytest.raises(SpecError, match="alpha and jump"):
        DriftMonitor(torch.zeros(2), generator, alpha=0.0)
