"""The engine against the slow reference, PennyLane and finite differences."""

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pennylane_gates import pennylane_gate
from robustq import engine
from robustq.circuits import GATES, Projector, ansaetze, encodings, pauli, per_qubit_z, z
from robustq.engine import native, reference
from robustq.errors import DataError
from strategies import circuits, data, everything, observables

# The kernel's tests skip where it was not built or is switched off; the rest runs on pure torch.
NATIVE = pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason="no native kernel here"))
METHODS = [NATIVE, "statevector", "density", "heisenberg"]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
OBSERVABLES = (z(0), z(1, 2), pauli("XY", 0, 3) + 0.5 * pauli("ZX", 1, 2), Projector(("01", "11"), (2, 0)))


def tensors(inputs, parameters, dtype=torch.float64, grad=False):
    return (
        torch.tensor(inputs, dtype=dtype, requires_grad=grad),
        torch.tensor(parameters, dtype=dtype, requires_grad=grad),
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("method", METHODS)
def test_every_gate_agrees_with_the_reference(rng, dtype, method):
    circuit = everything(rng)
    inputs, parameters = data(rng, circuit)
    x, theta = tensors(inputs, parameters, dtype)
    ours = engine.expectations(circuit, OBSERVABLES, inputs=x, parameters=theta, method=method)
    theirs = reference.expectations(circuit, OBSERVABLES, inputs, parameters)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours.numpy(), theirs, atol=TOLERANCE[dtype])


@given(st.data())
def test_random_circuits_agree_with_the_reference(draw):
    circuit = draw.draw(circuits())
    observable = draw.draw(observables(circuit.qubits))
    inputs = np.array(draw.draw(st.lists(st.tuples(*[st.floats(0.125, 2, width=32)] * 3), min_size=1, max_size=3)))
    parameters = np.array(draw.draw(st.tuples(*[st.floats(-3, 3, width=32)] * 4)))
    x, theta = tensors(inputs, parameters)
    theirs = reference.expectations(circuit, [observable], inputs, parameters)
    for method in ("auto", "statevector"):
        ours = engine.expectations(circuit, [observable], inputs=x, parameters=theta, method=method)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-10)
    frozen = engine.FrozenModel(circuit, [observable, observable], theta)
    np.testing.assert_allclose(frozen(x)[:, :1].numpy(), theirs, atol=1e-10)


def pennylane_expectations(circuit, inputs, parameters, device_name="default.qubit"):
    """The same circuit and observables in PennyLane, one sample at a time."""

    @qml.qnode(qml.device(device_name, wires=circuit.qubits))
    def node(x):
        for o in circuit.operations:
            angles = [reference.angle_value(a, x, parameters) for a in o.angles]
            pennylane_gate(o, angles)
        return (
            qml.expval(qml.Z(0)),
            qml.expval(qml.Z(1) @ qml.Z(2)),
            qml.expval(qml.X(0) @ qml.Y(3) + 0.5 * (qml.Z(1) @ qml.X(2))),
            qml.probs(wires=[2, 0]),
        )

    rows = [node(x) for x in inputs]
    return np.array([[a, b, c, p[1] + p[3]] for a, b, c, p in rows], dtype=float)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_gate_agrees_with_pennylane(rng, dtype):
    circuit = everything(rng)
    assert set(circuit.counts) == set(GATES)
    inputs, parameters = data(rng, circuit)
    x, theta = tensors(inputs, parameters, dtype)
    ours = engine.expectations(circuit, OBSERVABLES, inputs=x, parameters=theta)
    theirs = pennylane_expectations(circuit, inputs, parameters)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=TOLERANCE[dtype])


def difference(function, point, k, h=0.04):
    """Central difference of order eight; its error is about ``h**8 / 630`` times the ninth derivative."""
    total = 0.0
    for step, weight in zip((1, 2, 3, 4), (4 / 5, -1 / 5, 4 / 105, -1 / 280), strict=True):
        up, down = point.clone(), point.clone()
        up[k] += step * h
        down[k] -= step * h
        total += weight * float(function(up) - function(down))
    return total / h


