"""Logits as trigonometric polynomials: the same function, and nothing where there is none."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustq.circuits import GATES, Circuit, encodings, op, per_qubit_z, theta, x
from robustq.circuits.ansaetze import brickwork
from robustq.engine import FrozenModel, reference
from robustq.engine.gate_angles import frequencies, gate_angles
from robustq.errors import ModelError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.trigonometric import (
    Trigonometric,
    amplification,
    basis,
    common_frequency,
    from_nodes,
    interpolated,
    nodes,
)

quick = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
TURNING = [name for name, g in GATES.items() if g.parameters and g.qubits <= 2]


@st.composite
def turned(draw):
    """Two or three qubits; features turn any gates, by multiples of a lowest scale of their own."""
    qubits, features = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    lowest = [draw(st.floats(0.3, 2.0)) for _ in range(features)]
    chosen = []
    for slot in range(draw(st.integers(1, 5))):
        name = draw(st.sampled_from(TURNING))
        wires = draw(st.permutations(range(qubits)))[: GATES[name].qubits]
        feature = draw(st.integers(0, features - 1))
        angles = [theta(slot) + 0.3] * GATES[name].parameters
        sign = draw(st.sampled_from([-2, -1, 1, 2]))
        angles[0] = angles[0] + sign * lowest[feature] * x(feature)
        chosen.append(op(name, *wires, angles=angles))
        chosen.append(op("cx", *wires[:1], (wires[0] + 1) % qubits))
    circuit = Circuit(qubits, tuple(chosen), inputs=features, parameters=len(chosen))
    return circuit, draw(st.integers(0, 10**6))


@quick
@given(turned(), st.sampled_from([None, NoiseModel.uniform(gate_error=0.02, readout_error=0.01)]))
def test_the_polynomial_is_the_model_within_its_own_error(drawn, noise):
    circuit, seed = drawn
    generator = torch.Generator().manual_seed(seed)
    angles = torch.randn(circuit.parameters, generator=generator, dtype=torch.float64)
    frozen = FrozenModel(circuit, per_qubit_z(2, circuit.qubits), angles, scale=2.0, noise=noise)
    points = 6 * torch.randn(40, circuit.inputs, generator=generator, dtype=torch.float64)
    form = frozen.trigonometric()
    assert float((form(points) - frozen(points)).abs().max()) <= form.error < 1e-6
    if noise is None:
        state = reference.statevector(circuit, points[0].numpy(), angles.numpy())
        seen = [2 * (state.conj() @ o.matrix(circuit.qubits) @ state).real for o in per_qubit_z(2, circuit.qubits)]
        assert np.allclose(form(points[:1])[0].numpy(), seen, atol=1e-9)


@pytest.mark.parametrize("encoding", [encodings.angle(3), encodings.dense_angle(5)])
def test_product_encodings_have_degree_one(encoding, generator):
    circuit = encoding.then(brickwork(encoding.qubits))
    angles = torch.randn(circuit.parameters, generator=generator).double()
    frozen = FrozenModel(circuit, per_qubit_z(2, circuit.qubits), angles)
    form = frozen.trigonometric()
    assert form.degrees == (1,) * circuit.inputs
    points = torch.randn(30, circuit.inputs, generator=generator).double()
    assert float((form(points) - frozen(points)).abs().max()) <= form.error
    assert frozen.trigonometric() is form


def test_features_that_turn_nothing_have_degree_zero(generator):
    circuit = Circuit(2, (op("rx", 0, angles=[2.0 * x(1)]), op("cx", 0, 1)), inputs=3)
    lowest, degrees = frequencies(circuit, torch.zeros(0))
    assert degrees == (0, 1, 0)
    assert float(lowest[1]) == 2.0
    frozen = FrozenModel(circuit, per_qubit_z(2, 2), torch.zeros(0, dtype=torch.float64))
    form = frozen.trigonometric()
    assert form.coefficients.shape == (2, 1, 3, 1)
    points = torch.randn(9, 3, generator=generator).double()
    assert torch.allclose(form(points), torch.cos(2 * points[:, 1:2]).expand(9, 2), atol=1e-12)


def test_repeated_features_and_controlled_gates_add_their_frequencies():
    circuit = Circuit(
        2, (op("ry", 0, angles=[x(0)]), op("crx", 0, 1, angles=[2.0 * x(0)])), inputs=1
    )  # 1, then 1 and 2 more
    lowest, degrees = frequencies(circuit, torch.zeros(0))
    assert float(lowest[0]) == 1.0
    assert degrees == (3,)


def test_gate_angles_are_the_angles(generator):
    turns = [x(0) * x(1) + 0.5 * x(1) + theta(0), 2.0 * x(0), theta(1) * x(1)]
    circuit = Circuit.of(1, [op("rx", 0, angles=[turn]) for turn in turns])
    angles = torch.randn(2, generator=generator, dtype=torch.float64)
    found = gate_angles(circuit, angles)
    point = torch.randn(2, generator=generator, dtype=torch.float64)
    by_hand = [reference.angle_value(turn, point.numpy(), angles.numpy()) for turn in turns]
    quadratic = torch.einsum("i,aij,j->a", point, found.quadratic, point)
    values = found.constant + found.linear @ point + quadratic
    assert np.allclose(values.numpy(), by_hand, atol=1e-12)
    assert found.spread.tolist() == pytest.approx([1.0] * 3)


def test_it_says_what_is_no_polynomial():
    def refused(circuit, told):
        angles = torch.zeros(circuit.parameters, dtype=torch.float64)
        frozen = FrozenModel(circuit, per_qubit_z(2, circuit.qubits), angles)
        with pytest.raises(ModelError, match=told):
            frozen.trigonometric()

    refused(encodings.amplitude(4), "loaded as amplitudes")
    refused(encodings.zz_feature_map(2), "products of features")
    unlike = [op("rx", 0, angles=[1.0 * x(0)]), op("ry", 0, angles=[math.sqrt(2) * x(0)])]
    refused(Circuit.of(2, unlike), "multiples of the lowest")
    many = [op("rx", k % 4, angles=[x(k)]) for k in range(14)]
    refused(Circuit.of(4, many), "expected at most 2097152 frequencies")


@quick
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.integers(0, 10**6))
def test_interpolation_gives_the_coefficients_back(degrees, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, *(2 * d + 1 for d in degrees))
    given_ = torch.randn(shape, generator=generator, dtype=torch.float64)
    pace = 0.5 + torch.rand(len(degrees), generator=generator, dtype=torch.float64)
    found = interpolated(Trigonometric(given_, pace, 0.0), pace, degrees, 1e-15)
    assert torch.allclose(found.coefficients, given_, atol=1e-12)
    assert found.degrees == tuple(degrees)


@pytest.mark.parametrize("degree", range(6))
def test_the_amplification_bounds_the_lebesgue_constant(degree):
    points = torch.linspace(0, 2 * math.pi, 2001, dtype=torch.float64)
    lagrange = basis(points, degree) @ from_nodes(degree)
    assert float(lagrange.abs().sum(1).max()) <= amplification([degree]) + 1e-12
    assert torch.allclose(
        basis(nodes(degree), degree) @ from_nodes(degree), torch.eye(2 * degree + 1, dtype=torch.float64), atol=1e-13
    )


def test_common_frequencies():
    assert common_frequency([]) == (1.0, 0)
    assert common_frequency([(1.0,), (3.0,)]) == (1.0, 4)
    with pytest.raises(ModelError, match="multiples of the lowest, got 2, 3"):
        common_frequency([(2.0,), (3.0,)])


def test_the_error_counts_the_size_of_angles(generator):
    c = Circuit(2, (op("ry", 0, angles=[x(0)]), op("h", 0), op("ry", 0, angles=[1001 * x(0)])), inputs=1)
    frozen = QuantumNet(c, per_qubit_z(2, 2), generator=generator).double().freeze()
    points = 6 * torch.rand(500, 1, generator=generator, dtype=torch.float64)
    form = frozen.trigonometric()
    assert float((form(points) - frozen(points)).abs().max()) <= form.error


def test_almost_a_multiple_is_none():
    with pytest.raises(ModelError, match="multiples"):
        common_frequency([(1.0,), (2 + 1e-10,)])
    assert common_frequency([(0.1,), (0.3,)]) == (0.1, 4)
