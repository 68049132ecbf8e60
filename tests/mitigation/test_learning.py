"""Techniques that learn from circuits whose ideal values are known."""

import math

import numpy as np
import pytest
import torch

from mitigation.random_circuits import errors, problem_of, problem_on, random_circuit, rms
from robustq.circuits import Circuit, ansaetze, encodings, op, per_qubit_z, z
from robustq.errors import CircuitError, DataError, SpecError
from robustq.mitigation import CDR, Learned, Problem, ReadoutInversion, Run, Stack
from robustq.mitigation.cdr import line
from robustq.mitigation.near_clifford import angles, near_clifford, slotted, steps, training_circuits
from robustq.mitigation.regression import circuit_features, fitted, predict
from robustq.noise import Channel, NoiseModel, Rule


def test_slots_hold_the_angles(rng, generator):
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=1))
    x = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    parameters = torch.randn(circuit.parameters, generator=generator, dtype=torch.float64)
    run = Run(circuit, (z(0), z(1, 2)))
    found = Run(slotted(circuit), run.observables).ideal(angles(circuit, x, parameters), torch.zeros(0).double())
    np.testing.assert_allclose(found, run.ideal(x, parameters), atol=1e-12)


def test_rounding_keeps_the_share_and_the_mean(generator):
    step = torch.tensor([math.pi / 2] * 10, dtype=torch.float64)
    true = torch.full((20_000, 10), 0.4, dtype=torch.float64)
    found = near_clifford(true, step, 0.3, generator)
    kept = found == true
    assert bool((kept.sum(1) == 3).all())
    ratio = found[~kept] / (math.pi / 2)
    assert bool(((ratio - ratio.round()).abs() < 1e-12).all())
    assert float(found[~kept].mean()) == pytest.approx(0.4, abs=0.01)


def test_near_clifford_circuits_are_clifford():
    """Ideal values of a fully rounded circuit are 0, 1 or -1: those of a stabiliser state."""
    operations = [
        op("rx", 0, angles=[0.4]),
        op("crz", 0, 1, angles=[0.7]),
        op("rzz", 0, 1, angles=[1.0]),
        op("u3", 1, angles=[0.3, 0.2, 0.1]),
        op("h", 0),
        op("cry", 1, 0, angles=[2.0]),
    ]
    circuit = Circuit.of(2, operations)
    found = training_circuits(problem_of(Run(circuit, (z(0), z(1), z(0, 1)))), 200, 0.0)
    np.testing.assert_allclose(found.ideal, found.ideal.round(), atol=1e-9)
    assert steps(circuit).tolist()[1] == pytest.approx(math.pi)


def test_cdr_is_exact_under_global_depolarising(rng):
    circuit = Circuit.of(2, [op("ry", 0, angles=[0.7]), op("ry", 1, angles=[0.4]), op("cx", 0, 1)])
    noise = NoiseModel((Rule(Channel("depolarising-2", 0.2), gates=("cx",)),))
    plain, left = errors(CDR(), problem_of(Run(circuit, (z(0), z(1)), noise)))
    assert np.abs(plain).max() > 0.1
    np.testing.assert_allclose(left, 0, atol=1e-9)


@pytest.mark.parametrize("device", ["manila", "guadalupe", "melbourne"])
def test_cdr_leaves_about_what_its_line_leaves_of_the_training_circuits(device, rng):
    plain, left, predicted = [], [], []
    for _ in range(8):
        problem = problem_on(device, random_circuit(rng))
        run = ReadoutInversion().rewrite(problem)
        inner = Problem(run, problem.parameters, problem.inputs, problem.generator)
        found = training_circuits(inner, 200, 0.25)
        slope, start = line(found)
        predicted.append((slope * found.noisy + start - found.ideal).square().mean().sqrt().item())
        after = errors(Stack(ReadoutInversion(), CDR(200)), problem)[1]
        plain.append(errors(ReadoutInversion(), problem)[1])
        left.append(after)
    assert 0.4 < rms(left) / rms(predicted) < 2.5
    assert rms(left) < 0.8 * rms(plain)


