"""Inverses of channels, and circuits drawn from them: unbiased, at the cost they state."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import few
from mitigation.random_circuits import errors, problem_of, problem_on, random_circuit
from robustq.circuits import Circuit, encodings, op, pauli, z
from robustq.errors import CircuitError
from robustq.mitigation import PEC, ReadoutInversion, Run, Stack, Unmitigated
from robustq.mitigation.pec import cost, signed_circuits
from robustq.mitigation.quasi import inverse
from robustq.noise import Channel, NoiseModel, Rule

CHANNELS = [
    Channel("depolarising", 0.2),
    Channel("depolarising-2", 0.1),
    Channel("bit-flip", 0.2),
    Channel("pauli", 0.05, 0.1, 0.02),
    Channel("amplitude-damping", 0.2),
    Channel("phase-damping", 0.3),
    Channel("generalised-amplitude-damping", 0.1, 0.3),
    Channel("zz-crosstalk", 0.4),
    Channel("thermal-relaxation", 100e-6, 120e-6, 10e-6),
    Channel("over-rotation", "x", 0.2),
]


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda c: c.name)
def test_the_weighted_operations_undo_the_channel(channel):
    found = inverse(channel)
    total = np.tensordot(found.weights, found.operations, 1)
    np.testing.assert_allclose(total @ channel.ptm, np.eye(4**channel.qubits), atol=1e-9)
    assert found.weights.sum() == pytest.approx(1)
    assert found.cost >= 1 - 1e-12


@given(st.floats(0, 0.6))
def test_costs_are_the_known_optima(p):
    """Depolarising: Temme et al. 2017 (in our convention); damping: Takagi, PR Research 3, 033178 (2021)."""
    assert inverse(Channel("depolarising", p)).cost == pytest.approx((1 + p / 2) / (1 - p))
    assert inverse(Channel("amplitude-damping", p)).cost == pytest.approx((1 + p) / (1 - p))
    q = p / 2  # a bit flip is undone at 1 / (1 - 2 q)
    assert inverse(Channel("bit-flip", q)).cost == pytest.approx(1 / (1 - 2 * q))


@pytest.mark.parametrize("device", few(["melbourne", "manila", "guadalupe"]))
def test_unbiased_within_four_standard_errors_at_the_stated_overhead(device, generator, rng):
    """Whole circuits are drawn, with their signs, and one shot of each is taken; the noise includes relaxation."""
    count = 20_000
    problem = problem_on(device, random_circuit(rng))
    run = problem.run
    noisy = Run(run.circuit, run.observables, NoiseModel(run.noise.rules, couplings=run.noise.couplings))
    found = signed_circuits(noisy, problem.inputs, problem.parameters, circuits=count, generator=generator).numpy()
    ideal = run.ideal(problem.inputs, problem.parameters)[0].numpy()
    price = cost(run.circuit, run.noise)
    error = found.std(0) / count**0.5
    assert (np.abs(found.mean(0) - ideal) < 4 * error).all()
    np.testing.assert_allclose(found.std(0) ** 2, price**2 - ideal**2, rtol=0.05)
    plain = noisy.values(problem.inputs, problem.parameters)[0].numpy()
    assert np.abs(plain - ideal).max() > 6 * error.max()  # so that a bias would have been seen


def test_exact_expectations_of_drawn_circuits_average_to_the_ideal_ones(generator):
    circuit = encodings.angle(2).then(random_circuit(np.random.default_rng(3), qubits=2, layers=2))
    noise = NoiseModel((Rule(Channel("amplitude-damping", 0.1)), Rule(Channel("depolarising-2", 0.05))))
    run = Run(circuit, (z(0), pauli("XY", 0, 1)), noise)
    inputs = torch.tensor([[0.3, 0.8]])
    found = signed_circuits(run, inputs, torch.zeros(0), circuits=6000, generator=generator, shots=False)
    ideal = run.ideal(inputs.double(), torch.zeros(0).double())[0]
    assert bool(((found.mean(0) - ideal).abs() < 4 * found.std(0) / 6000**0.5).all())


def test_signed_shots_of_a_model_have_the_distribution_of_drawn_circuits(generator, rng):
    problem = problem_on("melbourne", random_circuit(rng, layers=3))
    run = Stack(ReadoutInversion(), PEC()).plan(problem).runs[0]
    many = problem.inputs.expand(4000, -1)
    seen = run.values(many, problem.parameters, shots=100, generator=generator)
    ideal = problem.run.ideal(problem.inputs, problem.parameters)[0]
    assert bool(((seen.mean(0) - ideal).abs() < 4 * seen.std(0) / 4000**0.5).all())
    for k, readout in enumerate(_readouts(problem)):
        a, b = 1 - readout.p01 - readout.p10, readout.p10 - readout.p01
        mean = a * float(ideal[k]) + b  # of what is read, with errors
        wanted = (run.cost**2 - mean**2) / a**2 / 100
        assert float(seen[:, k].var()) == pytest.approx(wanted, rel=0.12)


def _readouts(problem):
    all_of_them = problem.run.noise.readouts_of(problem.run.circuit.qubits)
    return [all_of_them[o.qubits[0]] for o in problem.run.observables]


@pytest.mark.parametrize("device", ["manila", "kolkata"])
def test_without_shots_it_is_exact(device, rng):
    problem = problem_on(device, random_circuit(rng))
    _, left = errors(Stack(ReadoutInversion(), PEC()), problem)
    np.testing.assert_allclose(left, 0, atol=1e-12)


def test_what_is_refused():
    gone = NoiseModel((Rule(Channel("depolarising", 1.0)),))
    problem = problem_of(Run(Circuit.of(1, [op("x", 0)]), (z(0),), gone))
    with pytest.raises(CircuitError, match=r"can be inverted, its smallest singular value at least 0.0001, got 0"):
        PEC().plan(problem)
    strong = NoiseModel((Rule(Channel("depolarising", 0.5)),))
    problem = problem_of(Run(Circuit.of(1, [op("x", 0)] * 20), (z(0),), strong))
    with pytest.raises(CircuitError, match="cost at most 1000"):
        PEC().plan(problem)
    kraus = Channel("kraus", *_correlated_damping())
    with pytest.raises(CircuitError, match="local operations"):
        inverse(kraus)
    with pytest.raises(CircuitError, match="expected one input"):
        signed_circuits(problem.run, torch.zeros(2, 0), torch.zeros(0), circuits=1, generator=torch.Generator())
    assert Unmitigated().plan(problem).runs == (problem.run,)


def _correlated_damping():
    """Two qubits that decay together from 11 to 00: no combination of local operations undoes it."""
    p = 0.3
    stay = np.diag([1, 1, 1, (1 - p) ** 0.5])
    jump = np.zeros((4, 4))
    jump[0, 3] = p**0.5
    return stay, jump
