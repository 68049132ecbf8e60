"""Kernels against explicit loops over the slow reference, and PennyLane."""

import math

import numpy as np
import pennylane as qml
import pytest
import torch

from robustq import engine
from robustq.circuits import ansaetze, encodings
from robustq.engine import kernels, reference
from robustq.errors import CircuitError, DataError
from robustq.noise import Channel, NoiseModel, Readout
from strategies import data, everything

NOISE = NoiseModel.after_every_gate(Channel("amplitude-damping", 0.1), readout=Readout(0.02, 0.05))
PAULIS = [np.array(m) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]


@pytest.fixture
def case(rng):
    """Every gate on three qubits, five samples and three others."""
    circuit = everything(rng, qubits=3, repeats=1)
    inputs, parameters = data(rng, circuit, 8)
    return circuit, torch.tensor(inputs[:5]), torch.tensor(inputs[5:]), torch.tensor(parameters)


def densities(circuit, features, parameters, noise=None):
    return [reference.density(circuit, row, parameters.numpy(), noise or NoiseModel()) for row in features.numpy()]


@pytest.mark.parametrize("noise", [None, NOISE])
def test_fidelity_agrees_with_loops_over_the_reference(case, noise):
    circuit, a, b, parameters = case
    ours = engine.fidelity_kernel(circuit, a, b, parameters=parameters, noise=noise)
    left, right = (densities(circuit, part, parameters, noise) for part in (a, b))
    theirs = [[np.trace(p @ q).real for q in right] for p in left]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-10)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_projected_agrees_with_loops_over_the_reference(case, noise):
    circuit, a, b, parameters = case
    ours = engine.projected_kernel(circuit, a, b, gamma=0.7, parameters=parameters, noise=noise)

    def marginals(rho):
        """One-qubit densities from Pauli means; read-out error turns ``P`` into ``a P + b``."""
        error = Readout() if noise is None else noise.readout
        scale, offset = 1 - error.p01 - error.p10, error.p10 - error.p01
        for q in range(3):
            means = [scale * np.trace(reference.embed(p, [q], 3) @ rho).real + offset for p in PAULIS]
            yield (np.eye(2) + sum(r * p for r, p in zip(means, PAULIS, strict=True))) / 2

    left, right = ([list(marginals(rho)) for rho in densities(circuit, part, parameters, noise)] for part in (a, b))
    for i, p in enumerate(left):
        for j, q in enumerate(right):
            distance = sum(np.linalg.norm(u - v) ** 2 for u, v in zip(p, q, strict=True))
            assert float(ours[i, j]) == pytest.approx(math.exp(-0.7 * distance), abs=1e-10)


def test_agrees_with_pennylane(rng):
    device = qml.device("default.qubit", wires=2)

    def feature_map(sample):
        for q in range(2):
            qml.Hadamard(q)
        for q in range(2):
            qml.RZ(sample[q], q)
        qml.IsingZZ(sample[0] * sample[1], [0, 1])

    @qml.qnode(device)
    def overlap(u, v):
        feature_map(u)
        qml.adjoint(feature_map)(v)
        return qml.probs(wires=[0, 1])

    features = rng.normal(size=(4, 2))
    theirs = qml.kernels.square_kernel_matrix(features, lambda u, v: overlap(u, v)[0])
    ours = engine.fidelity_kernel(encodings.iqp(2, repeats=1), torch.tensor(features))
    np.testing.assert_allclose(ours.numpy(), np.array(theirs), atol=1e-10)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_square_kernels_are_kernels(case, noise):
    circuit, a, _, parameters = case
    arguments = {"parameters": parameters, "noise": noise}
    fidelity = engine.fidelity_kernel(circuit, a, **arguments)
    projected = engine.projected_kernel(circuit, a, gamma=2.0, **arguments)
    for kernel in (fidelity, projected):
        assert torch.equal(kernel, kernel.T)
        assert torch.linalg.eigvalsh(kernel).min() > -1e-10
    purity = [np.trace(rho @ rho).real for rho in densities(circuit, a, parameters, noise)]
    np.testing.assert_allclose(fidelity.diagonal().numpy(), purity, atol=1e-10)
    np.testing.assert_allclose(projected.diagonal().numpy(), 1, atol=1e-12)
    same = engine.fidelity_kernel(circuit, a, a, **arguments)
    torch.testing.assert_close(fidelity, same)


def test_real_states_use_real_arithmetic(rng):
    circuit = encodings.angle(4).then(ansaetze.brickwork(4, layers=2))
    a = torch.tensor(rng.normal(size=(6, 4)))
    parameters = torch.tensor(rng.normal(size=circuit.parameters))
    states = kernels._vectors(circuit, a, parameters, None)
    assert not states.is_complex()
    full = engine.evolve(circuit, a, parameters)
    kernel = engine.fidelity_kernel(circuit, a, parameters=parameters)
    torch.testing.assert_close(kernel, (full @ full.mH).abs() ** 2)


