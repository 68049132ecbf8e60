"""Exact noise against the reference and PennyLane; shots against the exact distribution."""

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from robustq import engine
from robustq.circuits import Circuit, Projector, ansaetze, encodings, op, pauli, per_qubit_z, z
from robustq.circuits import x as feature
from robustq.engine import reference
from robustq.errors import CircuitError, SpecError
from robustq.noise import Channel, NoiseModel, Readout, Rule
from strategies import channels, circuits, data, everything, noise_models, observables

OBSERVABLES = (z(0), z(1, 2), pauli("XY", 0, 3), Projector(("01", "11"), (2, 0)))


def model(name="depolarising", p=0.07):
    return NoiseModel.after_every_gate(Channel(name, p), readout=Readout(0.03, 0.08))


def test_depolarising_shrinks_z_by_its_probability():
    rho = np.array([[1, 0], [0, 0]], dtype=complex)
    out = (Channel("depolarising", 0.3).superoperator @ rho.ravel()).reshape(2, 2)
    np.testing.assert_allclose(out, np.diag([0.85, 0.15]), atol=1e-15)


@pytest.mark.parametrize("channel", channels(), ids=lambda channel: channel.name)
@pytest.mark.parametrize("method", ["density", "heisenberg", "auto"])
def test_every_channel_agrees_with_the_reference(rng, channel, method):
    circuit = everything(rng, repeats=1)
    noise = NoiseModel.after_every_gate(channel, readout=Readout(0.03, 0.08))
    inputs, parameters = data(rng, circuit, 2)
    ours = engine.expectations(
        circuit,
        OBSERVABLES,
        inputs=torch.tensor(inputs),
        parameters=torch.tensor(parameters),
        noise=noise,
        method=method,
    )
    theirs = reference.expectations(circuit, OBSERVABLES, inputs, parameters, noise)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-10)


@given(st.data())
def test_random_noisy_circuits_agree_with_the_reference(draw):
    circuit = draw.draw(circuits(max_qubits=3, max_operations=8))
    observable = draw.draw(observables(circuit.qubits))
    noise = draw.draw(noise_models(circuit.qubits))
    inputs, parameters = np.array([[0.5, 1.0, 0.25]]), np.array([0.3, -1.0, 2.0, 0.7])
    theirs = reference.expectations(circuit, [observable], inputs, parameters, noise)
    frozen = engine.FrozenModel(circuit, [observable], torch.tensor(parameters), noise=noise)
    for method in ("density", "heisenberg"):
        ours = engine.expectations(
            circuit,
            [observable],
            inputs=torch.tensor(inputs),
            noise=noise,
            method=method,
            parameters=torch.tensor(parameters),
        )
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-9)
    np.testing.assert_allclose(frozen(torch.tensor(inputs)).numpy(), theirs, atol=1e-9)


def test_agrees_with_pennylanes_mixed_device(rng):
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
    inputs, parameters = data(rng, circuit, 2)

    @qml.qnode(qml.device("default.mixed", wires=3))
    def node(x):
        for o in circuit.operations:
            angles = [reference.angle_value(a, x, parameters) for a in o.angles]
            {"ry": qml.RY, "rot": qml.Rot, "cx": qml.CNOT}[o.gate](*angles, wires=o.qubits)
            for q in o.qubits:
                # PennyLane's p is the chance of a Pauli error, three quarters of ours
                qml.DepolarizingChannel(0.75 * 0.02, wires=q)
                qml.AmplitudeDamping(0.1, wires=q)
        return [qml.expval(qml.Z(0)), qml.expval(qml.X(1) @ qml.Y(2))]

    noise = NoiseModel.after_every_gate(Channel("depolarising", 0.02), Channel("amplitude-damping", 0.1))
    ours = engine.expectations(
        circuit,
        [z(0), pauli("XY", 1, 2)],
        noise=noise,
        inputs=torch.tensor(inputs),
        parameters=torch.tensor(parameters),
    )
    theirs = np.array([[float(v) for v in node(x)] for x in inputs])
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-10)


