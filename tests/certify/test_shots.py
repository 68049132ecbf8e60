"""Certificates from finite shots: what they promise, what more shots buy, where they end."""

import itertools
import math

import numpy as np
import pytest
import torch

from oracles import one_qubit
from robustq.attacks import PGD, run_attack
from robustq.certify import ExactAmplitude, ExactState, Shots, certify
from robustq.certify.shots import from_counts, infidelity, radius_of, shots_for
from robustq.circuits import ansaetze, encodings, per_qubit_z, z
from robustq.errors import CertificateError, DataError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.states import StateView
from robustq.stats import at_least
from robustq.threats import L2, Fidelity, Linf, TraceDistance

PLANS = [(0.05, 40, 0.8), (0.05, 300, 1.2), (0.2, 100, 1.0), (0.01, 60, 0.5)]
RARE = 1e-4  # the chance that a sound bound fails a test here


def net(encoding, generator, classes=2):
    circuit = encoding.then(ansaetze.strongly_entangling(encoding.qubits, layers=2))
    read = per_qubit_z(classes, encoding.qubits)
    return QuantumNet(circuit, read, generator=generator, spread=1.0).double()


def encoded(classes, batch, generator):
    """A view of states and some of them."""
    model = net(encodings.angle(3), generator, classes)
    view = StateView.of(model)
    return view, view.encoded(torch.rand(batch, 3, generator=generator, dtype=torch.float64))


def proved(certifier, model, x, threat, seed=0):
    with torch.no_grad():
        return certifier.prepare(model, threat, torch.Generator().manual_seed(seed)).prove(x)


# The bound


@pytest.mark.parametrize("chance", [0.5, 0.500001, 0.7, 0.99, 1.0])
def test_at_one_half_it_is_the_bound_of_guan(chance):
    guan = (math.sqrt(chance) - math.sqrt(1 - chance)) ** 2 / 2
    assert float(infidelity(chance)) == pytest.approx(guan, abs=1e-15)


def test_the_bound_is_the_nearest_distribution_by_fidelity():
    """Second implementation: the Bures angle to the two-outcome distribution at the threshold."""
    p, level = np.meshgrid(np.linspace(0.01, 1, 34), np.linspace(0.01, 1, 34))
    overlap = (np.sqrt(p * level) + np.sqrt((1 - p) * (1 - level))) ** 2
    theirs = np.where(p > level, 1 - overlap, 0)
    assert infidelity(p, level) == pytest.approx(theirs, abs=1e-12)
    assert np.isinf(infidelity([0.0, 0.3, 1.0], -0.1)).all()
    assert (infidelity([0.0, 0.3, 1.0], 1.5) == 0).all()


def test_more_shots_never_prove_less():
    for chance in (0.51, 0.75, 0.999, 1.0):
        for alpha in (1e-6, 0.001, 0.2):
            radii = [radius_of(chance, n, alpha) for n in (*range(1, 300), 10**4, 10**6, 10**9)]
            assert all(a <= b for a, b in itertools.pairwise(radii))
            assert radii[-1] < infidelity(chance)
            assert radii[-1] == pytest.approx(float(infidelity(chance)), abs=1e-3)
            assert radius_of(chance, 10**12, alpha) == pytest.approx(float(infidelity(chance)), abs=1e-5)


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize("alpha", [0.001, 0.1])
@pytest.mark.parametrize("chance", [0.6, 0.9, 1.0])
def test_shots_for_is_the_inverse_of_radius_of(chance, alpha, threshold):
    for share in (0.01, 0.3, 0.9):
        radius = share * float(infidelity(chance, threshold))
        least = shots_for(radius, chance, alpha, threshold)
        assert radius_of(chance, least, alpha, threshold) >= radius
        assert least == 1 or radius_of(chance, least - 1, alpha, threshold) < radius
    few = [n for n in range(1, 400) if radius_of(chance, n, alpha, threshold) >= 0.01]
    assert not few or few[0] == shots_for(0.01, chance, alpha, threshold)


def test_of_a_sure_outcome_the_shots_are_known():
    """All N agree: the bound is ``alpha^(1/N)``."""
    assert radius_of(1.0, 20, 0.05) == pytest.approx(float(infidelity(0.05 ** (1 / 20))), rel=1e-11)
    least = float(infidelity(0.05 ** (1 / 20))) * (1 - 1e-9)
    assert shots_for(least, 1.0, 0.05) == 20