def test_amplitude_kernels_are_squared_cosines(rng):
    a = torch.tensor(rng.normal(size=(5, 8)))
    unit = a / a.norm(dim=1, keepdim=True)
    kernel = engine.fidelity_kernel(encodings.amplitude(8), a)
    torch.testing.assert_close(kernel, (unit @ unit.T) ** 2)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_bands_change_nothing(case, noise, monkeypatch):
    circuit, a, b, parameters = case
    arguments = {"parameters": parameters, "noise": noise}
    whole = engine.fidelity_kernel(circuit, a, b, **arguments)
    monkeypatch.setattr(kernels, "ENTRIES", 8)
    monkeypatch.setattr(kernels, "AMPLITUDES", 16)
    torch.testing.assert_close(engine.fidelity_kernel(circuit, a, b, **arguments), whole)


@pytest.mark.parametrize("noise", [None, NOISE])
@pytest.mark.parametrize("kind", ["fidelity", "projected"])
def test_gradients(rng, noise, kind):
    circuit = encodings.dense_angle(3).then(ansaetze.hardware_efficient(2, layers=1))
    a, b = (torch.tensor(rng.normal(size=(n, 3)), requires_grad=True) for n in (2, 3))
    parameters = torch.tensor(rng.normal(size=circuit.parameters), requires_grad=True)

    def kernel(left, right, angles):
        options = {"parameters": angles, "noise": noise}
        if kind == "fidelity":
            return engine.fidelity_kernel(circuit, left, right, **options)
        return engine.projected_kernel(circuit, left, right, gamma=0.5, **options)

    assert torch.autograd.gradcheck(kernel, (a, b, parameters))


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("noise", [None, NOISE])
def test_shots_scatter_about_the_exact_kernel(case, generator, noise, square):
    circuit, a, b, parameters = case
    arguments = {"parameters": parameters, "noise": noise}
    other, shots, repeats = None if square else b, 50, 300
    exact = engine.fidelity_kernel(circuit, a, other, **arguments)
    drawn = torch.stack(
        [
            engine.fidelity_kernel(circuit, a, other, **arguments, shots=shots, generator=generator)
            for _ in range(repeats)
        ]
    )
    spread = exact * (1 - exact) if noise is None else 1 - exact**2
    sigma = (spread.clamp_min(0) / shots / repeats).sqrt()
    assert ((drawn.mean(0) - exact).abs() < 4 * sigma + 1e-9).all()
    torch.testing.assert_close(drawn.var(0), spread / shots, atol=0.006, rtol=0.35)
    if square:
        assert torch.equal(drawn, drawn.mT)
        assert noise is not None or bool((drawn.diagonal(dim1=1, dim2=2) == 1).all())


def test_projected_shots(case, generator):
    circuit, a, _, parameters = case
    arguments = {"gamma": 0.5, "parameters": parameters}
    exact = engine.projected_kernel(circuit, a, **arguments)
    drawn = engine.projected_kernel(circuit, a, **arguments, shots=1_000_000, generator=generator)
    torch.testing.assert_close(drawn, exact, atol=0.01, rtol=0)
    assert torch.equal(drawn, drawn.T)
    few = engine.projected_kernel(circuit, a, **arguments, shots=10, generator=generator)
    assert few.mean() < exact.mean()  # distances are biased upwards


def test_read_out_error_alone_leaves_states_pure(case, generator):
    circuit, a, b, parameters = case
    arguments = {"parameters": parameters, "shots": 40}
    drawn = [
        engine.fidelity_kernel(circuit, a, b, **arguments, noise=noise, generator=generator.manual_seed(1))
        for noise in (None, NoiseModel(readout=Readout(0.1, 0.2)))
    ]
    assert torch.equal(*drawn)


def test_the_generator_decides(case):
    circuit, a, b, parameters = case

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return engine.fidelity_kernel(circuit, a, b, parameters=parameters, shots=20, generator=generator)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_empty_sides(dtype):
    circuit, a = encodings.iqp(2), torch.rand(3, 2, dtype=dtype)
    for noise in (None, NOISE):
        assert engine.fidelity_kernel(circuit, a, noise=noise).dtype == dtype
        assert engine.fidelity_kernel(circuit, a, a[:0], noise=noise).shape == (3, 0)
        assert engine.projected_kernel(circuit, a[:0], a, gamma=1, noise=noise).shape == (0, 3)


def test_clear_errors(generator):
    circuit, a = encodings.angle(2), torch.zeros(3, 2)
    with pytest.raises(CircuitError, match="generator"):
        engine.fidelity_kernel(circuit, a, shots=5)
    with pytest.raises(CircuitError, match="shots >= 1"):
        engine.projected_kernel(circuit, a, gamma=1, shots=0, generator=generator)
    with pytest.raises(CircuitError, match="gamma >= 0"):
        engine.projected_kernel(circuit, a, gamma=-1)
    with pytest.raises(DataError, match="expected inputs of shape"):
        engine.fidelity_kernel(circuit, a, a[:, :1])