@pytest.mark.parametrize("regressor", ["forest", "mlp", "linear"])
def test_a_regressor_improves_on_circuits_it_has_not_seen(regressor, rng, generator):
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=1))
    parameters = torch.randn(circuit.parameters, generator=generator, dtype=torch.float64)
    x = torch.rand(120, 4, generator=generator, dtype=torch.float64)
    from robustq.noise import Device, mapped

    run = Run.of(mapped(circuit, per_qubit_z(4, 4), Device.bundled("melbourne")))
    problem = Problem(run, parameters, x[:60], generator)
    plan = Learned(regressor, circuits=1000 if regressor == "mlp" else 300).plan(problem)
    ideal = run.ideal(x[60:], parameters)
    plain = run.values(x[60:], parameters) - ideal
    left = plan.values(x[60:], parameters) - ideal
    assert rms(left.detach().numpy()) < 0.7 * rms(plain.numpy())
    np.testing.assert_allclose(plan.frozen(parameters)(x[60:]), plan.values(x[60:], parameters), atol=1e-7)
    assert plan.training >= 300
    assert not plan.linear


def test_a_gradient_attack_sees_the_noisy_values_gradient(generator):
    circuit = encodings.angle(2).then(ansaetze.strongly_entangling(2, layers=1))
    parameters = torch.randn(circuit.parameters, generator=generator, dtype=torch.float64)
    x = torch.rand(20, 2, generator=generator, dtype=torch.float64)
    run = Run(circuit, (z(0), z(1)), NoiseModel.uniform(gate_error=0.05))
    plan = Learned(circuits=50).plan(Problem(run, parameters, x, generator))
    first, second = (x.clone().requires_grad_() for _ in range(2))
    plan.values(first, parameters).sum().backward()
    run.values(second, parameters).sum().backward()
    np.testing.assert_allclose(first.grad, second.grad)


def test_features_count_gates_and_bin_angles():
    circuit = Circuit.of(2, [op("rx", 0, angles=[-0.1]), op("rx", 1, angles=[0.1]), op("cx", 0, 1)])
    found = circuit_features(circuit, np.array([-0.1, 0.1]))
    other = circuit_features(circuit, np.array([0.1, 0.1]))
    assert found.shape == other.shape
    assert np.abs(found - other).sum() == 2  # one angle in another bin
    assert found.sum() == 3 + 2 + 2


def test_lines_without_spread_keep_their_slope():
    from robustq.mitigation.near_clifford import TrainingCircuits

    flat = torch.full((4, 1), 0.3)
    slope, start = line(TrainingCircuits(flat, flat, flat + 0.1))
    assert float(slope) == 1
    assert float(start) == pytest.approx(0.1)


def test_what_is_refused(rng):
    with pytest.raises(DataError, match="at least 2 training circuits"):
        CDR(circuits=1)
    with pytest.raises(DataError, match="at least 10 training circuits"):
        Learned(circuits=3)
    with pytest.raises(SpecError, match="did you mean 'forest'"):
        Learned("forst")
    with pytest.raises(SpecError, match="unknown regressor"):
        fitted("svm", np.zeros((2, 2)), np.zeros((2, 1)), 0)
    with pytest.raises(DataError, match="finite features"):
        fitted("linear", np.array([[np.nan]]), np.zeros((1, 1)), 0)
    with pytest.raises(CircuitError, match="with angles"):
        CDR().plan(problem_of(Run(Circuit.of(1, [op("x", 0)]), (z(0),))))
    with pytest.raises(CircuitError, match=r"in \[0, 1\]"):
        CDR(kept=1.5).plan(problem_of(Run(random_circuit(rng), (z(0),))))
    model = fitted("linear", np.eye(2), np.array([[1.0], [2.0]]), 0)
    assert predict(model, np.eye(2)).shape == (2, 1)
