"""The kernel against the pure-torch path: values, gradients, threads, batches, switches, bad plans."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, per_qubit_z, z
from robustq.engine import native
from robustq.errors import CircuitError
from strategies import circuits, data, everything, observables

pytestmark = pytest.mark.skipif(not native.available(), reason="no native kernel here")


def both(circuit, chosen, inputs, parameters, dtype=torch.float64):
    """Rows and gradients by the kernel and by pure torch."""
    found = []
    for method in ("native", "statevector"):
        x = torch.tensor(inputs, dtype=dtype, requires_grad=True)
        theta = torch.tensor(parameters, dtype=dtype, requires_grad=True)
        rows = engine.expectations(circuit, chosen, inputs=x, parameters=theta, method=method)
        weight = torch.linspace(1, 2, rows.numel(), dtype=dtype).reshape(rows.shape)
        total = (rows * weight).sum() + 0 * (x.sum() + theta.sum())  # circuits may use neither
        grads = torch.autograd.grad(total, (x, theta))
        found.append((rows.detach(), *grads))
    return zip(*found, strict=True)


@pytest.mark.parametrize("batch", [1, 7, 8, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_gate_at_every_batch_size(rng, batch, dtype):
    circuit = everything(rng)
    inputs, parameters = data(rng, circuit, batch)
    tolerance = 1e-10 if dtype == torch.float64 else 3e-4
    chosen = [z(0), pauli("XY", 0, 3) + 0.5 * pauli("ZX", 1, 2)]
    for ours, theirs in both(circuit, chosen, inputs, parameters, dtype):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_random_circuits(draw):
    circuit = draw.draw(circuits())
    observable = draw.draw(observables(circuit.qubits))
    inputs = np.array([[0.5, 1.25, -0.75], [1.0, 0.25, 2.0]])
    for ours, theirs in both(circuit, [observable], inputs, [0.3, -1.0, 2.0, 0.7]):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("qubits", [1, 2, 5, 9, 11])
def test_wide_registers(rng, qubits):
    circuit = encodings.angle(qubits).then(ansaetze.strongly_entangling(qubits, layers=2))
    inputs, parameters = data(rng, circuit, 5)
    for ours, theirs in both(circuit, [z(0), z(qubits - 1)], inputs, parameters):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_threads_do_not_change_a_bit(rng):
    circuit = encodings.angle(6).then(ansaetze.strongly_entangling(6, layers=2))
    inputs, parameters = data(rng, circuit, 200)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            (rows, _), (gx, _), (gt, _) = both(circuit, per_qubit_z(2, 6), inputs, parameters)
            found.append(torch.cat([rows.flatten(), gx.flatten(), gt.flatten()]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_memory_does_not_grow_with_depth():
    """The graph keeps angles only: a hundred layers save what one layer does, but for the angles."""
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=100))
    theta = torch.zeros(circuit.parameters, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.numel()) or t, lambda t: t
    ):
        engine.expectations(circuit, [z(0)], inputs=torch.zeros(64, 4), parameters=theta)
    assert sum(kept) < 64 * 2**4 * 100 / 4


def test_only_what_is_needed_is_differentiated(rng):
    circuit = encodings.angle(3).then(ansaetze.brickwork(3))
    inputs, parameters = data(rng, circuit)
    x = torch.tensor(inputs, requires_grad=True)
    rows = engine.expectations(circuit, [z(0)], inputs=x, parameters=torch.tensor(parameters))
    rows.sum().backward()
    assert x.grad.shape == x.shape


def test_gradients_flow_into_preparation(rng):
    circuit = encodings.amplitude(5).then(ansaetze.strongly_entangling(3, layers=1))
    for ours, theirs in both(circuit, [z(0), pauli("XY", 0, 2)], 1 + rng.random((9, 5)),
                             rng.normal(size=circuit.parameters)):  # fmt: skip
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_the_switch_turns_it_off(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "0")
    assert not native.available()
    assert "ROBUSTQ_NATIVE=0" in native.description()
    circuit = Circuit.of(1, [op("h", 0)])
    with pytest.raises(CircuitError, match="expected CPU tensors and the kernel"):
        engine.expectations(circuit, [z(0)], method="native")
    assert engine.expectations(circuit, [pauli("X", 0)]).item() == pytest.approx(1)


GOOD = {
    "qubits": 2, "shared": 1, "batched": 0, "instructions": [[0, 1, 0, 0, 1]],
    "elements": [[0, 0, -1]], "generators": [[0, 0.5, 0, 0]], "spectra": np.zeros((0, 68)),
    "indices": np.zeros(0),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"qubits": 0}, {"qubits": 60}, {"instructions": [[0, 2, 0, 0, 1]]},
        {"instructions": [[0, -1, 0, 0, 1]]}, {"instructions": [[0, 0, 0, 0, 5]]},
        {"instructions": [[7, 0, 0, 0, 1]]}, {"instructions": [[2, 0, 0, 0, 4]]},
        {"instructions": [[1, 0, 0, 0, 1]]}, {"instructions": [[1, 0, 1, 0, 1]]},
        {"elements": [[0, 3, -1]]}, {"elements": [[1, 0, -1]]}, {"elements": [[0, 0, 2]]},
        {"indices": [0, 1, 2, 9]}, {"generators": [[0, 0.5, 0]]},
    ],
)  # fmt: skip
def test_bad_plans_are_refused_not_run(change):
    given = GOOD | change
    arrays = [np.array(given["instructions"], np.int32), np.array(given["elements"], np.int32),
              np.array(given["generators"], float), np.array(given["spectra"], float),
              np.array(given["indices"], np.int32)]  # fmt: skip
    with pytest.raises(ValueError, match="kernel: expected"):
        native._kernel.Plan(given["qubits"], given["shared"], given["batched"], *arrays)
