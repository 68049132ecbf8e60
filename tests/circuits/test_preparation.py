"""Circuits for real vectors: right up to one sign by two simulators, within the CX promised."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.circuits import Circuit, preparation
from robustq.circuits.gates import GATES
from robustq.engine import evolve, reference
from robustq.engine.statevector import unitary
from robustq.errors import CircuitError, SpecError

NONE = torch.zeros(0, dtype=torch.float64)
SEEDS = st.integers(0, 2**32 - 1)
CX = np.eye(4)[[0, 1, 3, 2]]
SWAP = np.eye(4)[[0, 2, 1, 3]]


def state(circuit):
    fast = evolve(circuit, torch.zeros(1, 0, dtype=torch.float64), NONE)[0].numpy()
    slow = reference.statevector(circuit, np.zeros(0), np.zeros(0))
    np.testing.assert_allclose(fast, slow, atol=1e-12)
    return slow


def matrix(operations, qubits=2):
    return unitary(Circuit.of(qubits, operations), NONE).numpy()


def assert_same(found, wanted):
    sign = np.sign(np.vdot(wanted, found).real)
    np.testing.assert_allclose(sign * found, wanted, atol=1e-10)


def cx(operations):
    return sum(o.gate == "cx" for o in operations)


def unit(seed, size):
    vector = np.random.default_rng(seed).normal(size=size)
    return vector / np.linalg.norm(vector)


def orthogonal(seed, size, determinant=1):
    """Haar, up to the sign of the first column."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    q[:, 0] *= determinant * np.linalg.det(q)
    return q


def lattice(size):
    """Vectors of small whole numbers: zeros, ties and products are common among them."""
    return st.lists(st.integers(-2, 2), min_size=size, max_size=size).filter(any).map(np.array)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_two_qubit_state_takes_one_cx(seed):
    vector = unit(seed, 4)
    operations = preparation.two_qubit_state(vector, 0, 1)
    assert cx(operations) == 1
    assert_same(state(Circuit.of(2, operations)), vector)


@given(lattice(4))
@settings(max_examples=60, deadline=None)
def test_two_qubit_state_with_zeros_and_ties(vector):
    operations = preparation.two_qubit_state(vector / np.linalg.norm(vector), 0, 1)
    assert cx(operations) == (vector[0] * vector[3] != vector[1] * vector[2])
    assert_same(state(Circuit.of(2, operations)), vector / np.linalg.norm(vector))


def test_the_first_qubit_named_is_the_more_significant():
    vector, gate = unit(3, 4), orthogonal(3, 4)
    assert_same(state(Circuit.of(2, preparation.two_qubit_state(vector, 1, 0))), SWAP @ vector)
    assert_same(matrix(preparation.real_gate(gate, 1, 0)), SWAP @ gate @ SWAP)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_real_gate_takes_two_cx_and_stays_real(seed):
    gate = orthogonal(seed, 4)
    operations = preparation.real_gate(gate, 0, 1)
    assert cx(operations) == 2
    assert len(operations) <= 8
    assert all(GATES[o.gate].is_real for o in operations)
    assert_same(matrix(operations), gate)


