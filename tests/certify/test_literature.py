"""Bounds of the literature: never above the exact radius, and equal to it where a closed form says so."""

from functools import lru_cache

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from robustq.attacks import PGD, run_attack
from robustq.certify import (
    Depolarising,
    ExactState,
    Guan,
    Hoelder,
    HypothesisTesting,
    SpectralBox,
    certify,
    tightness,
)
from robustq.certify.catalogue import CERTIFICATES
from robustq.certify.literature import Depolarised
from robustq.certify.literature.hypothesis_testing import half_angle
from robustq.circuits import Circuit, Projector, ansaetze, op, per_qubit_z, x
from robustq.circuits.observables import basis_groups, pauli
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.states import StateView
from robustq.threats import Fidelity, Linf, TraceDistance
from trained_models import trained

BOUNDS = (Guan, HypothesisTesting, Hoelder, SpectralBox)
BALL = Fidelity(0.5)


def proved(certifier, view, states, threat=BALL):
    y = view(states).argmax(1)
    return certify(certifier, view, states, y, threat, generator=torch.Generator().manual_seed(0))


def random_states(view, rows, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, 2**view.qubits, 2)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    return drawn / torch.linalg.vector_norm(drawn, dim=(1, 2), keepdim=True)


def view_of(circuit, observables, noise=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = QuantumNet(circuit, observables, generator=generator, spread=2.0, noise=noise)
    return StateView.of(model)


@st.composite
def views(draw):
    """Any read-out of two to five classes: commuting or not, projective or not, with a threshold, noisy."""
    qubits, seed = draw(st.integers(2, 5)), draw(st.integers(0, 10**6))
    circuit = Circuit(qubits, ()).then(ansaetze.brickwork(qubits, layers=2))
    classes = draw(st.integers(2, min(5, qubits)))
    kind = draw(st.sampled_from(["z", "groups", "words", "threshold"]))
    if kind == "threshold":
        level = draw(st.sampled_from([0.3, 0.0, -0.2]))
        observables = (pauli("Z", 0), level * pauli("I", 0))
    elif kind == "words":
        words = draw(
            st.lists(
                st.text("IXYZ", min_size=qubits, max_size=qubits).filter(lambda word: set(word) != {"I"}),
                min_size=classes,
                max_size=classes,
                unique=True,
            )
        )
        observables = tuple(pauli(word, *range(qubits)) for word in words)
    else:
        observables = (per_qubit_z if kind == "z" else basis_groups)(classes, qubits)
    noise = draw(st.sampled_from([None, NoiseModel.uniform(gate_error=0.03)]))
    return view_of(circuit, observables, noise, seed)


@lru_cache
def trained_view(name):
    model, rows, _ = trained(name)
    view = StateView.of(model)
    return view, view.encoded(rows[:60].double())


@settings(suppress_health_check=list(HealthCheck))
@given(views(), st.integers(0, 10**6), st.sampled_from([0.0, 0.05, 0.4]))
def test_no_bound_exceeds_the_exact_radius(view, seed, slack):
    states = random_states(view, 24, seed)
    for ball in (Fidelity(0.5), TraceDistance(0.5)):
        exact = proved(ExactState(slack=slack), view, states, ball)
        for bound in BOUNDS:
            found = proved(bound(slack=slack), view, states, ball)
            assert bool((found.lower <= exact.lower * (1 + 1e-9)).all()), bound
            assert bool((found.lower <= proved(bound(), view, states, ball).lower).all())
            assert bool(torch.isinf(found.upper).all())


@settings(suppress_health_check=list(HealthCheck))
@given(views(), st.integers(0, 10**6), st.sampled_from([0.01, 0.2, 0.7]), st.sampled_from([0.0, 0.1]))
def test_the_depolarised_classifier_is_proved_about_itself(view, seed, p, slack):
    states = random_states(view, 24, seed)
    noisy = StateView(Depolarised(view.frozen, p), view.qubits)
    found = certify(Depolarising(p, slack), view, states, noisy(states).argmax(1), BALL, generator=torch.Generator())
    exact = proved(ExactState(slack=slack), noisy, states)
    assert torch.equal(found.label, exact.label)
    assert bool((found.lower <= exact.lower * (1 + 1e-9)).all())


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_certified_exact_attacked_of_trained_models(name, generator):
    view, states = trained_view(name)
    exact = proved(ExactState(), view, states)
    attacked = run_attack(PGD(steps=20, restarts=1), view, states, exact.label, BALL, generator=generator)
    assert bool((exact.lower <= attacked.radius * (1 + 1e-9)).all())
    assert bool(attacked.success.any())
    for bound in BOUNDS:
        found = proved(bound(), view, states)
        assert bool((found.lower <= exact.lower * (1 + 1e-9)).all())
        assert float(found.lower.median()) > 0
        share = tightness(found, exact)
        assert bool(((share >= 0) & (share <= 1 + 1e-9)).all())
        assert float(share.max()) > 0.05


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(views(), st.integers(0, 10**6))
def test_what_is_ordered_is_ordered(view, seed):
    """The two ends of a spectrum say more than its norm, and its norm more than Hoelder's inequality."""
    states = random_states(view, 24, seed)
    hoelder, guan, box = (proved(b(), view, states).lower for b in (Hoelder, Guan, SpectralBox))
    assert bool((hoelder <= guan * (1 + 1e-9)).all())
    assert bool((guan <= box * (1 + 1e-9)).all())


def test_trace_distance_is_the_root_of_infidelity():
    view, states = trained_view("iris")
    for bound in (*BOUNDS, Depolarising):
        infidelity = proved(bound(), view, states, Fidelity(0.1)).lower
        distance = proved(bound(), view, states, TraceDistance(0.1)).lower
        assert torch.allclose(distance**2, infidelity, rtol=1e-12, atol=0)


@pytest.mark.parametrize("qubits", [1, 2, 4])
def test_projective_two_classes_leave_nothing_to_be_gained(qubits):
    """``V = P - (1 - P)``: bounds that know the two probabilities are exact, Hoelder's is not."""
    circuit = Circuit(qubits, ()).then(ansaetze.brickwork(qubits, layers=2))
    sides = (Projector(("0",), (0,)), Projector(("1",), (0,)))
    view = view_of(circuit, sides)
    states = random_states(view, 40, 3)
    exact = proved(ExactState(), view, states)
    high = view(states).amax(1) / view(states).sum(1)
    formula = 0.5 * (high.sqrt() - (1 - high).sqrt()) ** 2
    assert torch.allclose(exact.upper, formula, rtol=1e-5, atol=0)
    for bound in (Guan, HypothesisTesting, SpectralBox):
        found = proved(bound(), view, states)
        assert torch.allclose(found.lower, formula, rtol=1e-5, atol=0)
        assert torch.allclose(tightness(found, exact), torch.ones(40).double(), rtol=1e-5)
    share = tightness(proved(Hoelder(), view, states), exact)
    assert torch.allclose(share, (1 + 2 * (high * (1 - high)).sqrt()) / 2, rtol=1e-5)


def test_one_qubit_is_a_box():
    """Two levels, any threshold: the ends of the spectrum say all; the norm alone does not."""
    turned = Circuit.of(1, [op("ry", 0, angles=[x(0)]), op("rx", 0, angles=[0.4])])
    view = view_of(turned, (pauli("Z", 0), 0.4 * pauli("I", 0)))
    states = random_states(view, 60, 4)
    exact = proved(ExactState(), view, states)
    found = tightness(proved(SpectralBox(), view, states), exact)
    assert torch.allclose(found, torch.ones(60).double(), rtol=1e-5)
    assert float(tightness(proved(Guan(), view, states), exact).min()) < 0.97


def test_what_can_never_flip_is_certified_for_ever():
    view = view_of(Circuit.of(1, [op("h", 0)]), (pauli("Z", 0), 1.5 * pauli("I", 0)))
    states = random_states(view, 5, 5)
    exact, box = (proved(method(), view, states) for method in (ExactState, SpectralBox))
    assert bool(torch.isinf(box.lower).all())
    assert torch.equal(tightness(box, exact), torch.ones(5).double())


def test_hoelder_is_reached_by_a_mixed_state():
    """One qubit: along the axis of ``V`` the margin is gone after exactly that trace distance."""
    view = view_of(Circuit.of(1, [op("ry", 0, angles=[0.7])]), (pauli("Z", 0), -1.0 * pauli("Z", 0)))
    states = random_states(view, 30, 6)
    found = proved(Hoelder(), view, states, TraceDistance(0.5))
    kets = torch.view_as_complex(states)
    rho = kets[:, :, None] * kets[:, None].conj()
    for row, sigma, label, lower in zip(kets, rho, found.label, found.lower, strict=True):
        forms = view.frozen.state_forms()
        form = forms[label] - forms[1 - label]
        axis = form / torch.linalg.matrix_norm(form, ord=2)
        mixed = sigma - lower * axis
        assert torch.linalg.eigvalsh(mixed)[0] > -1e-12
        assert float((form @ mixed).diagonal().sum().real.abs()) < 1e-9
        assert float(torch.linalg.eigvalsh(mixed - sigma).abs().sum() / 2) == pytest.approx(float(lower))
        assert float((row.conj() @ form @ row).real) > 0


def grid_angle(own, other, slack):
    """The largest move that keeps ``own`` ahead, by trial: the meaning of the closed form."""
    moves = torch.linspace(0, torch.pi / 4, 20001, dtype=torch.float64)
    a, b = own.sqrt().acos(), other.sqrt().acos()
    ahead = (a + moves).cos() ** 2 - (b - moves).cos() ** 2 > slack
    return moves[: int(ahead.long().cumprod(0).sum())].amax()


@settings(deadline=None, max_examples=60)
@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.sampled_from([0.0, 0.03, 0.2]))
def test_the_half_angle_with_slack_is_the_last_move(own, other, slack):
    assume(own - other > slack + 1e-3)
    pair = torch.tensor([own, other], dtype=torch.float64)
    found = half_angle(pair[:1], pair[1:], slack)
    assert float(found) == pytest.approx(float(grid_angle(*pair, slack)), abs=1e-4)
    g = 1 - other - own * (1 - 2 * other) + 2 * (own * other * (1 - own) * (1 - other)) ** 0.5
    published = torch.tensor((1 + g**0.5) / 2, dtype=torch.float64)
    assert torch.allclose(half_angle(pair[:1], pair[1:]).cos() ** 2, published)


