"""Circuits a device would run: the count must equal the parameter-shift rule done by hand."""

import numpy as np
import pytest
import torch

from robustq import engine
from robustq.bench import parse
from robustq.bench.cost import attack_circuits, facts, training_circuits
from robustq.bench.stages import bits
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, per_qubit_z, theta, z
from robustq.models import Perceptron, QuantumNet
from robustq.models.catalogue import hybrid, qnn


def net(circuit, observables=None):
    chosen = observables or per_qubit_z(2, circuit.qubits)
    return QuantumNet(circuit, chosen, generator=torch.Generator())


def test_facts_describe_the_circuit():
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
    found = facts(net(circuit))
    assert found["qubits"] == 3
    assert found["gates"] == 3 + 6 + 6
    assert found["two_qubit_gates"] == 6
    assert (found["input_shifts"], found["trained_shifts"]) == (6, 36)
    assert found["settings"] == 1
    assert facts(Perceptron(2, [], 2, generator=torch.Generator())) == {}


def test_every_setting_is_paid_for():
    circuit = encodings.angle(2)
    plain = facts(net(circuit))
    mixed = facts(net(circuit, [z(0), pauli("X", 1)]))
    assert attack_circuits(mixed, 10, 5) == 2 * attack_circuits(plain, 10, 5)


def test_gradient_cost_is_the_parameter_shift_rule():
    """Two shifted circuits an angle give the exact gradient, so that is what is counted."""
    circuit = encodings.angle(3).then(ansaetze.brickwork(3, layers=1))
    angles = torch.linspace(0, 1, circuit.parameters, dtype=torch.float64)
    x = torch.tensor([[0.2, 0.5, 0.9]], dtype=torch.float64, requires_grad=True)
    engine.expectations(circuit, [z(0)], inputs=x, parameters=angles).sum().backward()
    runs = 0
    for k in range(3):
        sides = []
        for sign in (1, -1):
            moved = x.detach().clone()
            moved[0, k] += sign * (np.pi / 2) / np.pi  # a shift of pi/2 in the angle pi x
            sides.append(engine.expectations(circuit, [z(0)], inputs=moved, parameters=angles))
            runs += 1
        shifted = np.pi * (sides[0] - sides[1]) / 2
        assert float(x.grad[0, k]) == pytest.approx(float(shifted), abs=1e-12)
    assert attack_circuits(facts(net(circuit)), 0, 1) == runs


def test_amplitude_gradients_cost_two_circuits_a_feature():
    assert attack_circuits(facts(net(encodings.amplitude(8))), 0, 1) == 16


def test_classical_models_run_no_circuits():
    assert attack_circuits({}, 100, 100) == 0
    assert training_circuits({"rows": 5}, parse({"data": {"name": "iris"}}).defence, True) == 0


def test_defended_training_costs_more():
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    spec = parse({"data": {"name": "iris"}})
    known = facts(net(circuit)) | {"rows": 320}
    plain, defended = (training_circuits(known, spec.defence, flag) for flag in (False, True))
    assert plain == 10 * 32 * (1 + 2 * 6)
    assert defended - plain == 5 * 10 * 32 * (1 + 2 * 2)


def test_controlled_rotations_cost_four_circuits():
    circuit = Circuit.of(2, [op("h", 0), op("crx", 0, 1, angles=[theta(0)]), op("rx", 1, angles=[0.5])])
    assert facts(net(circuit))["trained_shifts"] == 4


def test_an_angle_with_input_and_weight_is_paid_for_on_both_sides():
    found = facts(net(encodings.reuploading(2, qubits=2, layers=1)))
    assert found["input_shifts"] == found["trained_shifts"] == 2 * 2 * 3


def test_a_hybrid_pays_for_what_its_first_layer_needs():
    plain = facts(qnn(4, 2, generator=torch.Generator(), layers=2))
    dressed = facts(hybrid(9, 2, generator=torch.Generator(), qubits=4, layers=2))
    assert dressed["trained_shifts"] == plain["trained_shifts"] + plain["input_shifts"]


def test_bits_are_exact():
    assert bits("0110").tolist() == [0.0, 1.0, 1.0, 0.0]