@pytest.mark.parametrize("shots", [None, 200_000])
def test_every_qubit_has_its_own_readout(rng, generator, shots):
    """Read-out error of one qubit alone, by the closed form of a flipped <Z>."""
    circuit = encodings.angle(2)
    noise = NoiseModel(readouts=((1, Readout(0.1, 0.3)),))
    means = engine.expectations(
        circuit,
        [z(0), z(1)],
        inputs=torch.tensor([[0.2, 0.6]], dtype=torch.float64),
        noise=noise,
        shots=shots,
        generator=generator,
    )
    expected = [np.cos(0.2 * np.pi), 0.6 * np.cos(0.6 * np.pi) + 0.2]
    np.testing.assert_allclose(means[0].numpy(), expected, atol=0.02 if shots else 1e-12)


def test_channels_on_spectators_survive_freezing(rng):
    """The rule strikes a qubit that its gate does not touch, before an encoder of that qubit."""
    circuit = Circuit.of(2, [op("h", 0), op("ry", 1, angles=[feature(0)]), op("cx", 1, 0)])
    noise = NoiseModel((Rule(Channel("bit-flip", 0.2), gates=("h",), on=(1,)),))
    inputs, none = np.array([[0.4]]), np.zeros(0)
    theirs = reference.expectations(circuit, [z(1), z(0, 1)], inputs, none, noise)
    frozen = engine.FrozenModel(circuit, [z(1), z(0, 1)], torch.tensor(none), noise=noise)
    np.testing.assert_allclose(frozen(torch.tensor(inputs)).numpy(), theirs, atol=1e-12)
    assert abs(theirs[0, 0] - 0.6 * np.cos(0.4)) < 1e-12


@pytest.mark.parametrize("method", ["density", "heisenberg"])
def test_noisy_gradients_pass_gradcheck(rng, method):
    circuit = encodings.dense_angle(4).then(ansaetze.hardware_efficient(2, layers=1))
    x = torch.tensor(rng.normal(size=(2, 4)), requires_grad=True)
    theta = torch.tensor(rng.normal(size=circuit.parameters), requires_grad=True)

    def run(a, b):
        return engine.expectations(
            circuit, [z(0), pauli("XY", 0, 1)], inputs=a, parameters=b, noise=model(), method=method
        )

    assert torch.autograd.gradcheck(run, (x, theta))


def test_observables_of_one_setting_are_drawn_together(generator):
    """Bell state: Z0 and Z1 must agree shot for shot, so both estimates are equal."""
    bell = Circuit.of(2, [op("h", 0), op("cx", 0, 1)])
    drawn = engine.expectations(bell, [z(0), z(1), z(0, 1)], shots=100, generator=generator)
    assert drawn[0, 0] == drawn[0, 1]
    assert drawn[0, 2] == 1
    assert abs(float(drawn[0, 0])) < 0.5


@pytest.mark.statistical
def test_shots_follow_the_exact_distribution(rng, generator):
    """Counts of one outcome over many draws against the binomial, by a chi-square test."""
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    theta = torch.tensor(rng.normal(size=circuit.parameters))
    x = torch.full((4000, 2), 0.3, dtype=torch.float64)
    effect = [Projector(("01",), (0, 1))]
    exact = engine.expectations(circuit, effect, inputs=x[:1], parameters=theta, noise=model())
    drawn = engine.expectations(
        circuit, effect, inputs=x, parameters=theta, noise=model(), shots=4, generator=generator
    )
    p = float(exact)
    expected = [4000 * np.prod([p] * k) * np.prod([1 - p] * (4 - k)) * c for k, c in enumerate((1, 4, 6, 4, 1))]
    counts = np.bincount((drawn[:, 0] * 4).round().long().numpy(), minlength=5)
    assert chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.statistical
