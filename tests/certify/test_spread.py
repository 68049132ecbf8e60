"""The Lipschitz constant of a classifier, and the certificate made of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.attacks import PGD, run_attack
from robustq.certify import ExactState, Global, certify, spreads
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.states import StateView
from robustq.threats import L2, Fidelity, TraceDistance


def view(qubits, classes, seed, noise=None):
    circuit = encodings.angle(qubits).then(ansaetze.brickwork(qubits, layers=2))
    generator = torch.Generator().manual_seed(seed)
    model = QuantumNet(circuit, per_qubit_z(classes, qubits), generator=generator, spread=1.5, noise=noise)
    return StateView(model.freeze(), qubits)


def drawn_states(qubits, rows, generator):
    states = torch.randn(rows, 2**qubits, 2, generator=generator, dtype=torch.float64)
    return states / torch.linalg.vector_norm(states, dim=(1, 2), keepdim=True)


def expectation(form, density):
    return float(torch.einsum("ij,ji->", form, density).real)


def density(qubits, generator):
    """A random mixed state, of random rank."""
    rank = int(torch.randint(1, 2**qubits + 1, (1,), generator=generator))
    kets = torch.randn(2**qubits, rank, generator=generator, dtype=torch.complex128)
    mixed = kets @ kets.mH
    return mixed / mixed.trace()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(0, 10**6))
def test_no_pair_of_states_is_faster_and_the_eigenvectors_are_as_fast(qubits, seed):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(3, 2**qubits, 2**qubits, generator=generator, dtype=torch.complex128)
    forms = raw + raw.mH
    found = spreads(forms)
    difference = forms[2] - forms[0]
    for _ in range(30):
        rho, sigma = density(qubits, generator), density(qubits, generator)
        far = 0.5 * float(torch.linalg.eigvalsh(rho - sigma).abs().sum())
        moved = abs(expectation(difference, rho) - expectation(difference, sigma))
        assert moved <= float(found[2, 0]) * far * (1 + 1e-9)
    _, vectors = torch.linalg.eigh(difference)
    top, bottom = (v[:, None] @ v[None].conj() for v in (vectors[:, -1], vectors[:, 0]))
    attained = expectation(difference, top) - expectation(difference, bottom)
    assert attained == pytest.approx(float(found[2, 0]))  # at trace distance 1
    assert torch.equal(found, found.T)


@pytest.mark.parametrize("noise", [None, NoiseModel.uniform(gate_error=0.02)])
@pytest.mark.parametrize("threat", [Fidelity(0.3), TraceDistance(0.3)])
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_certified_is_at_most_exact_is_at_most_attacked(threat, noise, seed):
    generator = torch.Generator().manual_seed(seed)
    model = view(3, 3, seed, None)
    if noise is not None:
        circuit = encodings.amplitude(8).then(ansaetze.brickwork(3, layers=2))
        net = QuantumNet(circuit, per_qubit_z(3, 3), generator=generator, spread=1.5, noise=noise)
        model = StateView(net.freeze(), 3)
    states = drawn_states(3, 12, generator)
    y = model(states).argmax(1)
    bound, exact = (certify(c, model, states, y, threat, generator=generator) for c in (Global(), ExactState()))
    assert bool((bound.lower <= exact.lower).all())
    assert bool((bound.lower > 0).any())
    attacked = run_attack(PGD(steps=20), model, states, y, threat, generator=generator)
    assert bool((attacked.radius >= bound.lower).all())
    slack = certify(Global(slack=0.2), model, states, y, threat, generator=generator)
    assert bool((slack.lower < bound.lower)[bound.lower > 0].all())


def test_a_qubit_by_hand():
    """At angle ``t``: margin ``2 cos(t)`` scales, spread 4, exactly ``sin(pi/4 - t/2)``."""
    signs = [*per_qubit_z(1, 1), -per_qubit_z(1, 1)[0]]
    model = QuantumNet(encodings.amplitude(2), signs, generator=torch.Generator())
    t = torch.linspace(0, 1.5, 7).double()
    real = torch.stack([(t / 2).cos(), (t / 2).sin()], 1)
    states, y = torch.stack([real, torch.zeros_like(real)], 2), torch.zeros(7, dtype=torch.int64)
    seen, threat = StateView(model.freeze(), 1), TraceDistance(1.0)
    found = certify(Global(), seen, states, y, threat, generator=torch.Generator())
    assert found.lower.tolist() == pytest.approx((t.cos() / 2).tolist(), abs=1e-9)
    exact = certify(ExactState(), seen, states, y, threat, generator=torch.Generator())
    assert exact.lower.tolist() == pytest.approx((torch.pi / 4 - t / 2).sin().tolist(), abs=1e-9)


def test_what_it_does_not_speak_about_is_refused(generator):
    model = view(2, 2, 0)
    with pytest.raises(CertificateError, match="infidelity or trace-distance threat"):
        Global().prepare(model, L2(1.0), generator)
    with pytest.raises(CertificateError, match="view of a model's states"):
        Global().prepare(model.frozen, Fidelity(0.1), generator)
    with pytest.raises(CertificateError, match="slack"):
        Global(slack=-1.0)
