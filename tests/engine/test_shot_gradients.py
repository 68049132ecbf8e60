"""Shift rules against autograd and PennyLane; sampled gradients against the exact ones."""

import math
from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import GATES, Circuit, Projector, ansaetze, encodings, op, pauli, theta, x, z
from robustq.engine import shot_gradients
from robustq.engine.shot_gradients import shift_rule, unfolded
from robustq.errors import CircuitError, DataError
from robustq.noise import Channel, NoiseModel, Readout
from strategies import circuits, data, everything, observables

BOTH = ("inputs", "parameters")
NOISE = NoiseModel.after_every_gate(Channel("amplitude-damping", 0.1), readout=Readout(0.03, 0.08))
READ = (z(0), pauli("XY", 0, 1) + 0.5 * pauli("Z", 1), Projector(("01", "11"), (1, 0)))


def autograd(circuit, chosen, inputs, parameters, noise=None):
    """Derivatives ``(batch, observables, .)`` of the exact expectations, one entry at a time."""
    method = "statevector" if noise is None else "density"

    def single(sample, angles):
        return engine.expectations(
            circuit, chosen, inputs=sample[None], parameters=angles, noise=noise, method=method
        )[0]

    pairs = [torch.autograd.functional.jacobian(single, (sample, parameters)) for sample in inputs]
    return tuple(torch.stack(column) for column in zip(*pairs, strict=True))


def small(rng):
    """Two qubits, a four-term gate, a three-angle gate, products of slots and reused slots."""
    circuit = Circuit.of(
        2,
        [
            op("ry", 0, angles=[x(0)]),
            op("h", 1),
            op("crx", 0, 1, angles=[x(1) * theta(0) + 0.3]),
            op("rot", 1, angles=[theta(1), x(0) + theta(2), 0.4]),
            op("rxx", 0, 1, angles=[theta(0)]),
        ],
    )
    inputs, parameters = data(rng, circuit, 2)
    return circuit, torch.tensor(inputs), torch.tensor(parameters)


@pytest.mark.parametrize("name", [n for n, row in GATES.items() if row.parameters == 1])
def test_the_rule_is_exact_for_every_frequency_of_its_gate(name):
    levels = np.linalg.eigvalsh(GATES[name].generator_matrix)
    for frequency in np.unique(np.round(levels[:, None] - levels, 9)):
        value = sum(w * math.sin(frequency * (0.7 + s) + 0.2) for s, w in shift_rule(name))
        assert value == pytest.approx(frequency * math.cos(frequency * 0.7 + 0.2), abs=1e-12)
    assert len(shift_rule(name)) == (4 if name in ("crx", "cry", "crz") else 2)


@pytest.mark.parametrize("name", ["h", "rot"])
def test_gates_without_one_angle_have_no_rule(name):
    with pytest.raises(CircuitError, match="expected one angle"):
        shift_rule(name)


def test_frequencies_without_a_common_spacing_are_refused(monkeypatch):
    uneven = replace(GATES["rzz"], generator={"ZI": 0.5, "IZ": 0.35})
    monkeypatch.setattr(shot_gradients, "gate", lambda name: uneven)
    with pytest.raises(CircuitError, match="expected equally spaced frequencies"):
        shot_gradients._frequencies("uneven")


def test_every_gate_agrees_with_autograd(rng):
    circuit = everything(rng)
    inputs, parameters = map(torch.tensor, data(rng, circuit, 2))
    found = engine.shot_gradient(circuit, READ, inputs=inputs, parameters=parameters, shots=None, wrt=BOTH)
    by_x, by_theta = autograd(circuit, READ, inputs, parameters)
    torch.testing.assert_close(found.inputs, by_x, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.parameters, by_theta, atol=1e-10, rtol=0)
    exact = engine.expectations(circuit, READ, inputs=inputs, parameters=parameters)
    torch.testing.assert_close(found.values, exact, atol=1e-12, rtol=0)
    assert found.shots == 0
    assert not found.inputs_error.any()


