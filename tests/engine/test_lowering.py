"""Lowering keeps the circuit's meaning while it regroups its gates."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import GATES, Circuit, ansaetze, encodings, op, theta, x
from robustq.engine import reference
from robustq.engine.lowering import Block, Gather, Layer, lower, permutation
from robustq.engine.statevector import apply_matrix, unitary

PERMUTING = [name for name, row in GATES.items() if row.permutes]
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", PERMUTING)
def test_permutation_is_the_gate(name, rng):
    wires = [int(q) for q in rng.permutation(4)[: GATES[name].qubits]]
    full = reference.embed(GATES[name].matrix(), wires, 4)
    state = rng.normal(size=16)
    np.testing.assert_allclose(state[permutation(op(name, *wires), 4)], full @ state)


@given(st.lists(st.tuples(st.sampled_from(PERMUTING), st.permutations(range(4))), max_size=12))
@settings(max_examples=50, deadline=None)
def test_composed_permutations_are_one_gather(chosen):
    operations = tuple(op(name, *wires[: GATES[name].qubits]) for name, wires in chosen)
    circuit = Circuit(4, operations)
    steps = lower(circuit, torch.float64, CPU).steps
    assert len(steps) == bool(operations)
    full = np.eye(16)
    for o in operations:
        full = reference.embed(GATES[o.gate].matrix(), o.qubits, 4) @ full
    ours = unitary(circuit, torch.zeros(0, dtype=torch.float64))
    np.testing.assert_allclose(ours.numpy(), full, atol=1e-14)


def test_a_layered_ansatz_takes_two_steps_a_layer():
    steps = lower(ansaetze.strongly_entangling(5, layers=3), torch.float32, CPU).steps
    assert [type(step) for step in steps] == [Layer, Gather] * 3


def test_gates_that_cannot_be_regrouped_stand_alone():
    circuit = Circuit.of(3, [op("h", 0), op("cz", 0, 1), op("h", 2), op("crx", 2, 0, angles=[x(0)])])
    steps = lower(circuit, torch.float32, CPU).steps
    assert [type(step) for step in steps] == [Layer, Block, Layer, Block]


def test_shared_and_batched_gates_live_in_different_banks():
    circuit = Circuit.of(2, [op("ry", 0, angles=[x(0)]), op("ry", 1, angles=[theta(0)]), op("h", 0)])
    program = lower(circuit, torch.float64, CPU)
    matrices = program.matrices(torch.zeros(5, 1, dtype=torch.float64), torch.zeros(1).double())
    assert matrices[(True, 1)].shape == (5, 1, 2, 2)
    assert matrices[(False, 1)].shape == (1, 2, 2, 2)


def test_programs_are_cached_by_value():
    first, second = encodings.angle(3), encodings.angle(3)
    assert first is not second
    assert lower(first, torch.float32, CPU) is lower(second, torch.float32, CPU)
    assert lower(first, torch.float64, CPU) is not lower(first, torch.float32, CPU)


@pytest.mark.parametrize("axes", [(0,), (2,), (1, 2), (2, 0), (3, 1, 0)])
def test_apply_matrix_is_the_embedded_matrix(axes, rng):
    side = 2 ** len(axes)
    matrix = rng.normal(size=(side, side)) + 1j * rng.normal(size=(side, side))
    states = rng.normal(size=(3, 16)) + 0j
    ours = apply_matrix(torch.tensor(states), torch.tensor(matrix)[None], axes)
    full = reference.embed(matrix, axes, 4)
    np.testing.assert_allclose(ours.numpy(), states @ full.T, atol=1e-13)


@pytest.mark.parametrize("qubits", [1, 3, 4, 5, 8, 9])
def test_unitaries_are_unitary_across_block_boundaries(qubits, rng):
    circuit = ansaetze.strongly_entangling(qubits, layers=2)
    u = unitary(circuit, torch.tensor(rng.normal(size=circuit.parameters)))
    np.testing.assert_allclose((u @ u.mH).numpy(), np.eye(2**qubits), atol=1e-12)


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_first_layers_with_idle_qubits(missing, rng):
    """The product-state shortcut must leave untouched qubits in |0>."""
    operations = [op("ry", q, angles=[x(0)]) for q in range(5) if q != missing]
    circuit = Circuit.of(5, [*operations, op("cx", missing, (missing + 1) % 5), op("h", missing)])
    inputs = rng.normal(size=(3, 1))
    ours = engine.evolve(circuit, torch.tensor(inputs), torch.zeros(0, dtype=torch.float64))
    theirs = np.array([reference.statevector(circuit, row, np.zeros(0)) for row in inputs])
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-14)
