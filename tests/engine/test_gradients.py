"""Gradients of every path by finite differences, first and (where there are any) second."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from cases import few
from robustq import engine
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, theta, x, z
from robustq.engine import measurement, native, transfer
from robustq.noise import Channel, NoiseModel, Readout, Rule
from strategies import data

OBSERVABLES = (z(0), pauli("XY", 0, 1) + 0.5 * pauli("ZZ", 0, 1))
NOISE = NoiseModel(
    (
        Rule(Channel("amplitude-damping", 0.1)),
        Rule(Channel("depolarising-2", 0.05), width=2),
        Rule(Channel("over-rotation", "x", 0.2), gates=("ry",)),
    ),
    Readout(0.02, 0.06),
)
QUIET = NoiseModel()


def products():
    """Angles that are products of slots, on both sides of an entangling gate, and shared ones."""
    return Circuit.of(
        2,
        [
            op("u3", 0, angles=[x(0) * theta(0), theta(1) * theta(2), 0.5 * x(1) * x(1) + 0.3]),
            op("rxx", 0, 1, angles=[x(1) * theta(1) + theta(0)]),
            op("crz", 1, 0, angles=[theta(2)]),
            op("ry", 1, angles=[theta(0)]),
            op("ryy", 1, 0, angles=[theta(0) * theta(0)]),
            op("p", 0, angles=[x(0)]),
            op("ry", 0, angles=[theta(1)]),
        ],
    )


CIRCUITS = {
    "angle": lambda: encodings.dense_angle(4).then(ansaetze.hardware_efficient(2, layers=1)),
    "reuploading": lambda: encodings.reuploading(2, qubits=2, layers=2),
    "iqp": lambda: encodings.iqp(2).then(ansaetze.brickwork(2)),
    "amplitudes": lambda: encodings.amplitude(3).then(ansaetze.hardware_efficient(2, layers=1)),
    "products": products,
}
circuit_names = pytest.mark.parametrize("circuit_name", CIRCUITS)
needs_kernel = pytest.mark.skipif(not native.available(), reason="no native kernel here")


def point(rng, circuit, batch=2):
    """Leaves of float64 at which no amplitude vector is near zero."""
    inputs, parameters = data(rng, circuit, batch)
    return (torch.tensor(0.3 * inputs + 0.7, requires_grad=True), torch.tensor(parameters, requires_grad=True))


def expectation(circuit, method, noise):
    def run(inputs, parameters):
        return engine.expectations(
            circuit, OBSERVABLES, inputs=inputs, parameters=parameters, method=method, noise=noise
        )

    return run


def forwards(circuit):
    """The noisy kernel with all of the circuit forwards, none of it pulled back."""
    plan = measurement.exact(OBSERVABLES, circuit.qubits, NOISE.readouts_of(circuit.qubits))

    def run(inputs, parameters):
        found = transfer.rows(circuit, plan, NOISE, inputs, parameters, forwards=True)
        return measurement.combine(found, plan)

    return run


@circuit_names
@pytest.mark.parametrize(
    ("method", "noise"),
    [
        pytest.param("native", QUIET, marks=needs_kernel, id="native"),
        pytest.param("native", NOISE, marks=needs_kernel, id="native-noisy"),
        pytest.param("statevector", QUIET, id="statevector"),
        pytest.param("density", NOISE, id="density"),
        pytest.param("heisenberg", NOISE, id="heisenberg"),
    ],
)
def test_first_and_second_derivatives(rng, circuit_name, method, noise):
    circuit = CIRCUITS[circuit_name]()
    run, leaves = expectation(circuit, method, noise), point(rng, circuit, 1)
    assert gradcheck(run, leaves)
    assert gradgradcheck(run, leaves)
    agree_with_and_without_graph(run, leaves)


def agree_with_and_without_graph(run, leaves):
    """First derivatives are the same whether or not somebody wants second ones."""
    total = run(*leaves).sum()
    plain = torch.autograd.grad(total, leaves, retain_graph=True)
    kept = torch.autograd.grad(total, leaves, create_graph=True)
    for a, b in zip(plain, kept, strict=True):
        torch.testing.assert_close(a, b.detach(), atol=1e-12, rtol=1e-12)


@circuit_names
@needs_kernel
def test_noisy_kernel_forwards(rng, circuit_name):
    circuit = CIRCUITS[circuit_name]()
    run, leaves = forwards(circuit), point(rng, circuit)
    assert gradcheck(run, leaves)
    assert gradgradcheck(run, leaves)
    agree_with_and_without_graph(run, leaves)


@needs_kernel
@pytest.mark.parametrize(
    ("part", "back"),
    few(
        [("whole", True), ("prefix", False), ("suffix", True), ("whole", False), ("prefix", True), ("suffix", False)],
        3,
    ),
)
def test_passages_in_both_directions(rng, part, back):
    """Also what no expectation asks for: inputs on the way back, and any vector to start from."""
    circuit = products()
    by = transfer.passage(circuit, NOISE, part)
    start = torch.tensor(rng.normal(size=(2, 16)), requires_grad=True)

    def run(inputs, parameters, vectors):
        return transfer.evolve(by, inputs, parameters, vectors, back=back)

    leaves = (*point(rng, circuit), start)
    assert gradcheck(run, leaves)
    assert gradgradcheck(run, leaves)


@circuit_names
@pytest.mark.parametrize("noise", [QUIET, NOISE], ids=["pure", "noisy"])
def test_frozen_models(rng, circuit_name, noise):
    circuit = CIRCUITS[circuit_name]()
    inputs, parameters = point(rng, circuit)
    model = engine.FrozenModel(circuit, OBSERVABLES, parameters.detach(), noise=noise, scale=1.5)
    assert gradcheck(model, (inputs,))


@circuit_names
@pytest.mark.parametrize("noise", [None, NOISE], ids=["pure", "noisy"])
def test_fidelity_kernels(rng, circuit_name, noise):
    circuit = CIRCUITS[circuit_name]()
    inputs, parameters = point(rng, circuit)
    others = (inputs.detach()[:1] + 0.2).requires_grad_()

    def between(a, b, angles):
        return engine.fidelity_kernel(circuit, a, b, parameters=angles, noise=noise)

    def within(a, angles):
        return engine.fidelity_kernel(circuit, a, parameters=angles, noise=noise)

    assert gradcheck(between, (inputs, others, parameters))
    assert gradcheck(within, (inputs, parameters))


@pytest.mark.parametrize("wanted", ["inputs", "parameters"])
@pytest.mark.parametrize("noise", [QUIET, NOISE], ids=["pure", "noisy"])
@pytest.mark.parametrize("circuit_name", ["angle", "amplitudes"])
def test_one_kind_alone(rng, circuit_name, noise, wanted):
    circuit = CIRCUITS[circuit_name]()
    leaves = point(rng, circuit, 3)
    run = expectation(circuit, "auto", noise)
    both = dict(zip(("inputs", "parameters"), torch.autograd.grad(run(*leaves).sum(), leaves), strict=True))
    given = dict(zip(both, (leaf.detach().clone() for leaf in leaves), strict=True))
    given[wanted].requires_grad_()
    (alone,) = torch.autograd.grad(run(*given.values()).sum(), given[wanted])
    torch.testing.assert_close(alone, both[wanted], atol=1e-13, rtol=1e-13)
