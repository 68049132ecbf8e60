"""Logical error rates: closed forms, brute force, significance; the scaling law; gate rates and costs."""

import itertools
import math
import sys

import numpy as np
import pytest
from scipy.stats import binom, binomtest, fisher_exact

from cases import few
from robustq import engine
from robustq.circuits import Circuit, ansaetze, op, z
from robustq.errors import CircuitError, DataError
from robustq.mitigation.correction import (
    Law,
    LogicalRates,
    Memory,
    fit,
    fully_corrected,
    logical_interval,
    logical_rates,
    measure,
    memory_circuit,
    overhead,
    partially_corrected,
    patch_qubits,
    uncorrected,
)
from robustq.mitigation.correction.surface import decoded_failures

stim = pytest.importorskip("stim")
pytest.importorskip("pymatching")


def plausible(failures, shots, chance):
    """Whether a count is not absurd for its exact chance."""
    return binomtest(failures, shots, chance).pvalue > 1e-4


@pytest.mark.statistical
@pytest.mark.parametrize("distance", [3, 5, 9])
def test_a_repetition_code_fails_like_a_majority_vote(distance):
    """Code capacity: bits flip with 2/3 of Stim's rate; more than half of them are fatal."""
    p, shots = 0.3, 40_000
    code = stim.Circuit.generated(
        "repetition_code:memory", distance=distance, rounds=1, before_round_data_depolarization=p
    )
    exact = binom.sf(distance // 2, distance, 2 / 3 * p)
    assert plausible(decoded_failures(code, shots=shots, seed=5), shots, exact)


@pytest.mark.statistical
def test_a_small_patch_fails_as_brute_force_says():
    """Distance 3, code capacity: every error pattern, each syndrome decoded by its likeliest pattern."""
    shots = 100_000
    noisy = stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=3, rounds=1, before_round_data_depolarization=0.09
    )
    exact = _likeliest(noisy.detector_error_model(decompose_errors=True))
    assert 0.01 < exact < 0.1
    assert plausible(decoded_failures(noisy, shots=shots, seed=6), shots, exact)


def _likeliest(model):
    """The chance that the likeliest pattern behind a syndrome flips the read-out wrongly."""
    errors = []
    for line in model.flattened():
        if line.type == "error":
            targets = [t for t in line.targets_copy() if not t.is_separator()]
            detectors = frozenset(t.val for t in targets if t.is_relative_detector_id())
            errors.append((line.args_copy()[0], detectors, len(targets) > len(detectors)))
    table = {}
    for pattern in itertools.product((False, True), repeat=len(errors)):
        syndrome, flip, chance = frozenset(), False, 1.0
        for hit, (p, detectors, logical) in zip(pattern, errors, strict=True):
            chance *= p if hit else 1 - p
            if hit:
                syndrome, flip = syndrome ^ detectors, flip ^ logical
        total, best = table.setdefault(syndrome, ([0.0, 0.0], [0.0, 0.0]))
        total[flip] += chance
        best[flip] = max(best[flip], chance)
    assert all(not math.isclose(*best, rel_tol=1e-9) for _, best in table.values())  # no ties
    return sum(total[best[0] > best[1]] for total, best in table.values())


@pytest.mark.statistical
@pytest.mark.parametrize("basis", few(["x", "z"]))
def test_larger_codes_are_better_below_the_threshold_and_worse_above(basis):
    for p, better in ((0.003, True), (0.03, False)):
        small, large = (measure(d, p, basis=basis, seed=1, shots=50_000) for d in (3, 7))
        table = [[m.failures, m.shots - m.failures] for m in (small, large)]
        side = "greater" if better else "less"
        assert fisher_exact(table, alternative=side).pvalue < 1e-6


def test_every_place_has_its_rate():
    """The strengths of the circuit's noise are those of the library's convention."""
    p, seen = 0.01, set()
    for part in memory_circuit(3, p, rounds=2).flattened():
        if part.name.startswith(("DEPOLARIZE", "X_ERROR", "Z_ERROR")):
            seen.add((part.name, *(round(value, 12) for value in part.gate_args_copy())))
    assert seen == {("DEPOLARIZE1", 3 / 4 * p), ("DEPOLARIZE2", 15 / 16 * p), ("X_ERROR", p)}
    repeated = str(memory_circuit(3, p, rounds=9))
    assert "REPEAT 8" in repeated
    assert "DEPOLARIZE1(0.009375)" not in repeated


def test_without_noise_nothing_fails_and_seeds_reproduce():
    assert measure(3, 0.0, seed=0, shots=1000).failures == 0
    first, again, other = (measure(3, 0.02, seed=s, shots=70_000) for s in (1, 1, 2))
    assert first == again
    assert first.failures != other.failures


def test_intervals_cover_and_rates_a_round_compose():
    memory = Memory(3, 3, "z", 0.01, 7, 1000)
    low, high = memory.interval(0.9)
    assert binom.sf(6, 1000, low) == pytest.approx(0.05)
    assert binom.cdf(7, 1000, high) == pytest.approx(0.05)
    flips = memory.per_round  # an odd number of flips in three rounds
    odd = sum(binom.pmf(k, 3, flips) for k in (1, 3))
    assert odd == pytest.approx(memory.rate)


def synthetic(law, shots, generator):
    cases = [(d, p) for d in (3, 5, 7) for p in (0.001, 0.002, 0.004)]
    counts = [generator.binomial(shots, law.rate(p, d)) for d, p in cases]
    return [Memory(d, d, "z", p, int(n), shots) for (d, p), n in zip(cases, counts, strict=True)]


