"""The kernel against the pure-torch path: values, gradients, threads, batches, switches, bad plans."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, per_qubit_z, theta, z
from robustq.circuits.gates import GATES, gate
from robustq.engine import native
from robustq.engine.primitives import Relabelling, Turn, primitives
from robustq.engine.reference import embed
from robustq.engine.schedule import schedule
from robustq.errors import CircuitError
from robustq.noise import NoiseModel, Readout
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
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
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
    for ours, theirs in both(
        circuit, [z(0), pauli("XY", 0, 2)], 1 + rng.random((9, 5)), rng.normal(size=circuit.parameters)
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_the_switch_turns_it_off(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "0")
    assert not native.available()
    assert "ROBUSTQ_NATIVE=0" in native.description()
    circuit = Circuit.of(1, [op("h", 0)])
    with pytest.raises(CircuitError, match="expected CPU tensors and the kernel"):
        engine.expectations(circuit, [z(0)], method="native")
    assert engine.expectations(circuit, [pauli("X", 0)]).item() == pytest.approx(1)


def turns_and_cnots(qubits, layers):
    """No phase anywhere: the norms that turns leave out pile up unless they are put back."""
    operations = []
    for layer in range(layers):
        operations += [op("ry", q, angles=[theta(layer * qubits + q)]) for q in range(qubits)]
        operations += encodings.ring(qubits)
    return Circuit.of(qubits, operations)


@pytest.mark.parametrize("kept", [0, 2**28])
def test_keeping_the_states_changes_nothing(rng, monkeypatch, kept):
    monkeypatch.setattr(native, "KEPT_BYTES", kept)
    circuit = everything(rng)
    inputs, parameters = data(rng, circuit, 20)
    for ours, theirs in both(circuit, [z(0), pauli("X", 2)], inputs, parameters):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(
    "circuit",
    [
        encodings.iqp(5).then(ansaetze.hardware_efficient(5, layers=2)),
        encodings.reuploading(4, qubits=3, layers=4),
        encodings.angle(3).then(turns_and_cnots(3, layers=60)),
        encodings.angle(2, scale=1e5).then(ansaetze.brickwork(2)),
        encodings.angle(2, scale=1e8).then(ansaetze.brickwork(2)),
    ],
    ids=["pairs", "reuploading", "only-turns", "large-angles", "huge-angles"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_that_take_other_ways(rng, circuit, dtype):
    inputs, parameters = data(rng, circuit, 19)
    if circuit.inputs == 2:  # float32 cannot hold a huge angle in the same way twice but for integers
        inputs = rng.integers(0, 3, inputs.shape).astype(float)
    tolerance = 1e-9 if dtype == torch.float64 else 2e-3
    scale = max(1.0, float(np.abs(inputs).max()))
    for ours, theirs in both(circuit, per_qubit_z(2, circuit.qubits), inputs, parameters, dtype):
        size = max(1.0, float(theirs.abs().max())) * scale
        assert float((ours - theirs).abs().max()) < tolerance * size


@pytest.mark.parametrize("name", sorted(GATES))
def test_primitives_are_the_gate_up_to_a_phase(name):
    row = gate(name)
    angles = [0.7, -1.3, 2.1][: row.parameters]
    total = np.eye(2**row.qubits, dtype=complex)
    for primitive in primitives(op(name, *range(row.qubits), angles=angles)):
        total = _matrix(primitive, row.qubits) @ total
    expected = row.matrix(*angles)
    phase = np.vdot(total.ravel(), expected.ravel()) / len(total)
    assert abs(phase) == pytest.approx(1)
    np.testing.assert_allclose(phase * total, expected, atol=1e-12)


def _matrix(primitive, qubits):
    if isinstance(primitive, Relabelling):
        o = primitive.operation
        return embed(gate(o.gate).matrix(), o.qubits, qubits)
    (value,) = [c for _, c in primitive.angle.terms] or [0.0]
    if isinstance(primitive, Turn):
        return embed(gate("ry").matrix(2 * value), [primitive.qubit], qubits)
    signs = z(*primitive.qubits).diagonal(qubits)
    return np.diag(np.exp(-1j * value * signs))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_schedule_holds_every_factor_once(draw):
    circuit = draw.draw(circuits())
    made = schedule(circuit)
    expected = [p for o in circuit.operations for p in primitives(o) if not isinstance(p, Relabelling)]
    found = [*made.opening, *(f for step in made.steps for f in step.factors)]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert sorted(made.places.tolist()) == list(range(2**circuit.qubits))


def test_a_forked_child_has_a_crew_of_its_own(rng):
    circuit = encodings.angle(8).then(ansaetze.strongly_entangling(8, layers=4))
    inputs, parameters = (torch.tensor(a) for a in data(rng, circuit, 400))
    expected = engine.expectations(circuit, [z(0)], inputs=inputs, parameters=parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forking with threads about is what is tried here
        child = os.fork()
    if child == 0:
        again = engine.expectations(circuit, [z(0)], inputs=inputs, parameters=parameters)
        os._exit(0 if torch.equal(again, expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


NO_MEMORY = """
import os, resource, torch
from robustq import engine
from robustq.circuits import ansaetze, encodings, z
from robustq.engine import native
large, small = (encodings.angle(n).then(ansaetze.strongly_entangling(n, layers=1)) for n in (19, 3))
native.plan(large)
def run(c):
    x, theta = torch.ones(17, c.inputs).double(), torch.ones(c.parameters).double()
    return engine.expectations(c, [z(0)], inputs=x, parameters=theta, method="native")
