"""Circuits as data: angles, composition, inverse, serialisation, drawing, OpenQASM."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, theta, to_qasm, to_svg, to_text, x, z
from robustq.circuits.catalogue import ANSAETZE, ENCODINGS, READOUTS
from robustq.circuits.drawing import columns
from robustq.circuits.serial import circuit_from_data, circuit_to_data, observable_from_data, observable_to_data
from robustq.engine import reference
from robustq.errors import CircuitError
from strategies import circuits, data, everything, observables


def test_angle_arithmetic_is_polynomial_arithmetic(rng):
    angle = (1 - x(0)) * (2 + x(1)) + 0.5 * theta(0)
    values, weights = rng.normal(size=2), rng.normal(size=1)
    expected = (1 - values[0]) * (2 + values[1]) + 0.5 * weights[0]
    assert reference.angle_value(angle, values, weights) == pytest.approx(expected, abs=1e-14)


def test_products_of_three_slots_are_refused():
    with pytest.raises(CircuitError, match="at most two slots"):
        x(0) * x(1) * theta(0)


def test_then_renumbers_parameters_and_shares_inputs():
    first = encodings.angle(2).then(ansaetze.brickwork(2, layers=1))
    both = first.then(ansaetze.brickwork(2, layers=1))
    assert (both.inputs, both.parameters) == (2, 4)
    assert {str(a) for o in both.operations for a in o.angles} == {
        "3.14159*x[0]",
        "3.14159*x[1]",
        "theta[0]",
        "theta[1]",
        "theta[2]",
        "theta[3]",
    }


def test_then_refuses_another_width_and_late_amplitudes():
    with pytest.raises(CircuitError, match="expected 2 qubits, got 3"):
        encodings.angle(2).then(encodings.angle(3))
    with pytest.raises(CircuitError, match="amplitude loading to come first"):
        encodings.angle(2).then(encodings.amplitude(4))


def test_inverse_returns_to_the_start(rng):
    circuit = everything(rng)
    inputs, parameters = data(rng, circuit, 1)
    there_and_back = Circuit(circuit.qubits, circuit.operations + circuit.inverse().operations, 3, circuit.parameters)
    state = reference.statevector(there_and_back, inputs[0], parameters)
    assert abs(state[0]) == pytest.approx(1, abs=1e-10)


@given(circuits())
@settings(max_examples=60, deadline=None)
def test_serialisation_round_trip(circuit):
    again = circuit_from_data(json.loads(json.dumps(circuit_to_data(circuit))))
    assert again == circuit
    assert hash(again) == hash(circuit)


@given(observables(3))
@settings(max_examples=60, deadline=None)
def test_observable_round_trip(observable):
    again = observable_from_data(json.loads(json.dumps(observable_to_data(observable))))
    assert again == observable


@pytest.mark.parametrize("broken", [{}, {"qubits": 1}, {"qubits": 1, "operations": [["rx"]]}])
def test_broken_circuit_data_is_refused(broken):
    with pytest.raises(CircuitError, match="expected a circuit as data"):
        circuit_from_data(broken)


@given(circuits())
def test_drawings_hold_every_operation(circuit):
    packed = columns(circuit)
    assert sum(map(len, packed)) == len(circuit.operations)
    assert len(to_text(circuit).splitlines()) == circuit.qubits
    assert to_svg(circuit).count("<svg") == 1


def test_text_drawing():
    circuit = Circuit.of(3, [op("h", 0), op("cx", 0, 2), op("rx", 1, angles=[x(0)])])
    assert to_text(circuit, angles=True) == ("q0: ─H──●───────────\nq1: ────│──RX(x[0])─\nq2: ────X───────────")


def test_openqasm_declares_what_it_uses():
    circuit = encodings.angle(2).then(Circuit.of(2, [op("rzz", 0, 1, angles=[theta(0)])]))
    text = to_qasm(circuit)
    for line in ("OPENQASM 3.0;", "input float[64] theta_0;", "rzz(1.0*theta_0) q[0], q[1];"):
        assert line in text.splitlines()
    with pytest.raises(CircuitError, match="amplitude loading"):
        to_qasm(encodings.amplitude(4))


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_takes_its_features(name):
    circuit = ENCODINGS[name].make(4)
    assert circuit.inputs == 4
    used = {s.number for o in circuit.operations for a in o.angles for s in a.slots if s.kind == "x"}
    assert used == set(range(4)) or circuit.amplitudes == 4


@pytest.mark.parametrize("name", ENCODINGS)
def test_encodings_refuse_no_features(name):
    with pytest.raises(CircuitError, match="expected features >= 1"):
        ENCODINGS[name].make(0)


@pytest.mark.parametrize("name", ANSAETZE)
@pytest.mark.parametrize("qubits", [1, 2, 3, 5, 8])
def test_every_ansatz_uses_every_parameter(name, qubits):
    circuit = ANSAETZE[name].make(qubits)
    used = {s.number for o in circuit.operations for a in o.angles for s in a.slots}
    assert used == set(range(circuit.parameters))
    assert circuit.parameters > 0


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_every_readout_tells_classes_apart(name, classes):
    scores = np.array([o.diagonal(4) for o in READOUTS[name].make(classes, 4)])
    assert scores.shape == (classes, 16)
    winners = {int(column.argmax()) for column in scores.T if (column == column.max()).sum() == 1}
    assert winners == set(range(classes))


def test_basis_encoding_prepares_the_bits():
    state = reference.statevector(encodings.basis(3), np.array([1.0, 0.0, 1.0]), np.zeros(0))
    assert abs(state[0b101]) == pytest.approx(1)


def test_zz_feature_map_has_qiskits_angles():
    """Qiskit: P(2 x_i), then P(2 (pi - x_i)(pi - x_j)) between CNOTs."""
    values = np.array([0.4, 1.3])
    circuit = encodings.zz_feature_map(2, repeats=1)
    angles = [reference.angle_value(o.angles[0], values, np.zeros(0)) for o in circuit.operations if o.gate == "p"]
    assert angles == pytest.approx([0.8, 2.6, 2 * (np.pi - 0.4) * (np.pi - 1.3)])


def test_reuploading_starts_as_the_plain_encoding():
    circuit = encodings.reuploading(2, qubits=1, layers=1)
    angles = [
        reference.angle_value(a, np.array([0.5, 0.25]), np.zeros(circuit.parameters))
        for a in circuit.operations[0].angles
    ]
    assert angles == pytest.approx([np.pi / 2, np.pi / 4, np.pi / 2])


def test_pauli_matrix_and_diagonal_agree():
    observable = z(0, 2) + 0.5 * z(1)
    np.testing.assert_allclose(observable.matrix(3).diagonal().real, observable.diagonal(3))
    assert (observable + pauli("X", 0)).diagonal(3) is None


@pytest.mark.parametrize("build", [lambda: pauli("XQ", 0, 1), lambda: pauli("X", 0, 1), lambda: pauli("XX", 0, 0)])
def test_malformed_pauli_words_are_refused(build):
    with pytest.raises(CircuitError, match="expected"):
        build()
