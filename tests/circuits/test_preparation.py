"""Preparation circuits, simulated: the states and matrices they claim, with the CNOTs they claim."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.circuits import Circuit
from robustq.circuits.preparation import exact, rotation, staircase, two_qubit_state
from robustq.engine import evolve
from robustq.engine.statevector import unitary
from robustq.errors import CircuitError

NONE = torch.zeros(0, dtype=torch.float64)


def state(circuit):
    return evolve(circuit, torch.zeros(1, 0, dtype=torch.float64), NONE)[0].numpy()


def same(left, right):
    """Equal up to a phase."""
    return abs(np.vdot(left.ravel(), right.ravel())) == pytest.approx(
        np.linalg.norm(left) * np.linalg.norm(right), abs=1e-9
    )


def random_rotation(rng, size=4):
    found, _ = np.linalg.qr(rng.normal(size=(size, size)))
    found[:, 0] *= np.sign(np.linalg.det(found))
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), qubits=st.integers(1, 6), zeros=st.floats(0, 0.7))
def test_any_real_state_is_prepared_exactly(seed, qubits, zeros):
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=2**qubits) * (rng.random(2**qubits) >= zeros)
    if not vector.any():
        vector[0] = -1.0
    circuit = exact(vector)
    assert same(state(circuit), vector)
    assert circuit.counts.get("cx", 0) == 2**qubits - 2
    assert circuit.counts["ry"] == 2**qubits - 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), swapped=st.booleans())
def test_two_qubits_take_one_cnot(seed, swapped):
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=4)
    vector /= np.linalg.norm(vector)
    a, b = (1, 0) if swapped else (0, 1)
    circuit = Circuit.of(2, two_qubit_state(vector, a, b))
    wanted = vector.reshape(2, 2).T.ravel() if swapped else vector
    assert same(state(circuit), wanted)
    assert circuit.counts["cx"] == 1
    product = np.kron(*(np.array([np.cos(t), np.sin(t)]) for t in rng.normal(size=2)))
    free = Circuit.of(2, two_qubit_state(product, 0, 1))
    assert same(state(free), product)
    assert "cx" not in free.counts


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_any_rotation_of_two_qubits_takes_two_cnots(seed):
    rng = np.random.default_rng(seed)
    matrix = random_rotation(rng)
    circuit = Circuit.of(2, rotation(matrix, 0, 1))
    assert same(unitary(circuit, NONE).numpy(), matrix)
    assert circuit.counts["cx"] == 2
    product = np.kron(random_rotation(rng, 2), random_rotation(rng, 2))
    free = Circuit.of(2, rotation(product, 0, 1))
    assert same(unitary(free, NONE).numpy(), product)
    assert "cx" not in free.counts


def test_known_gates():
    cnot_and_sign = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]], dtype=float)
    for matrix in (np.eye(4), -np.eye(4), cnot_and_sign, np.diag([1.0, -1, -1, 1])):
        assert same(unitary(Circuit.of(2, rotation(matrix, 0, 1)), NONE).numpy(), matrix)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_staircase_is_its_gates_in_order(seed):
    rng = np.random.default_rng(seed)
    gates = [(1, random_rotation(rng), True), (0, random_rotation(rng), False)]
    circuit = staircase(gates, 3)
    wanted = np.kron(gates[1][1], np.eye(2)) @ np.kron(np.eye(2), gates[0][1])[:, 0]
    assert same(state(circuit), wanted)
    assert circuit.counts["cx"] == 3


def test_what_cannot_be_prepared_is_refused():
    for vector in ([0.0, 0.0], [1.0, 2.0, 3.0], [[1.0, 0.0]], [np.inf, 1.0], [1.0]):
        with pytest.raises(CircuitError, match=r"2\^n real amplitudes"):
            exact(vector)
    with pytest.raises(CircuitError, match="unit vector"):
        two_qubit_state([1.0, 1.0, 0.0, 0.0], 0, 1)
    for matrix in (np.diag([1.0, 1, 1, -1]), 2 * np.eye(4), np.eye(3)):
        with pytest.raises(CircuitError, match="rotation of four dimensions"):
            rotation(matrix, 0, 1)