@pytest.mark.parametrize(
    "call",
    [
        lambda: shots_for(0.2, 0.9, 0.01),
        lambda: shots_for(0.0, 0.9, 0.01),
        lambda: shots_for(0.1, 0.4, 0.01),
        lambda: shots_for(0.2 - 1e-9, 0.9, 0.01),
        lambda: shots_for(math.nan, 0.9, 0.01),
        lambda: radius_of(1.1, 10, 0.01),
        lambda: radius_of(math.nan, 10, 0.01),
        lambda: radius_of(0.5, 0, 0.01),
        lambda: Shots(0),
        lambda: Shots(guess=0),
        lambda: Shots(alpha=0.0),
        lambda: Shots(alpha=1.0),
        lambda: Shots(slack=-1.0),
    ],
)
def test_impossible_wishes(call):
    with pytest.raises(CertificateError, match="shots: expected"):
        call()


def test_impossible_counts():
    for counts in ((11, 10, 0.1), (-1, 10, 0.1), (1, 10, 0.0), (0, 0, 0.1)):
        with pytest.raises(DataError, match="expected"):
            from_counts(*counts)


# The certifier


@pytest.mark.statistical
@pytest.mark.parametrize(("alpha", "shots", "angle"), PLANS)
def test_claims_exceed_the_exact_radius_no_more_often_than_promised(alpha, shots, angle):
    """One qubit read by Z, where the bound of endless shots is the exact radius: no slack hides a fault."""
    generator, repetitions = torch.Generator().manual_seed(3), 4000
    view = StateView.of(one_qubit.model((1.0,), 0.0, generator).double())
    state = view.encoded(torch.tensor([[angle]], dtype=torch.float64))
    exact = float(proved(ExactState(), view, state, Fidelity(1.0)).lower[0])
    assert exact == pytest.approx(float(infidelity(math.cos(angle / 2) ** 2)), rel=1e-9)
    found = proved(Shots(shots, alpha, guess=20), view, state.expand(repetitions, -1, -1), Fidelity(1.0))
    wrong = int(((found.lower > exact) | (found.label == 1)).sum())
    assert at_least(wrong, repetitions, alpha) > RARE
    # a bound as large as the counts suggest would not have passed
    counts = np.random.default_rng(1).binomial(shots, math.cos(angle / 2) ** 2, repetitions)
    naive = int((infidelity(counts / shots) > exact).sum())
    assert at_least(naive, repetitions, alpha) < RARE


def endless(view, states):
    """Class and infidelity that endless shots prove, by the definition, ``(batch,)`` each."""
    forms, logits = view.frozen.state_forms(), view(states)
    label, least = logits.argmax(1), []
    for row, own in zip(logits, label.tolist(), strict=True):
        bounds = []
        for rival in set(range(len(forms))) - {own}:
            values = torch.linalg.eigvalsh(forms[own] - forms[rival])
            low, high = float(values[0]), float(values[-1])
            chance = (float(row[own] - row[rival]) - low) / (high - low)
            bounds.append(float(infidelity(chance, -low / (high - low))))
        least.append(min(bounds))
    return label, torch.tensor(least, dtype=torch.float64)


@pytest.mark.statistical
@pytest.mark.parametrize("classes", [2, 3])
def test_of_many_classes_too_without_a_correction_for_their_number(classes, generator):
    """Held against what endless shots prove: the exact radius would leave room for faults."""
    view, states = encoded(classes, 6, generator)
    label, bound = endless(view, states)
    alpha, each, often = 0.2, 1000, 0
    for row, right, most in zip(states, label, bound, strict=True):
        found = proved(Shots(300, alpha, guess=30), view, row.expand(each, -1, -1), Fidelity(1.0))
        wrong = int((((found.label >= 0) & (found.label != right)) | (found.lower > most)).sum())
        assert at_least(wrong, each, alpha) > RARE
        often = max(often, wrong)
    assert often > 0.7 * alpha * each  # it gives nothing away either


def test_nearly_endless_shots_reach_the_bound_and_stay_below_exact_and_attacks(generator):
    view, states = encoded(3, 30, generator)
    found = proved(Shots(10**9, guess=10**6), view, states, Fidelity(1.0))
    label, bound = endless(view, states)
    assert torch.equal(found.label, label)
    assert torch.allclose(found.lower, bound, rtol=0, atol=2e-4)
    assert bool((found.lower <= bound).all())
    threat = Fidelity(0.3)
    exact = certify(ExactState(), view, states, label, threat, generator=generator)
    attacked = run_attack(PGD(), view, states, label, threat, generator=generator)
    assert bool((found.lower <= exact.lower).all())
    assert bool((exact.lower <= attacked.radius).all())
    assert bool(attacked.success.any())