@given(st.permutations(range(4)), st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_real_gate_on_signed_permutations(order, signs):
    gate = np.eye(4)[list(order)] * signs
    gate[0] *= np.linalg.det(gate)
    operations = preparation.real_gate(gate, 0, 1)
    assert cx(operations) <= 2
    assert_same(matrix(operations), gate)


@given(SEEDS, st.sampled_from([1, -1]), st.sampled_from([1, -1]))
@settings(max_examples=40, deadline=None)
def test_a_product_takes_no_cx(seed, first, second):
    gate = np.kron(orthogonal(seed, 2, first), orthogonal(seed + 1, 2, second))
    for operations in (
        preparation.real_gate(gate, 0, 1),
        preparation.staircase([[(0, gate, "one-qubit")]], 2).operations,
    ):
        assert cx(operations) == 0
        assert_same(matrix(operations), gate)


@pytest.mark.parametrize("strength", [1e-4, 1e-6, 1e-7, 1e-9, 1e-11, 1e-13])
def test_a_near_product_is_still_exact(strength):
    coupling = CX @ np.kron(np.eye(2), _turn(strength)) @ CX
    gate = coupling @ np.kron(orthogonal(1, 2), orthogonal(2, 2))
    assert_same(matrix(preparation.real_gate(gate, 0, 1)), gate)


def _turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@given(SEEDS, st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_exact_takes_2_to_the_n_less_2_cx(seed, qubits):
    vector = 3.7 * unit(seed, 2**qubits)
    circuit = preparation.exact(vector)
    assert circuit.qubits == qubits
    assert circuit.counts.get("cx", 0) == 2**qubits - 2
    assert_same(state(circuit), vector / np.linalg.norm(vector))


@given(lattice(16))
@settings(max_examples=40, deadline=None)
def test_exact_with_zeros_and_ties(vector):
    circuit = preparation.exact(vector)
    assert circuit.counts.get("cx", 0) <= 14
    assert_same(state(circuit), vector / np.linalg.norm(vector))


def test_exact_spends_nothing_on_what_does_not_depend():
    product = np.kron(np.kron(unit(1, 2), unit(2, 2)), unit(3, 2))
    assert set(preparation.exact(np.abs(product)).counts) == {"ry"}
    assert preparation.exact([1, 0, 0, 0]).operations == ()
    pair = np.kron(unit(1, 2), np.abs(unit(2, 4)))  # the last qubit depends on the second alone
    assert preparation.exact(pair).counts["cx"] == 2


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_exact_does_not_overflow(scale):
    vector = unit(5, 8)
    assert_same(state(preparation.exact(scale * vector)), vector)


def test_staircase_is_the_product_of_its_gates():
    first, second, third = (orthogonal(seed, 4) for seed in range(3))
    single = np.kron(orthogonal(3, 2), orthogonal(4, 2))
    layers = [
        [(0, first, "state"), (2, second, "state"), (1, third, "gate")],
        [(2, first, "gate"), (0, single, "one-qubit")],
    ]
    circuit = preparation.staircase(layers, 4)
    vector = np.eye(16)[0]
    for k, gate, _ in (step for layer in layers for step in layer):
        vector = reference.embed(gate, (k, k + 1), 4) @ vector
    assert_same(state(circuit), vector)
    assert circuit.counts["cx"] == 1 + 1 + 2 + 2


def test_a_state_need_only_have_a_first_column():
    gate = np.zeros((4, 4))
    gate[:, 0] = unit(6, 4)
    assert_same(state(preparation.staircase([[(0, gate, "state")]], 2)), gate[:, 0])


def test_qiskit_agrees_about_the_state():
    quantum_info = pytest.importorskip("qiskit.quantum_info")
    qiskit = pytest.importorskip("qiskit")
    vector = unit(8, 8)
    other = qiskit.QuantumCircuit(3)
    for o in preparation.exact(vector).operations:
        angles = [reference.angle_value(a, np.zeros(0), np.zeros(0)) for a in o.angles]
        getattr(other, o.gate)(*angles, *(2 - q for q in o.qubits))  # little-endian there
    assert_same(np.asarray(quantum_info.Statevector(other)), vector)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (np.diag([1, 1, 1, -1]), "determinant -1"),
        (CX, "determinant -1"),
        (2 * np.eye(4), "orthogonal"),
        (np.eye(3), "real"),
        (1j * np.eye(4), "real"),
        (np.full((4, 4), np.nan), "finite"),
    ],
)
def test_what_is_no_rotation_is_refused(gate, message):
    with pytest.raises(CircuitError, match=message):
        preparation.real_gate(gate, 0, 1)
    with pytest.raises(CircuitError, match=message):
        preparation.staircase([[(0, gate, "gate")]], 2)


@pytest.mark.parametrize("vector", [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0], [1j, 0, 0, 0]])
def test_what_is_no_state_of_two_qubits_is_refused(vector):
    with pytest.raises(CircuitError, match="expected"):
        preparation.two_qubit_state(vector, 0, 1)


@pytest.mark.parametrize("vector", [[], [1.0], [1, 2, 3], [0, 0], [1, np.inf], [1j, 1], ["a", "b"], [[1, 0], [0, 1]]])
def test_exact_refuses(vector):
    with pytest.raises(CircuitError, match="expected"):
        preparation.exact(vector)


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        ([(0, SWAP @ np.diag([1, -1, 1, 1]), "one-qubit")], CircuitError, "product"),
        ([(2, np.eye(4), "gate")], CircuitError, "pair"),
        ([(-1, np.eye(4), "gate")], CircuitError, "pair"),
        ([(0, np.kron(np.eye(2), [[0, -1], [1, 0]]), "gate"), (1, np.eye(4), "state")], CircuitError, "fresh"),
        ([(0, np.eye(4), "sate")], SpecError, "did you mean 'state'"),
    ],
)
def test_staircase_refuses(steps, error, message):
    with pytest.raises(error, match=message):
        preparation.staircase([steps], 3)