def test_two_effects_of_two_measurements_suffice():
    """The hypothesis-testing bound where the class effects sum to more than 1."""
    view = view_of(Circuit.of(2, [op("cx", 0, 1)]), (Projector(("0",), (0,)), Projector(("0",), (1,))))
    assert float(torch.linalg.eigvalsh(view.frozen.state_forms().sum(0))[-1]) > 3.5  # of scale 3
    states = random_states(view, 200, 7)
    found, exact = (proved(method(), view, states) for method in (HypothesisTesting, ExactState))
    assert bool((found.lower <= exact.lower * (1 + 1e-9)).all())
    assert float(tightness(found, exact).max()) > 0.3


def test_differential_privacy_of_the_channel():
    """The privacy loss that the radius is derived from, measured: of any two states, any effect."""
    p, dimension, generator = 0.3, 4, torch.Generator().manual_seed(8)
    kets = torch.randn(2, 50, dimension, generator=generator, dtype=torch.complex128)
    kets[1] = kets[0] + 0.2 * kets[1]
    kets = kets / torch.linalg.vector_norm(kets, dim=2, keepdim=True)
    rho, sigma = kets[..., :, None] * kets[..., None, :].conj()
    identity = torch.eye(dimension).to(rho) / dimension
    tau = torch.linalg.eigvalsh(rho - sigma).abs().sum(1) / 2
    loss = 1 + dimension * (1 - p) * tau / p
    rest = loss[:, None, None] * ((1 - p) * sigma + p * identity) - ((1 - p) * rho + p * identity)
    assert bool((torch.linalg.eigvalsh(rest)[:, 0] > -1e-12).all())