def test_trace_distance_is_the_root_and_length_scales_inputs(generator):
    view, states = encoded(2, 10, generator)
    plan = Shots(5000)
    squared = proved(plan, view, states, Fidelity(1.0)).lower
    assert torch.equal(proved(plan, view, states, TraceDistance(1.0)).lower, squared.sqrt())
    model = net(encodings.amplitude(6), generator).freeze()
    x = torch.randn(10, 6, generator=generator, dtype=torch.float64)
    once, scaled = (proved(plan, model, k * x, L2(1.0)).lower for k in (1, 3))
    assert torch.allclose(3 * once, scaled)
    assert bool((once > 0).any())


@pytest.mark.statistical
@pytest.mark.parametrize("noise", [None, NoiseModel.uniform(gate_error=0.03, readout_error=0.02)])
def test_amplitudes_stay_below_the_exact_radius(noise, generator):
    model = net(encodings.amplitude(7), generator, classes=3).freeze(noise)
    x = torch.randn(400, 7, generator=generator, dtype=torch.float64)
    exact = proved(ExactAmplitude(), model, x, L2(1.0))
    found = proved(Shots(2000, 0.05), model, x, L2(1.0))
    wrong = ((found.label >= 0) & (found.label != exact.label)) | (found.lower > exact.lower)
    assert at_least(int(wrong.sum()), 400, 0.05) > RARE
    assert float((found.lower > 0.1 * exact.lower).float().mean()) > 0.3


def test_of_two_amplitudes_many_shots_prove_the_exact_radius(generator):
    circuit = encodings.amplitude(2).then(ansaetze.strongly_entangling(1, layers=1))
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator, spread=1.0).double().freeze()
    x = 2 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    read = model.forms(torch.float64)[0]
    assert float(torch.trace(read).abs()) < 1e-9  # two eigenvalues, so that the bound is exact
    exact = proved(ExactAmplitude(), model, x, L2(1.0))
    found = proved(Shots(10**9), model, x, L2(1.0))
    assert bool((found.lower <= exact.lower).all())
    told = found.label >= 0
    assert float(told.double().mean()) > 0.9
    assert torch.allclose(found.lower[told], exact.lower[told], rtol=0, atol=5e-3)


def test_it_abstains_where_shots_cannot_tell(generator):
    view = StateView.of(one_qubit.model((1.0,), 0.0, generator).double())
    states = view.encoded(torch.full((200, 1), math.pi / 2 - 0.01, dtype=torch.float64))
    found = proved(Shots(100), view, states, Fidelity(1.0))
    assert float((found.label == -1).float().mean()) > 0.95
    assert bool((found.lower[found.label == -1] == 0).all())


def test_slack_only_shrinks_and_a_seed_repeats(generator):
    view, states = encoded(3, 20, generator)
    radii = [proved(Shots(slack=s), view, states, Fidelity(1.0)).lower for s in (0.0, 0.3, 99.0)]
    assert bool((radii[0] >= radii[1]).all())
    assert bool((radii[0] > radii[1]).any())
    assert bool((radii[2] == 0).all())
    assert torch.equal(radii[0], proved(Shots(), view, states, Fidelity(1.0)).lower)
    assert not torch.equal(radii[0], proved(Shots(), view, states, Fidelity(1.0), seed=1).lower)


def test_what_it_does_not_apply_to(generator):
    view, _ = encoded(2, 1, generator)
    angles, amplitudes = (net(e, generator).freeze() for e in (encodings.angle(3), encodings.amplitude(4)))
    for model, threat in (
        (angles, L2(1.0)),
        (angles, Fidelity(0.1)),
        (amplitudes, Linf(0.1)),
        (view, Linf(0.1)),
        (amplitudes, L2(1.0, scale=(1.0,) * 4)),
    ):
        with pytest.raises(CertificateError, match="shots: expected"):
            proved(Shots(), model, torch.zeros(1, 4), threat)
    assert Shots(alpha=0.01).confidence == 0.99


class Lifted:
    """A frozen model whose first logit is out of reach of the others."""

    def __init__(self, frozen):
        self.frozen, self.states = frozen, frozen.states

    def of_states(self, states):
        return self.frozen.of_states(states) + torch.tensor([50.0, 0.0]).double()

    def state_forms(self):
        forms = self.frozen.state_forms()
        return torch.stack([forms[0] + 50 * torch.eye(len(forms[0])), forms[1]])


def test_a_class_that_never_wins_is_no_rival(generator):
    view, states = encoded(2, 10, generator)
    found = proved(Shots(), StateView(Lifted(view.frozen), view.qubits), states, Fidelity(1.0))
    assert bool((found.label == 0).all())
    assert bool(torch.isinf(found.lower).all())
