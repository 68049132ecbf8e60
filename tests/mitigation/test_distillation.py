"""Virtual distillation: against matrices, two simulated copies, and the closed form."""

import numpy as np
import pytest
import torch

from mitigation.random_circuits import errors, problem_of, problem_on, random_circuit, rms
from robustq import engine
from robustq.circuits import Circuit, op, pauli, z
from robustq.engine.transfer import operators_of
from robustq.errors import CircuitError, DataError
from robustq.mitigation import Run, VirtualDistillation
from robustq.mitigation.distillation import Distilled, distilled_error, overlap, purity, quotient
from robustq.noise import Channel, NoiseModel, Rule


def _density(run, inputs, parameters):
    state = engine.pauli_states(run.circuit, inputs=inputs, parameters=parameters, noise=run.noise)
    return operators_of(state, run.circuit.qubits)[0] / 2**run.circuit.qubits


@pytest.mark.parametrize("observable", [z(0), z(1, 2), pauli("XY", 0, 2), 0.5 * z(1) + pauli("X", 2)])
def test_squares_of_states_are_those_of_matrices(observable, rng):
    noise = NoiseModel((Rule(Channel("amplitude-damping", 0.1)),))
    run = Run(random_circuit(rng, qubits=3, layers=3), (observable,), noise)
    problem = problem_of(run)
    rho = _density(run, problem.inputs, problem.parameters).numpy()
    numerator = np.trace(rho @ rho @ observable.matrix(3)).real
    found = Distilled(run, 0.0).values(problem.inputs, problem.parameters)[0]
    assert float(found[0]) == pytest.approx(numerator)
    assert float(found[1]) == pytest.approx(np.trace(rho @ rho).real)


def test_the_native_and_the_torch_path_agree(rng, monkeypatch):
    run = Run(random_circuit(rng, qubits=3), (z(0),), NoiseModel.uniform(gate_error=0.05))
    problem = problem_of(run)

    def state():
        return engine.pauli_states(run.circuit, inputs=problem.inputs, parameters=problem.parameters, noise=run.noise)

    first = state()
    monkeypatch.setenv("ROBUSTQ_NATIVE", "0")
    monkeypatch.setattr("robustq.engine.native.available", lambda: False)
    np.testing.assert_allclose(first, state(), atol=1e-12)


@pytest.mark.parametrize("error", [0.0, 0.1])
def test_noise_between_the_copies_is_that_of_two_simulated_copies(error, rng):
    """Both copies in one register, swapped qubit by qubit, each pair depolarised before it is read."""
    run = Run(random_circuit(rng, qubits=2, layers=3), (z(0),), NoiseModel.uniform(gate_error=0.05))
    problem = problem_of(run)
    rho = _density(run, problem.inputs, problem.parameters).numpy()
    pairs = np.kron(rho, rho).reshape([2] * 8).transpose(0, 2, 1, 3, 4, 6, 5, 7).reshape(16, 16)
    swap = np.eye(4)[[0, 2, 1, 3]]
    z_pair = (np.kron(np.diag([1, -1]), np.eye(2)) + np.kron(np.eye(2), np.diag([1, -1]))) / 2
    read = np.kron(_depolarised(z_pair @ swap, error), _depolarised(swap, error))
    found = Distilled(run, error).values(problem.inputs, problem.parameters)[0]
    assert float(found[0]) == pytest.approx(np.trace(pairs @ read).real)
    both = np.kron(_depolarised(swap, error), _depolarised(swap, error))
    assert float(found[1]) == pytest.approx(np.trace(pairs @ both).real)


def _depolarised(operator, error):
    return (1 - error) * operator + error * np.trace(operator) / 4 * np.eye(4)


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_global_depolarising_leaves_what_the_closed_form_says(p):
    circuit = Circuit.of(2, [op("x", 0), op("cx", 0, 1)])
    noise = NoiseModel((Rule(Channel("depolarising-2", p), gates=("cx",)),))
    plain, left = errors(VirtualDistillation(), problem_of(Run(circuit, (z(0), z(1)), noise)))
    np.testing.assert_allclose(np.abs(plain), p)
    np.testing.assert_allclose(np.abs(left), distilled_error(p, 2, 1.0), atol=1e-12)


@pytest.mark.parametrize("device", ["manila", "guadalupe", "melbourne"])
def test_incoherent_errors_shrink_as_the_spectrum_says(device, rng):
    """``sum l_i^2 <O>_i / sum l_i^2`` over eigenvectors; without crosstalk the gain is the closed form's order."""
    plain, left, predicted, order = [], [], [], []
    for _ in range(6):
        problem = problem_on(device, random_circuit(rng))
        run = problem.run
        rules = tuple(r for r in run.noise.rules if r.channel.name != "zz-crosstalk")
        quiet = problem_of(Run(run.circuit, run.observables, NoiseModel(rules)))
        before, after = errors(VirtualDistillation(), quiet)
        values, vectors = np.linalg.eigh(_density(quiet.run, quiet.inputs, quiet.parameters).numpy())
        means = np.array(
            [np.einsum("bi,bc,ci->i", vectors.conj(), o.matrix(4), vectors).real for o in run.observables]
        )
        ideal = run.ideal(problem.inputs, problem.parameters)[0].numpy()
        plain.append(before)
        left.append(after)
        predicted.append(means @ values**2 / (values**2).sum() - ideal)
        order.append(1 - values[-1])
    np.testing.assert_allclose(left, predicted, atol=1e-9)
    assert rms(left) / rms(plain) < 4 * np.mean(order)  # second order: what is left goes with the error itself


def test_shots_scatter_around_the_exact_values(generator, rng):
    run = Run(random_circuit(rng, qubits=2), (z(0), z(1)), NoiseModel.uniform(gate_error=0.02))
    problem = problem_of(run)
    plan = VirtualDistillation().plan(problem)
    exact = plan.values(problem.inputs, problem.parameters)
    drawn = plan.values(problem.inputs.expand(2000, -1), problem.parameters, shots=2000, generator=generator)
    assert float((drawn.mean(0) - exact[0]).abs().max()) < 4 * float(drawn.std(0).max()) / 2000**0.5 + 1e-3


def test_purity_quotient_and_refusals(rng):
    circuit = random_circuit(rng, qubits=2)
    state = engine.pauli_states(circuit, inputs=torch.zeros(1, 0).double())
    assert float(purity(circuit, state)) == pytest.approx(1)
    assert float(overlap(state, (), 2)) == pytest.approx(1)
    assert float(quotient([torch.tensor([[0.4, 0.5]])])) == pytest.approx(0.8)
    with pytest.raises(CircuitError, match="at most 6 qubits, got 7"):
        VirtualDistillation().plan(problem_of(Run(random_circuit(rng, qubits=7, layers=1), (z(0),))))
    with pytest.raises(DataError, match=r"gate error in \[0, 1\)"):
        VirtualDistillation(1.0)
