"""Read-out error undone: against the device's own confusion, SciPy's solver, and repetition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from mitigation.random_circuits import errors, problem_of, problem_on, random_circuit
from robustq.circuits import Projector, basis_groups, pauli, z
from robustq.errors import CircuitError, DataError, SpecError
from robustq.mitigation import ReadoutHistogram, ReadoutInversion, Run
from robustq.mitigation.confusion import calibrated, inverted
from robustq.mitigation.histograms import confusion, inversion, least_squares, m3
from robustq.mitigation.readout import perfect_readout
from robustq.mitigation.signed_shots import as_pauli_sum
from robustq.noise import NoiseModel, Readout

FLIPS = st.floats(0, 0.4)


@pytest.mark.parametrize("device", ["manila", "guadalupe", "melbourne"])
def test_inversion_leaves_exactly_the_gates_errors(device, rng):
    problem = problem_on(device, random_circuit(rng))
    _, left = errors(ReadoutInversion(), problem)
    run = problem.run
    quiet = Run(run.circuit, run.observables, perfect_readout(run.noise))
    gates = quiet.values(problem.inputs, problem.parameters) - run.ideal(problem.inputs, problem.parameters)
    np.testing.assert_allclose(left, gates[0].numpy(), atol=1e-12)


@given(st.tuples(FLIPS, FLIPS), st.tuples(FLIPS, FLIPS), st.integers(0, 2**16))
def test_every_observable_is_read_without_error(first, second, seed):
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, qubits=2, layers=2)
    noise = NoiseModel(readouts=((0, Readout(*first)), (1, Readout(*second))))
    observables = (z(0), z(0, 1), pauli("XY", 0, 1) + 0.3 * z(1), *basis_groups(2, 2))
    problem = problem_of(Run(circuit, observables, noise))
    _, left = errors(ReadoutInversion(), problem)
    np.testing.assert_allclose(left, 0, atol=1e-9)


def test_measured_calibration_is_unbiased_within_its_errors(rng):
    circuit = random_circuit(rng, qubits=2)
    noise = NoiseModel(readout=Readout(0.05, 0.1))
    found = []
    for seed in range(200):
        problem = problem_of(Run(circuit, (z(0), z(1)), noise), seed=seed)
        found.append(errors(ReadoutInversion(shots=2000), problem)[1])
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(len(found))
    assert (np.abs(mean) < 4 * error + 1e-3).all()
    assert ReadoutInversion(shots=2000).plan(problem).training == 2


def test_shots_through_the_inverse_are_unbiased_and_scatter_by_the_stated_factor(generator, rng):
    circuit = random_circuit(rng, qubits=2)
    noise = NoiseModel(readout=Readout(0.1, 0.2))
    problem = problem_of(Run(circuit, (z(0),), noise))
    many = problem.inputs.expand(4000, -1)
    run = ReadoutInversion().rewrite(problem)
    plain = problem.run.values(many, problem.parameters, shots=50, generator=generator)
    seen = run.values(many, problem.parameters, shots=50, generator=generator)
    ideal = problem.run.ideal(problem.inputs, problem.parameters)
    assert abs(float(seen.mean() - ideal)) < 4 * float(seen.std()) / 4000**0.5
    assert float(seen.var() / plain.var()) == pytest.approx(1 / 0.7**2, rel=0.15)


@pytest.mark.parametrize("method", ["inversion", "least-squares", "m3"])
def test_histograms_agree_with_the_observables_where_all_outcomes_are_seen(method, generator, rng):
    circuit = random_circuit(rng, qubits=2)
    noise = NoiseModel(readout=Readout(0.03, 0.06))
    problem = problem_of(Run(circuit, (z(0), z(1)), noise))
    plan = ReadoutHistogram(method).plan(problem)
    shots = 200_000
    found = plan.values(problem.inputs, problem.parameters, shots=shots, generator=generator)
    ideal = problem.run.ideal(problem.inputs, problem.parameters)
    assert float((found - ideal).abs().max()) < 5 * 1.2 / shots**0.5
    exact = plan.values(problem.inputs, problem.parameters)
    np.testing.assert_allclose(exact.numpy(), ideal.numpy(), atol=1e-12)


@given(st.lists(st.tuples(FLIPS, FLIPS), min_size=1, max_size=3), st.integers(0, 2**16))
def test_inversion_undoes_the_confusion(flips, seed):
    readouts = [Readout(*pair) for pair in flips]
    true = np.random.default_rng(seed).dirichlet(np.ones(2 ** len(flips)))
    seen = confusion(readouts) @ true
    np.testing.assert_allclose(inversion(seen, readouts), true, atol=1e-7)
    np.testing.assert_allclose(m3(seen, readouts), true, atol=1e-7)  # every outcome was seen
    np.testing.assert_allclose(least_squares(seen, readouts), true, atol=1e-4)


def test_least_squares_is_what_a_general_solver_finds():
    readouts = [Readout(0.1, 0.15), Readout(0.05, 0.2)]
    seen = np.array([0.02, 0.0, 0.0, 0.98])
    table = confusion(readouts)
    best = minimize(
        lambda p: float(((table @ p - seen) ** 2).sum()),
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        tol=1e-12,
    )
    np.testing.assert_allclose(least_squares(seen, readouts), best.x, atol=1e-4)
    assert inversion(seen, readouts).min() < 0 <= least_squares(seen, readouts).min()


def test_m3_solves_the_restricted_system_it_says_it_solves():
    readouts = [Readout(0.1, 0.15), Readout(0.05, 0.2), Readout(0.02, 0.03)]
    seen = np.zeros(8)
    seen[[0, 3, 7]] = [0.5, 0.3, 0.2]
    table = confusion(readouts)[np.ix_([0, 3, 7], [0, 3, 7])]
    found = m3(seen, readouts)
    np.testing.assert_allclose((table / table.sum(0)) @ found[[0, 3, 7]], [0.5, 0.3, 0.2])
    assert found.sum() == pytest.approx(1)


def test_gradients_from_counted_shots_are_those_of_the_inverse(generator):
    from robustq.circuits import encodings

    noise = NoiseModel(readout=Readout(0.05, 0.1))
    run = Run(encodings.angle(1), (z(0),), noise)
    plan = ReadoutHistogram("m3").plan(problem_of(run))
    x = torch.full((400, 1), 0.3, requires_grad=True)
    plan.sampled(torch.zeros(0), 200, generator)(x).sum().backward()
    true = -torch.pi * torch.sin(torch.tensor(0.3 * torch.pi))
    assert x.grad is not None
    assert abs(float(x.grad.mean() - true)) < 4 * float(x.grad.std()) / 20


def test_projectors_become_sums_of_words(rng):
    observable = Projector(("01", "11", "10"), (2, 0))
    total = as_pauli_sum(observable)
    np.testing.assert_allclose(total.diagonal(3), observable.diagonal(3), atol=1e-12)


def test_calibration_from_counts_and_what_it_refuses():
    assert calibrated([[90, 10], [80, 20]], [[30, 70], [0, 100]])[0] == Readout(0.1, 0.3)
    with pytest.raises(DataError, match=r"qubit 0: expected p01 \+ p10 <= 0.99"):
        calibrated([[50, 50]], [[50, 50]])
    with pytest.raises(DataError, match="at least one shot"):
        calibrated([[0, 0]], [[0, 5]])
    with pytest.raises(DataError, match=r"shape \(qubits, 2\)"):
        calibrated([1, 2], [3, 4])
    with pytest.raises(DataError, match="as many qubits"):
        calibrated([[1, 0]], [[0, 1], [0, 1]])
    with pytest.raises(DataError, match="p01"):
        inverted(z(0), [Readout(0.6, 0.5)])
    with pytest.raises(DataError, match="add up to one"):
        inversion(np.array([0.5, 0.2]), [Readout()])
    with pytest.raises(DataError, match="2 outcomes of 1 qubits"):
        inversion(np.array([1.0]), [Readout()])
    with pytest.raises(DataError, match="calibration shots >= 1"):
        ReadoutInversion(shots=0)
    with pytest.raises(SpecError, match="did you mean 'm3'"):
        ReadoutHistogram("m4")
    run = Run(random_circuit(np.random.default_rng(0), 2), (pauli("X", 0),))
    with pytest.raises(CircuitError, match="diagonal observables"):
        ReadoutHistogram().plan(problem_of(run))
