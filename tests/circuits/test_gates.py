"""The gate table is stated twice or thrice; no two statements may disagree."""

import re

import numpy as np
import pennylane as qml
import pytest
from scipy.linalg import expm

from pennylane_gates import PENNYLANE
from robustq.circuits import GATES, Circuit, gate, op
from robustq.circuits.gates import pauli_matrix
from robustq.engine.reference import embed
from robustq.errors import CircuitError, SpecError

ANGLES = (0.3, -1.1, 2.4)
SINGLE = [name for name, row in GATES.items() if row.parameters <= 1]


def matrix(name):
    return GATES[name].matrix(*ANGLES[: GATES[name].parameters])


@pytest.mark.parametrize("name", GATES)
def test_matrix_is_unitary(name):
    u = matrix(name)
    assert u.shape == (2 ** GATES[name].qubits,) * 2
    np.testing.assert_allclose(u @ u.conj().T, np.eye(len(u)), atol=1e-15)


@pytest.mark.parametrize("name", SINGLE)
def test_generator_exponentiates_to_the_matrix(name):
    row = GATES[name]
    t = ANGLES[0] if row.parameters else 1.0
    np.testing.assert_allclose(expm(-1j * t * row.generator_matrix), matrix(name), atol=1e-14)


@pytest.mark.parametrize("name", [name for name, row in GATES.items() if row.parts])
def test_parts_multiply_to_the_matrix(name):
    total = np.eye(2)
    for part, index in GATES[name].parts:
        total = GATES[part].matrix(ANGLES[index]) @ total
    np.testing.assert_allclose(total, matrix(name), atol=1e-15)


@pytest.mark.parametrize("name", GATES)
def test_inverse_undoes(name):
    row = GATES[name]
    o = op(name, *range(row.qubits), angles=ANGLES[: row.parameters])
    values = [sum(c for _, c in a.terms) for a in o.inverse().angles]
    undone = GATES[o.inverse().gate].matrix(*values) @ matrix(name)
    np.testing.assert_allclose(undone, np.eye(len(undone)), atol=1e-14)


@pytest.mark.parametrize("name", PENNYLANE)
def test_matrix_is_pennylanes(name):
    row = GATES[name]
    theirs = PENNYLANE[name](*ANGLES[: row.parameters], wires=range(row.qubits))
    np.testing.assert_allclose(matrix(name), qml.matrix(theirs), atol=1e-14)


@pytest.mark.parametrize("name", GATES)
def test_permutation_flag_is_right(name):
    u = matrix(name)
    is_permutation = bool(np.all((np.abs(u) < 1e-12) | (np.abs(u - 1) < 1e-12)))
    assert GATES[name].permutes == is_permutation


@pytest.mark.parametrize("name", [n for n, row in GATES.items() if row.qasm.startswith("gate ")])
def test_openqasm_definition_is_the_gate(name):
    """Run the definition's body and compare up to a global phase."""
    head, body = re.fullmatch(r"gate (.*?) \{ (.*) \}", GATES[name].qasm).groups()
    names, wires = re.fullmatch(r"\w+(?:\((.*?)\))? (.*)", head).groups()
    values = dict(zip((names or "").split(", "), ANGLES, strict=False))
    places = {wire: k for k, wire in enumerate(wires.split(", "))}
    total = np.eye(2 ** GATES[name].qubits, dtype=complex)
    for statement in body.rstrip(";").split("; "):
        undo = statement.startswith("inv @ ")
        word, angle, on = re.fullmatch(r"(\w+)(?:\((\w+)\))? (.*)", statement.removeprefix("inv @ ")).groups()
        step = GATES[word].matrix(*([values[angle]] if angle else []))
        step = step.conj().T if undo else step
        total = embed(step, [places[w] for w in on.split(", ")], GATES[name].qubits) @ total
    overlap = np.trace(total.conj().T @ matrix(name)) / len(total)
    assert abs(abs(overlap) - 1) < 1e-12


def test_pauli_words_are_big_endian():
    np.testing.assert_array_equal(pauli_matrix("ZI").diagonal().real, [1, 1, -1, -1])


def test_unknown_gate_suggests_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'swap'"):
        gate("swpa")


@pytest.mark.parametrize(
    ("name", "wires", "filled", "message"),
    [
        ("cx", (0,), (), "expected 2 different"),
        ("cx", (1, 1), (), "expected 2 different"),
        ("rx", (0,), (), "expected 1 angle"),
        ("h", (0,), (0.1,), "expected 0 angle"),
        ("rx", (0,), (float("nan"),), "finite angle"),
    ],
)
def test_malformed_operations_are_refused(name, wires, filled, message):
    with pytest.raises(CircuitError, match=message):
        op(name, *wires, angles=filled)


def test_qubits_outside_the_register_are_refused():
    with pytest.raises(CircuitError, match=r"qubits in 0\.\.1"):
        Circuit.of(2, [op("x", 2)])


@pytest.mark.parametrize("name", GATES)
def test_real_gates_are_real_at_every_angle(name):
    row = GATES[name]
    for shift in (0.0, 0.7, 2.0):
        u = row.matrix(*[a + shift for a in ANGLES[: row.parameters]])
        if row.is_real:
            np.testing.assert_allclose(u.imag, 0, atol=1e-15)
    assert row.is_real == (name in {"i", "x", "z", "h", "ry", "cx", "cz", "ch", "swap", "cry", "ccx", "cswap"})