@given(st.data())
def test_random_circuits_agree_with_autograd(draw):
    circuit = draw.draw(circuits(max_operations=8, amplitudes=False))
    chosen = [draw.draw(observables(circuit.qubits))]
    inputs = torch.tensor([[0.5, 1.25, -0.75]], dtype=torch.float64)
    parameters = torch.tensor([0.3, -1.0, 2.0, 0.7], dtype=torch.float64)
    found = engine.shot_gradient(circuit, chosen, inputs=inputs, parameters=parameters, shots=None, wrt=BOTH, chunk=7)
    for ours, theirs in zip(
        (found.inputs, found.parameters), autograd(circuit, chosen, inputs, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-10)


def test_noise_leaves_the_rule_exact(rng):
    circuit, inputs, parameters = small(rng)
    found = engine.shot_gradient(
        circuit, READ, inputs=inputs, parameters=parameters, noise=NOISE, shots=None, wrt=BOTH
    )
    by_x, by_theta = autograd(circuit, READ, inputs, parameters, NOISE)
    torch.testing.assert_close(found.inputs, by_x, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.parameters, by_theta, atol=1e-10, rtol=0)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_sampled_gradients_are_unbiased_and_know_their_error(rng, generator, noise):
    """600 repetitions: the mean within 4 standard errors, the stated error within its own scatter."""
    circuit, inputs, parameters = small(rng)
    repeats, shots = 600, 50
    many = inputs[:1].repeat(repeats, 1)
    found = engine.shot_gradient(
        circuit, READ, inputs=many, parameters=parameters, noise=noise, shots=shots, generator=generator, wrt=BOTH
    )
    by_x, by_theta = autograd(circuit, READ, inputs[:1], parameters, noise)
    for drawn, stated, exact in (
        (found.inputs, found.inputs_error, by_x),
        (found.parameters, found.parameters_error, by_theta),
    ):
        scatter = drawn.std(0)
        assert ((drawn.mean(0) - exact[0]).abs() <= 4 * scatter / repeats**0.5 + 1e-12).all()
        variance = (stated**2).mean(0)
        assert (variance <= scatter**2 * 1.3 + 1e-12).all()
        assert (variance >= scatter**2 / 1.3 - 1e-12).all()


def test_values_and_their_errors_are_those_of_the_unshifted_circuit(rng, generator):
    circuit, inputs, parameters = small(rng)
    found = engine.shot_gradient(
        circuit, READ, inputs=inputs[:1].repeat(2000, 1), parameters=parameters, shots=40, generator=generator
    )
    exact = engine.expectations(circuit, READ, inputs=inputs[:1], parameters=parameters)
    scatter = found.values.std(0)
    assert ((found.values.mean(0) - exact[0]).abs() < 4 * scatter / 2000**0.5).all()
    ratio = (found.values_error**2).mean(0) / scatter**2
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=0.15, rtol=0)


def test_counts_by_hand(rng, generator):
    circuit, inputs, parameters = small(rng)
    # Inputs: ry (2), crx (4), the middle angle of rot (2). Settings: Z basis, XY, and the Z of the sum.
    assert engine.settings(circuit, READ) == 3
    found = engine.shot_gradient(circuit, READ, inputs=inputs, parameters=parameters, shots=10, generator=generator)
    assert found.circuits == 2 * (1 + 8) * 3
    assert found.shots == 10 * found.circuits
    assert found.parameters is None
    assert found.parameters_error is None
    # Parameters: crx (4), two angles of rot (4), rxx (2).
    found = engine.shot_gradient(
        circuit, [z(0)], inputs=inputs, parameters=parameters, shots=7, generator=generator, wrt=["parameters"]
    )
    assert (found.circuits, found.shots) == (2 * 11, 2 * 11 * 7)
    assert found.inputs is None


def test_unfolding_keeps_gates_and_unwanted_angles(rng):
    circuit, *_ = small(rng)
    plan = unfolded(circuit, ("inputs",))
    assert plan.circuit.counts == circuit.counts
    assert plan.circuit.inputs == 2 + 3
    assert plan.circuit.operations[-1] == circuit.operations[-1]
    assert unfolded(circuit).circuit.inputs == 2 + 5


def test_agrees_with_pennylane():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w):
        qml.RY(w[0], wires=0)
        qml.CRX(w[1], wires=[0, 1])
        qml.Rot(w[0] * w[1], w[2], 0.3, wires=1)
        return qml.expval(qml.PauliZ(1))

    w = qml.numpy.array([0.4, -1.1, 0.8], requires_grad=True)
    theirs = qml.gradients.param_shift(node)(w)
    circuit = Circuit.of(
        2, [op("ry", 0, angles=[x(0)]), op("crx", 0, 1, angles=[x(1)]), op("rot", 1, angles=[x(0) * x(1), x(2), 0.3])]
    )
    ours = engine.shot_gradient(circuit, [z(1)], inputs=torch.tensor(np.array(w))[None], shots=None)
    np.testing.assert_allclose(ours.inputs[0, 0].numpy(), np.array(theirs), atol=1e-10)


def test_the_generator_decides(rng):
    circuit, inputs, parameters = small(rng)

    def draw(seed):
        return engine.shot_gradient(
            circuit,
            READ,
            inputs=inputs,
            parameters=parameters,
            noise=NOISE,
            shots=20,
            generator=torch.Generator().manual_seed(seed),
            wrt=BOTH,
        )

    assert torch.equal(draw(1).inputs, draw(1).inputs)
    assert torch.equal(draw(1).parameters_error, draw(1).parameters_error)
    assert not torch.equal(draw(1).inputs, draw(2).inputs)