@pytest.mark.parametrize("make", [*BOUNDS, Depolarising])
def test_what_does_not_apply_is_refused(make, generator):
    view, states = trained_view("iris")
    model, _, _ = trained("iris")
    y = view(states).argmax(1)
    with pytest.raises(CertificateError, match="view of a model's states"):
        certify(make(), model, states, y, BALL, generator=generator)
    with pytest.raises(CertificateError, match="infidelity or trace-distance threat"):
        certify(make(), view, states, y, Linf(0.1), generator=generator)
    with pytest.raises(CertificateError, match="slack"):
        make(slack=-1.0)
    with pytest.raises(CertificateError, match="0 < p < 1"):
        Depolarising(1.0)


def test_tightness_compares_the_same_answers(generator):
    view, states = trained_view("iris")
    here, there = proved(Guan(), view, states[:5]), proved(Guan(), view, states[-5:])
    assert not torch.equal(here.label, there.label)
    with pytest.raises(CertificateError, match="same answers"):
        tightness(here, there)


def test_the_catalogue_holds_them():
    names = {name for name, entry in CERTIFICATES.items() if entry.make in (*BOUNDS, Depolarising)}
    assert names == {"guan", "hypothesis-testing", "hoelder", "spectral-box", "depolarising"}
    assert all(CERTIFICATES[name].claim == "bound" for name in names)