@pytest.mark.parametrize("observable", [z(0), pauli("XY", 0, 1) + 0.5 * z(1), z(0) + 0.3 * z(0, 1)])
def test_shot_means_are_unbiased(rng, generator, observable):
    circuit = encodings.angle(2).then(ansaetze.strongly_entangling(2, layers=1))
    theta = torch.tensor(rng.normal(size=circuit.parameters))
    x = torch.full((2000, 2), 0.4, dtype=torch.float64)
    run = {"inputs": x, "parameters": theta, "noise": model("phase-damping", 0.2)}
    exact = engine.expectations(circuit, [observable], **run)[0, 0]
    drawn = engine.expectations(circuit, [observable], **run, shots=50, generator=generator)[:, 0]
    error = drawn.std() / len(drawn) ** 0.5
    assert abs(drawn.mean() - exact) < 4 * error


def test_same_generator_same_shots():
    circuit = encodings.angle(2)
    x = torch.tensor([[0.3, 0.6]])

    def draw(seed):
        return engine.expectations(
            circuit, per_qubit_z(2, 2), inputs=x, shots=20, generator=torch.Generator().manual_seed(seed)
        )

    assert torch.equal(draw(1), draw(1))
    assert any(not torch.equal(draw(1), draw(seed)) for seed in range(2, 6))


def test_settings_count_circuits_on_a_device():
    circuit = encodings.angle(2)
    assert engine.settings(circuit, [z(0), z(1), Projector(("0",), (0,))]) == 1
    assert engine.settings(circuit, [z(0), pauli("X", 0) + pauli("Y", 1)]) == 3


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"inputs": torch.zeros(3)}, CircuitError, r"\(batch, 2\)"),
        ({"inputs": torch.zeros(3, 5)}, CircuitError, r"\(batch, 2\), got \(3, 5\)"),
        ({"inputs": torch.zeros(3, 2, dtype=torch.long)}, CircuitError, "float32 or float64"),
        ({"inputs": torch.full((1, 2), torch.nan)}, CircuitError, "finite inputs"),
        ({"parameters": torch.zeros(3)}, CircuitError, r"parameters of shape \(4,\), got \(3,\)"),
        ({"parameters": torch.zeros(4, dtype=torch.float64)}, CircuitError, "dtype"),
        ({"parameters": torch.full((4,), torch.inf)}, CircuitError, "finite parameters"),
        ({"shots": 10}, CircuitError, "generator with shots"),
        ({"shots": 0, "generator": torch.Generator()}, CircuitError, "shots >= 1"),
        ({"method": "densty"}, SpecError, "did you mean 'density'"),
        ({"method": "statevector", "noise": model()}, CircuitError, "no channels"),
        ({"observables": []}, CircuitError, "at least one observable"),
        ({"observables": [z(5)]}, CircuitError, r"qubits 0\.\.1"),
        ({"observables": [pauli("X", 5)]}, CircuitError, r"qubits 0\.\.1, got \(5,\)"),
        ({"observables": [pauli("X", 5)], "noise": model()}, CircuitError, r"qubits 0\.\.1"),
    ],
)
def test_bad_input_is_named(kwargs, error, message):
    circuit = encodings.angle(2).then(ansaetze.brickwork(2, layers=2))
    given = {"inputs": torch.zeros(3, 2), "parameters": torch.zeros(4), **kwargs}
    chosen = given.pop("observables", [z(0)])
    kind = error if error is SpecError else Exception
    with pytest.raises(kind, match=message) as caught:
        engine.expectations(circuit, chosen, **given)
    assert isinstance(caught.value, ValueError)


def test_too_many_qubits_says_how_much_memory():
    circuit = encodings.angle(40)
    with pytest.raises(CircuitError, match="GiB of free memory, got a need of"):
        engine.expectations(circuit, [z(0)], inputs=torch.zeros(1, 40))


@pytest.mark.parametrize("build", [lambda: Channel("bit-flip", 1.5), lambda: Readout(p01=-0.1)])
def test_impossible_probabilities_are_refused(build):
    with pytest.raises(CircuitError, match=r"in \[0, 1\]"):
        build()


def test_unknown_channel_suggests_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'depolarising'"):
        Channel("depolarizing", 0.1)