@pytest.mark.parametrize("chunk", [1, 3, 10, 1000])
def test_chunks_change_nothing_without_shots(rng, chunk):
    circuit, inputs, parameters = small(rng)
    whole, parts = (
        engine.shot_gradient(circuit, READ, inputs=inputs, parameters=parameters, shots=None, wrt=BOTH, chunk=size)
        for size in (None, chunk)
    )
    torch.testing.assert_close(whole.inputs, parts.inputs)
    torch.testing.assert_close(whole.parameters, parts.parameters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_empty_batches_and_single_shots(rng, generator, dtype):
    circuit, inputs, parameters = small(rng)
    inputs, parameters = inputs.to(dtype), parameters.to(dtype)
    found = engine.shot_gradient(circuit, READ, inputs=inputs, parameters=parameters, shots=1, generator=generator)
    assert found.inputs.dtype == found.inputs_error.dtype == dtype
    assert found.inputs_error.isnan().all()
    empty = engine.shot_gradient(
        circuit, READ, inputs=inputs[:0], parameters=parameters, shots=5, generator=generator
    )
    assert empty.inputs.shape == (0, 3, 2)
    assert empty.circuits == 0


def test_nothing_to_shift_is_a_zero_gradient():
    circuit = Circuit(1, (op("h", 0),), inputs=2)
    found = engine.shot_gradient(circuit, [z(0)], inputs=torch.ones(3, 2), shots=None)
    assert found.inputs.shape == (3, 1, 2)
    assert not found.inputs.any()
    assert found.circuits == 3


def test_amplitudes_have_no_rule_but_parameters_behind_them_do(generator):
    circuit = encodings.amplitude(4).then(ansaetze.hardware_efficient(2, layers=1))
    inputs, parameters = torch.rand(3, 4, generator=generator), torch.rand(4, generator=generator)
    arguments = {"inputs": inputs.double(), "parameters": parameters.double()}
    with pytest.raises(CircuitError, match="amplitude-encoded"):
        engine.shot_gradient(circuit, [z(0)], **arguments, shots=None)
    found = engine.shot_gradient(circuit, [z(0)], **arguments, shots=None, wrt=("parameters",))
    _, exact = autograd(circuit, [z(0)], arguments["inputs"], arguments["parameters"])
    torch.testing.assert_close(found.parameters, exact, atol=1e-10, rtol=0)
    arguments["inputs"].requires_grad_()
    with pytest.raises(CircuitError, match="amplitude-encoded"):
        engine.shot_expectations(circuit, [z(0)], **arguments, shots=5, generator=generator)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"wrt": ()}, "expected wrt"),
        ({"wrt": ("theta",)}, "expected wrt"),
        ({"shots": 0}, "expected shots >= 1"),
        ({"generator": None}, "generator"),
        ({"chunk": 0}, "expected chunk >= 1"),
        ({"inputs": torch.zeros(2, 3)}, "expected inputs of shape"),
    ],
)
def test_clear_errors(generator, wrong, message):
    given = {"inputs": torch.zeros(2, 1), "shots": 5, "generator": generator} | wrong
    with pytest.raises((CircuitError, DataError), match=message):
        engine.shot_gradient(encodings.angle(1), [z(0)], **given)


def test_losses_of_sampled_expectations_can_be_differentiated(rng, generator):
    circuit, inputs, parameters = small(rng)
    repeats = 500
    many = inputs[:1].repeat(repeats, 1).requires_grad_()
    parameters.requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    sampled = engine.shot_expectations(
        circuit, READ, inputs=many, parameters=parameters, noise=NOISE, shots=30, generator=generator
    )
    assert len(sampled.unique(dim=0)) > 1
    (sampled @ weights).mean().backward()
    by_x, by_theta = autograd(circuit, READ, inputs[:1], parameters.detach(), NOISE)
    drawn = many.grad * repeats
    exact = torch.einsum("o,of->f", weights, by_x[0])
    assert ((drawn.mean(0) - exact).abs() < 4 * drawn.std(0) / repeats**0.5 + 1e-12).all()
    single = engine.shot_gradient(
        circuit,
        READ,
        inputs=inputs[:1],
        parameters=parameters,
        noise=NOISE,
        shots=30,
        generator=generator,
        wrt="parameters",
    )
    scale = (weights.abs() @ single.parameters_error[0]) / repeats**0.5  # bounds the true scatter
    assert ((parameters.grad - weights @ by_theta[0]).abs() < 5 * scale + 1e-12).all()


def test_only_what_requires_gradients_is_shifted_and_backward_is_reproducible(rng):
    circuit, inputs, parameters = small(rng)
    inputs.requires_grad_()

    def gradient():
        generator = torch.Generator().manual_seed(3)
        sampled = engine.shot_expectations(
            circuit, [z(1)], inputs=inputs, parameters=parameters, shots=30, generator=generator
        )
        return torch.autograd.grad(sampled.sum(), inputs)[0]

    assert torch.equal(gradient(), gradient())
    with torch.no_grad():
        assert not engine.shot_expectations(
            circuit, [z(1)], inputs=inputs, parameters=parameters, shots=30, generator=torch.Generator()
        ).requires_grad
