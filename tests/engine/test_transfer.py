"""The kernel for noisy circuits: random circuits, batches, checkpoints, threads, bad plans."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import Circuit, ansaetze, encodings, pauli, per_qubit_z, z
from robustq.engine import native, reference, transfer
from robustq.errors import CircuitError
from robustq.noise import Channel, NoiseModel, Readout, Rule
from strategies import circuits, data, everything, noise_models, observables

pytestmark = pytest.mark.skipif(not native.available(), reason="no native kernel here")

NOISE = NoiseModel(
    (
        Rule(Channel("amplitude-damping", 0.05)),
        Rule(Channel("depolarising-2", 0.03), width=2),
        Rule(Channel("over-rotation", "y", 0.1), gates=("rx", "h")),
    ),
    Readout(0.02, 0.05),
)


def both(circuit, chosen, inputs, parameters, noise=NOISE, dtype=torch.float64):
    """Values and gradients by the kernel and by densities in torch."""
    found = []
    for method in ("native", "density"):
        x = torch.tensor(inputs, dtype=dtype, requires_grad=True)
        theta = torch.tensor(parameters, dtype=dtype, requires_grad=True)
        rows = engine.expectations(circuit, chosen, inputs=x, parameters=theta, method=method, noise=noise)
        weight = torch.linspace(1, 2, rows.numel(), dtype=dtype).reshape(rows.shape)
        total = (rows * weight).sum() + 0 * (x.sum() + theta.sum())  # circuits may use neither
        found.append((rows.detach(), *torch.autograd.grad(total, (x, theta))))
    return zip(*found, strict=True)


def narrow(rng, repeats=1):
    """Every gate on at most two qubits."""
    made = everything(rng, repeats=repeats)
    kept = tuple(o for o in made.operations if len(o.qubits) <= 2)
    return Circuit(made.qubits, kept, made.inputs, made.parameters)


@given(st.data())
def test_random_circuits_and_rules(draw):
    circuit = draw.draw(circuits(max_qubits=3, max_operations=8))
    chosen = [draw.draw(observables(circuit.qubits)) for _ in range(2)]
    noise = draw.draw(noise_models(circuit.qubits))
    rows = st.tuples(*[st.floats(0.125, 2, width=32)] * 3)
    inputs = np.array(draw.draw(st.lists(rows, min_size=1, max_size=18)))
    parameters = np.array(draw.draw(st.tuples(*[st.floats(-3, 3, width=32)] * 4)))
    method = "native" if transfer.fits(circuit) else "auto"
    theirs = reference.expectations(circuit, chosen, inputs, parameters, noise)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        ours = engine.expectations(
            circuit,
            chosen,
            inputs=torch.tensor(inputs, dtype=dtype),
            parameters=torch.tensor(parameters, dtype=dtype),
            noise=noise,
            method=method,
        )
        np.testing.assert_allclose(ours.numpy(), theirs, atol=tolerance)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_gradients_of_random_circuits_and_rules(draw):
    circuit = draw.draw(circuits(max_qubits=3, max_operations=8).filter(transfer.fits))
    chosen = [draw.draw(observables(circuit.qubits))]
    noise = draw.draw(noise_models(circuit.qubits))
    inputs = np.array([[0.5, 1.25, -0.75], [1.0, 0.25, 2.0]])
    for ours, theirs in both(circuit, chosen, inputs, [0.3, -1.0, 2.0, 0.7], noise):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("batch", [1, 7, 8, 9, 16, 17, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_gate_at_every_batch_size(rng, batch, dtype):
    circuit = narrow(rng)
    tolerance = 1e-10 if dtype == torch.float64 else 3e-4
    chosen = [z(0), pauli("XY", 0, 3) + 0.5 * pauli("ZX", 1, 2)]
    for ours, theirs in both(circuit, chosen, *data(rng, circuit, batch), dtype=dtype):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("qubits", [1, 2, 6])
def test_widths(rng, qubits):
    circuit = encodings.angle(qubits).then(ansaetze.strongly_entangling(qubits, layers=2))
    for ours, theirs in both(circuit, per_qubit_z(qubits, qubits), *data(rng, circuit, 5)):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def wide_and_deep():
    """More maps of six qubits than the trail of one segment holds, the last of them on inputs."""
    deep = ansaetze.strongly_entangling(6, layers=14).then(encodings.reuploading(6, layers=1))
    by = transfer.passage(deep, NOISE, "whole")
    kept = 2**25 // (64 * 4**deep.qubits)
    assert len(transfer._maps(by.events())) > kept
    return deep


def test_checkpoints_change_nothing(rng):
    circuit = wide_and_deep()
    for ours, theirs in both(circuit, [z(0), pauli("XY", 1, 4)], *data(rng, circuit, 3)):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("encoding", [encodings.dense_angle(6), encodings.angle(3)])
def test_a_pure_prefix_may_be_run_as_states(rng, monkeypatch, encoding):
    monkeypatch.setattr(transfer, "QUADRATIC", 1)
    circuit = encoding.then(ansaetze.hardware_efficient(3, layers=2))
    noise = NoiseModel((Rule(Channel("amplitude-damping", 0.1), width=2),))
    inputs, parameters = data(rng, circuit, 7)
    found = []
    for method in ("native", "density"):
        leaves = [torch.tensor(a, requires_grad=True) for a in (inputs, parameters)]
        rows = engine.expectations(
            circuit, [z(0), pauli("XY", 0, 1)], inputs=leaves[0], parameters=leaves[1], noise=noise, method=method
        )
        found.append((rows.detach(), *torch.autograd.grad(rows.square().sum(), leaves)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("deep", [False, True])
def test_threads_do_not_change_a_bit(rng, deep):
    circuit = wide_and_deep() if deep else narrow(rng)
    inputs, parameters = (torch.tensor(a) for a in data(rng, circuit, 19 if deep else 200))
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            leaves = (inputs.clone().requires_grad_(), parameters.clone().requires_grad_())
            rows = engine.expectations(
                circuit, [z(0)], inputs=leaves[0], parameters=leaves[1], noise=NOISE, method="native"
            )
            gradients = torch.autograd.grad((rows**2).sum(), leaves)
            found.append(torch.cat([t.detach().flatten() for t in (rows, *gradients)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_callers_on_many_threads(rng):
    """The kernel runs without Python's lock: callers must not get in each other's way."""
    circuit = narrow(rng)
    quiet = NoiseModel()
    jobs = [(*data(rng, circuit, 40), NOISE if k % 2 else quiet) for k in range(12)]

    def run(job):
        x, theta = (torch.tensor(a, requires_grad=True) for a in job[:2])
        rows = engine.expectations(circuit, [z(0)], inputs=x, parameters=theta, noise=job[2])
        gradients = torch.autograd.grad(rows.sum(), (x, theta))
        return torch.cat([t.detach().flatten() for t in (rows, *gradients)])

    alone = [run(job) for job in jobs]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(run, jobs * 3))
    finally:
        torch.set_num_threads(before)
    for expected, found in zip(alone * 3, together, strict=True):
        assert torch.equal(expected, found)


def test_what_does_not_fit_is_refused(rng):
    circuit = everything(rng)
    inputs, parameters = (torch.tensor(a) for a in data(rng, circuit))
    with pytest.raises(CircuitError, match="gates on up to 3"):
        engine.expectations(circuit, [z(0)], inputs=inputs, parameters=parameters, noise=NOISE, method="native")


def test_room_is_asked_for_before_it_is_taken(monkeypatch):
    """Checkpoints of a deep circuit, and lanes that a single sample fills as eight would."""
    module = importlib.import_module("robustq.engine.expectations")
    monkeypatch.setattr(module, "_available_memory", lambda: 2**30)
    deep = encodings.angle(10).then(ansaetze.strongly_entangling(10, layers=20))
    x, theta = torch.zeros(1, 10), torch.zeros(deep.parameters, requires_grad=True)
    with pytest.raises(CircuitError, match="GiB of free memory, got a need of"):
        engine.expectations(deep, [z(0)], inputs=x, parameters=theta, noise=NOISE, method="native")
    wide = encodings.angle(24)
    with pytest.raises(CircuitError, match="GiB of free memory, got a need of"):
        engine.expectations(wide, [z(0)], inputs=torch.zeros(1, 24), method="native")


GOOD = {
    "qubits": 2,
    "monomials": [[1, 0]],
    "coefficients": [0.5],
    "factors": [[0, 1, 1, -1, 0, 0]],
    "pieces": [[0, 0], [0, -1]],
    "ops": [[1, -1, 0, 1], [1, 0, 1, 1]],
    "small": 1,
    "large": 1,
}
BAD = [
    {"qubits": 0},
    {"qubits": 13},
    {"qubits": 1},
    {"parameters": -1},
    {"features": -1},
    {"parameters": 2**31 - 1, "features": 2**31 - 1},
    {"monomials": [[5, 0]]},
    {"coefficients": [0.5, 1.0]},
    {"factors": [[0, 2, 1, -1, 0, 0]]},
    {"monomials": [[2, 0]]},
    {"pieces": [[1, 0], [0, -1]]},
    {"pieces": [[-1, 0], [0, -1]]},
    {"pieces": [[0, 1], [0, -1]]},
    {"pieces": [[0, -2], [0, -1]]},
    {"pieces": [[0, 0], [1, -1]]},
    {"pieces": [[0, 0, 0]]},
    {"ops": [[2, -1, 0, 1]]},
    {"ops": [[-1, -1, 0, 1]]},
    {"ops": [[1, 1, 0, 1]]},
    {"ops": [[1, 2, 0, 1]]},
    {"ops": [[1, -2, 0, 1]]},
    {"ops": [[1, -1, 0, 0]]},
    {"ops": [[1, -1, 0, 3]]},
    {"ops": [[1, -1, -1, 1]]},
    {"ops": [[1, -1, 2, 1]]},
    {"ops": [[1, -1, 1, 2**31 - 1]]},
    {"ops": [[1, -1, 0]]},
    {"small": 0},
    {"large": 0},
]


def plan_of(given):
    tables = [np.array(given[name], np.int32) for name in ("monomials", "factors", "pieces", "ops")]
    return native.kernel().TransferPlan(
        given["qubits"],
        given.get("parameters", 1),
        given.get("features", 1),
        tables[0],
        np.array(given["coefficients"], float),
        *tables[1:],
        np.tile(np.eye(4).ravel(), (given["small"], 1)),
        np.tile(np.eye(16).ravel(), (given["large"], 1)),
    )


@pytest.mark.parametrize("change", BAD, ids=str)
def test_bad_plans_are_refused_not_run(change):
    assert plan_of(GOOD).words == 16
    with pytest.raises(ValueError, match="kernel: expected"):
        plan_of(GOOD | change)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": (1, 2)},
        {"features": (3, 2)},
        {"features": (2, 1)},
        {"start": (3, 8)},
        {"start": (2, 16)},
        {"out": (3, 8)},
        {"grad_parameters": (1, 3)},
        {"grad_features": (3, 0)},
        {"grad_start": (2, 16)},
    ],
    ids=str,
)
def test_arrays_of_wrong_shapes_are_refused(change):
    shapes = {
        "parameters": (1, 1),
        "features": (3, 1),
        "start": (3, 16),
        "out": (3, 16),
        "grad_parameters": (1, 1),
        "grad_features": (3, 1),
        "grad_start": (3, 16),
    }

    def run(shapes):
        arrays = [np.zeros(shape) for shape in shapes.values()]
        native.kernel().transfer(plan_of(GOOD), False, *arrays, True, 1)

    run(shapes)
    with pytest.raises(ValueError, match="kernel: expected"):
        run(shapes | change)