torch.set_num_threads(2)
expected = run(small)
used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + 2**22, used + 2**22))
try:
    run(large)
except MemoryError:
    os._exit(0 if torch.equal(run(small), expected) else 2)
os._exit(1)
"""


def test_no_memory_is_an_error_not_the_end():
    """Where a thread of the kernel gets no memory, its caller hears of it and can go on.

    In a process of its own: one that has held large states before keeps their memory.
    """
    assert subprocess.run([sys.executable, "-c", NO_MEMORY], check=False).returncode == 0


def test_rows_that_read_nothing_are_zero(rng):
    """A read-out that is wrong half the time leaves no term of a Pauli word."""
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    inputs, parameters = (torch.tensor(a) for a in data(rng, circuit, 9))
    blind = NoiseModel(readout=Readout(0.5, 0.5))
    for _ in range(3):
        rows = torch.full((9, 2), torch.nan, dtype=torch.float64)  # what freed memory may hold
        del rows
        found = engine.expectations(circuit, [z(0), pauli("X", 0)], inputs=inputs, parameters=parameters, noise=blind)
        torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-15, rtol=0)


def test_tensors_of_any_layout(rng):
    """Strided, expanded, one row of many, and lazily negated tensors, in every mode of autograd."""
    circuit = encodings.angle(3).then(ansaetze.brickwork(3))
    inputs, parameters = (torch.tensor(a) for a in data(rng, circuit, 10))
    theta = torch.complex(parameters, parameters).conj().imag  # minus the parameters, lazily
    layouts = [inputs[::10], inputs[::2], inputs.T.contiguous().T, inputs[:1].expand(9, 3)]
    for x in layouts:
        plain = x.clone(memory_format=torch.contiguous_format)
        expected = engine.expectations(circuit, [z(0)], inputs=plain, parameters=-parameters)
        for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
            with mode():
                found = engine.expectations(circuit, [z(0)], inputs=x, parameters=theta)
            assert torch.equal(found, expected)


def test_many_turns_alike_keep_the_norm():
    """Rounding the same angle thousands of times must not add up to a state of another norm."""
    circuit = turns_and_cnots(4, layers=300)
    parameters = torch.full((circuit.parameters,), np.pi / 2)
    ours, theirs = (
        engine.expectations(circuit, [z(0)], parameters=parameters.to(dtype), method=method)
        for dtype, method in ((torch.float32, "native"), (torch.float64, "statevector"))
    )
    assert float((ours - theirs).abs().max()) < 1e-5


GOOD = {
    "qubits": 2,
    "opening": 0,
    "monomials": [[1, 0]],
    "coefficients": [0.5],
    "factors": [[0, 1, 1, -1, 0, 0]],
    "steps": [[0, 0, 0, 0, 1]],
    "places": [[0, 1, 2, 3]],
    "last": 0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"qubits": 0},
        {"qubits": 60},
        {"qubits": 3},
        {"monomials": [[5, 0]]},
        {"monomials": [[-1, 0]]},
        {"coefficients": [0.5, 1.0]},
        {"factors": [[0, 2, 1, -1, 0, 0]]},
        {"factors": [[0, 1, 2, -1, 0, 0]]},
        {"factors": [[0, 1, 1, 1, 0, 1]]},
        {"factors": [[-1, 1, 1, -1, 0, 0]]},
        {"opening": 2},
        {"factors": [[0, 1, 1, 0, 0, 0]]},
        {"factors": [[0, 1, 1, -1, 1, 0]]},
        {"monomials": [[2, 0]]},
        {"steps": [[0, 0, 1, 0, 1]]},
        {"steps": [[0, 0, 0, 0, 2]]},
        {"steps": [[0, 0, 0, -1, 1]]},
        {"places": [[0, 1, 2, 4]]},
        {"last": 1},
        {"steps": [[0, 0, 0]]},
        {"parameters": -1},
        {"parameters": 2**31 - 1, "features": 2**31 - 1},
    ],
)
def test_bad_plans_are_refused_not_run(change):
    assert native._kernel.Plan(*plan_arguments(GOOD))
    with pytest.raises(ValueError, match="kernel: expected"):
        native._kernel.Plan(*plan_arguments(GOOD | change))


def plan_arguments(given):
    def table(name):
        return np.array(given[name], np.int32)

    slots = given.get("parameters", 1), given.get("features", 1)
    return (
        given["qubits"],
        *slots,
        table("monomials"),
        np.array(given["coefficients"], float),
        table("factors"),
        given["opening"],
        table("steps"),
        table("places"),
        given["last"],
    )