@pytest.mark.parametrize("method", METHODS)
def test_gradients_agree_with_finite_differences(rng, method):
    circuit = everything(rng, repeats=1)
    inputs, parameters = data(rng, circuit, 1)
    x, theta = tensors(0.3 * inputs, parameters, grad=True)
    weights = torch.tensor(rng.normal(size=len(OBSERVABLES)))

    def value(x_row, theta_row, m="statevector"):
        rows = engine.expectations(circuit, OBSERVABLES, inputs=x_row[None], parameters=theta_row, method=m)
        return (rows @ weights).sum()

    value(x[0], theta, method).backward()
    point, angles = x.detach()[0], theta.detach()
    for k in range(len(point)):
        expected = difference(lambda p: value(p, angles), point, k)
        assert float(x.grad[0, k]) == pytest.approx(expected, abs=1e-9)
    for k in range(len(angles)):
        expected = difference(lambda p: value(point, p), angles, k)
        assert float(theta.grad[k]) == pytest.approx(expected, abs=1e-10)


def test_float32_gradients_agree_with_float64(rng):
    circuit = everything(rng, repeats=1)
    inputs, parameters = data(rng, circuit)
    gradients = {}
    for dtype in TOLERANCE:
        x, theta = tensors(inputs, parameters, dtype, grad=True)
        engine.expectations(circuit, OBSERVABLES, inputs=x, parameters=theta).sum().backward()
        gradients[dtype] = (x.grad.double(), theta.grad.double())
    for low, high in zip(gradients[torch.float32], gradients[torch.float64], strict=True):
        np.testing.assert_allclose(low.numpy(), high.numpy(), atol=5e-5)


@pytest.mark.parametrize("method", METHODS)
def test_gradcheck_with_amplitudes(rng, method):
    circuit = encodings.amplitude(3).then(ansaetze.hardware_efficient(2, layers=1))
    x, theta = tensors(1 + rng.random((2, 3)), rng.normal(size=circuit.parameters), grad=True)

    def run(a, b):
        return engine.expectations(circuit, [z(0), pauli("XY", 0, 1)], inputs=a, parameters=b, method=method)

    assert torch.autograd.gradcheck(run, (x, theta))
    assert torch.autograd.gradgradcheck(run, (x, theta))


def test_frozen_model_is_the_model_and_so_are_its_gradients(rng):
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=3))
    inputs, parameters = data(rng, circuit)
    x, theta = tensors(inputs, parameters, grad=True)
    frozen = engine.FrozenModel(circuit, per_qubit_z(2, 4), theta, scale=2.0)
    exact = 2 * engine.expectations(circuit, per_qubit_z(2, 4), inputs=x, parameters=theta)
    torch.testing.assert_close(frozen(x), exact)
    (g1,) = torch.autograd.grad(frozen(x)[:, 0].sum(), x)
    (g2,) = torch.autograd.grad(exact[:, 0].sum(), x)
    torch.testing.assert_close(g1, g2)
    effective = frozen.effective_observables
    torch.testing.assert_close(effective, effective.mH)
    eigenvalues = torch.linalg.eigvalsh(effective)
    torch.testing.assert_close(eigenvalues.abs(), torch.ones_like(eigenvalues))


def test_empty_batch_and_circuit_without_slots():
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    theta = torch.zeros(circuit.parameters)
    empty = engine.expectations(circuit, [z(0)], inputs=torch.zeros(0, 2), parameters=theta)
    assert empty.shape == (0, 1)
    alone = engine.expectations(ansaetze.brickwork(2), [z(0)], parameters=torch.zeros(6))
    assert alone.item() == pytest.approx(1, abs=1e-5)


def test_zero_amplitudes_are_refused():
    with pytest.raises(DataError, match="all-zero input"):
        engine.expectations(encodings.amplitude(4), [z(0)], inputs=torch.zeros(1, 4))