@pytest.mark.statistical
def test_the_fit_recovers_a_law_and_knows_how_well():
    """In 200 synthetic experiments the 90 % interval of an extrapolation covers about as often."""
    law, generator = Law(0.08, 0.009, (0.0,) * 4, 1.0), np.random.default_rng(0)
    truth, covered = law.rate(0.001, 11), 0
    for _ in range(200):
        low, high = fit(synthetic(law, 100_000, generator)).interval(0.001, 11, 0.9)
        covered += low <= truth <= high
    assert binom.cdf(covered, 200, 0.9) > 1e-4  # wider than needed where chance misfits
    best = fit(synthetic(law, 10**9, generator))
    assert best.amplitude == pytest.approx(0.08, rel=0.02)
    assert best.threshold == pytest.approx(0.009, rel=0.01)


def test_the_smallest_distance_reaches_its_target():
    law = Law(0.1, 0.01, (1e-2, 0.0, 0.0, 1e-4), 1.0)
    for target in (1e-3, 1e-6, 3e-12):
        distance = law.distance_for(0.002, target)
        assert law.rate(0.002, distance) <= target < law.rate(0.002, distance - 2)
        assert law.distance_for(0.002, target, confidence=0.99) >= distance


def test_what_no_law_says_is_refused():
    law = Law(0.1, 0.01, (0.0,) * 4, 1.0)
    with pytest.raises(DataError, match=r"expected p in \(0, threshold = 0.01\), got 0.02"):
        law.rate(0.02, 3)
    with pytest.raises(DataError, match=r"target in \(0, 0.5\)"):
        law.distance_for(0.001, 0.0)
    with pytest.raises(DataError, match=r"within reach of distance 201.*try"):
        law.distance_for(0.0099, 1e-9)
    good = [Memory(d, d, "z", 0.001, 50, 1000) for d in (3, 5, 7)]
    with pytest.raises(DataError, match="three memories"):
        fit(good[:2])
    with pytest.raises(DataError, match="as many rounds"):
        fit([*good, Memory(3, 5, "z", 0.001, 50, 1000)])
    with pytest.raises(DataError, match="10 failures"):
        fit([Memory(d, d, "z", 0.001, 0, 1000) for d in (3, 5, 7)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": 4}, "odd distance >= 3, got 4"),
        ({"basis": "y"}, "basis 'x' or 'z'"),
        ({"p": math.nan}, "got 'z', nan"),
        ({"p": 0.7}, "got 'z', 0.7"),
        ({"shots": 0}, "shots >= 1"),
    ],
)
def test_impossible_memories_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        measure(**{"distance": 3, "p": 0.01, "seed": 0, **options})


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "stim", None)
    with pytest.raises(ImportError, match=r"pip install robustq\[correction\]"):
        measure(3, 0.01, seed=0)


def test_gate_rates_have_the_infidelity_of_the_patches_errors():
    """Independent X and Z flips on each patch, as a channel, against the depolarising one."""
    flip, phase = 0.03, 0.01
    rates = logical_rates(flip, phase)
    clean = (1 - flip) * (1 - phase)
    for patches, rate in ((1, rates.one), (2, rates.two)):
        untouched = 1 - rate + rate / 4**patches  # chance of the identity in the depolarising channel
        assert untouched == pytest.approx(clean**patches)
    low, high = logical_interval(Memory(3, 3, "z", 0.01, 30, 1000), Memory(3, 3, "x", 0.01, 10, 1000))
    assert low.one < rates.one < high.one
    assert low.two < rates.two < high.two
    with pytest.raises(DataError, match="bases z and x"):
        logical_interval(Memory(3, 3, "x", 0.01, 3, 10), Memory(3, 3, "x", 0.01, 1, 10))
    with pytest.raises(DataError, match=r"in \[0, 0.5\]"):
        logical_rates(0.6, 0.1)


def test_the_schemes_shrink_what_they_should():
    """<ZZ> after one pulse on each qubit and one CZ, in closed form."""
    pair = Circuit.of(2, [op("x", 0), op("x", 1), op("cz", 0, 1)])
    logical = LogicalRates(1e-3, 2e-3)
    for noise, one, two in (
        (uncorrected(0.1, 0.2), 0.1, 0.2),
        (uncorrected(0.1), 0.1, 0.1),
        (partially_corrected(0.1, logical.two), 0.1, 2e-3),
        (fully_corrected(logical), 1e-3, 2e-3),
    ):
        value = engine.expectations(pair, [z(0, 1)], noise=noise).item()
        assert value == pytest.approx((1 - one) ** 2 * (1 - two), abs=1e-12)
    assert uncorrected(0.0).is_trivial
    with pytest.raises(CircuitError, match=r"in \[0, 1\], got 1.5"):
        uncorrected(1.5)


def test_costs_are_counted():
    assert patch_qubits(5) == 49
    counted = overhead(ansaetze.strongly_entangling(4, layers=2), 3, precision=2**-10)
    assert (counted.qubits, counted.corrected, counted.rotations) == (68, 8, 24)
    assert counted.magic_states == 24 * 30
    assert len(memory_circuit(5, 0.01).get_final_qubit_coordinates()) == patch_qubits(5)
    with pytest.raises(DataError, match="precision"):
        overhead(ansaetze.brickwork(2), 3, precision=1.0)
