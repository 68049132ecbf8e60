"""Trajectories against density matrices, their errors against their scatter."""

import numpy as np
import pytest
import torch

from robustq import engine
from robustq.circuits import Circuit, Projector, ansaetze, encodings, op, pauli, z
from robustq.engine import reference
from robustq.errors import CircuitError
from robustq.noise import Channel, NoiseModel, Readout, Rule
from strategies import channels, data, everything

READ = (z(0), pauli("XY", 0, 2) + 0.5 * pauli("Z", 1), Projector(("01", "11"), (2, 0)))


def random_case(rng, batch=2, dtype=torch.float64):
    circuit = everything(rng, qubits=3, repeats=1)
    inputs, parameters = data(rng, circuit, batch)
    return circuit, torch.tensor(inputs, dtype=dtype), torch.tensor(parameters, dtype=dtype)


def short_case(rng, batch=2):
    circuit = encodings.angle(3).then(ansaetze.hardware_efficient(3, layers=2))
    inputs, parameters = data(rng, circuit, batch)
    return circuit, torch.tensor(inputs), torch.tensor(parameters)


def check_agrees(found, exact, atol=1e-9):
    assert ((found.mean - exact).abs() <= 4 * found.standard_error + atol).all()


STRENGTHS = [Channel(name, p) for name in ("depolarising", "amplitude-damping") for p in (0.02, 0.3, 1.0)]


@pytest.mark.parametrize("channel", [*channels(), *STRENGTHS], ids=str)
def test_every_channel_agrees_with_the_density(rng, generator, channel):
    circuit, inputs, parameters = short_case(rng)
    noise = NoiseModel.after_every_gate(channel, readout=Readout(0.03, 0.08))
    arguments = {"inputs": inputs, "parameters": parameters, "noise": noise}
    found = engine.trajectory_expectations(circuit, READ, **arguments, trajectories=1000, generator=generator)
    check_agrees(found, engine.expectations(circuit, READ, **arguments, method="density"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_gate_agrees_with_the_density(rng, generator, dtype):
    circuit, inputs, parameters = random_case(rng, dtype=dtype)
    noise = NoiseModel.after_every_gate(Channel("amplitude-damping", 0.05), Channel("depolarising", 0.02))
    arguments = {"inputs": inputs, "parameters": parameters, "noise": noise}
    found = engine.trajectory_expectations(circuit, READ, **arguments, trajectories=1500, generator=generator)
    assert found.mean.dtype == found.standard_error.dtype == dtype
    assert found.trajectories == 1500
    check_agrees(found, engine.expectations(circuit, READ, **arguments, method="density"), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_channels_a_single_trajectory_is_exact(rng, generator, dtype):
    circuit, inputs, parameters = random_case(rng, dtype=dtype)
    arguments = {"inputs": inputs, "parameters": parameters, "noise": NoiseModel(readout=Readout(0.1))}
    found = engine.trajectory_expectations(circuit, READ, **arguments, trajectories=1, generator=generator)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    exact = engine.expectations(circuit, READ, **arguments)
    torch.testing.assert_close(found.mean, exact, atol=tolerance, rtol=0)
    assert found.standard_error.isnan().all()


def test_amplitude_loading(generator):
    circuit = encodings.amplitude(8).then(ansaetze.brickwork(3, layers=2))
    arguments = {
        "inputs": torch.rand(2, 8, generator=generator, dtype=torch.float64),
        "parameters": torch.rand(6, generator=generator, dtype=torch.float64),
        "noise": NoiseModel.after_every_gate(Channel("amplitude-damping", 0.2)),
    }
    found = engine.trajectory_expectations(circuit, READ, **arguments, trajectories=1000, generator=generator)
    check_agrees(found, engine.expectations(circuit, READ, **arguments, method="density"))


def on_pairs(kind):
    """A channel that tells its two qubits apart, after every two-qubit gate."""
    if kind == "mixture":
        word = np.kron([[0, 1], [1, 0]], [[1, 0], [0, -1]]).astype(complex)
        kraus = (0.8**0.5 * np.eye(4), 0.2**0.5 * word)
    else:
        kraus = np.diag([1, 1, 1, 0.6**0.5]).astype(complex), np.zeros((4, 4), complex)
        kraus[1][1, 3] = 0.4**0.5  # |11> decays to |01>
    return NoiseModel((Rule(Channel("kraus", *kraus), width=2),))


@pytest.mark.parametrize("kind", ["mixture", "decay"])
def test_channels_on_two_qubits_in_any_order(generator, kind):
    noise = on_pairs(kind)
    circuit = Circuit(
        3,
        (
            op("h", 0),
            op("ry", 1, angles=[0.7]),
            op("ry", 2, angles=[1.9]),
            op("cx", 0, 1),
            op("crx", 2, 0, angles=[1.2]),
            op("rxx", 1, 2, angles=[0.5]),
        ),
    )
    exact = reference.expectations(circuit, READ, np.zeros((1, 0)), np.zeros(0), noise)
    found = engine.trajectory_expectations(circuit, READ, noise=noise, trajectories=3000, generator=generator)
    check_agrees(found, torch.tensor(exact))
    assert (found.standard_error > 0).any()


def test_the_standard_error_is_calibrated_and_falls_as_the_square_root(rng, generator):
    circuit, inputs, parameters = short_case(rng, 1)
    noise = NoiseModel.after_every_gate(Channel("amplitude-damping", 0.2))
    spreads = []
    for trajectories in (40, 160):
        found = engine.trajectory_expectations(
            circuit,
            READ,
            inputs=inputs.repeat(400, 1),
            parameters=parameters,
            noise=noise,
            trajectories=trajectories,
            generator=generator,
        )
        scatter = found.mean.std(0)
        stated = (found.standard_error**2).mean(0).sqrt()
        torch.testing.assert_close(stated / scatter, torch.ones(3).double(), atol=0.15, rtol=0)
        spreads.append(stated)
    torch.testing.assert_close(spreads[0] / spreads[1], 2 * torch.ones(3).double(), atol=0.1, rtol=0)


@pytest.mark.parametrize("name", ["depolarising", "amplitude-damping"])
def test_neither_chunks_nor_later_inputs_change_a_result(rng, name):
    circuit, inputs, parameters = short_case(rng, 5)

    def run(batch, **options):
        return engine.trajectory_expectations(
            circuit,
            READ,
            inputs=batch,
            parameters=parameters,
            trajectories=30,
            **options,
            noise=NoiseModel.after_every_gate(Channel(name, 0.2)),
            generator=torch.Generator().manual_seed(5),
        )

    whole = run(inputs)
    assert torch.equal(run(inputs).mean, whole.mean)
    for chunk in (1, 7, 64, 10_000):
        torch.testing.assert_close(run(inputs, chunk=chunk).mean, whole.mean)
    torch.testing.assert_close(run(inputs[:2]).mean, whole.mean[:2])
    assert run(inputs[:0]).mean.shape == (0, 3)


def test_the_generator_decides_and_nothing_carries_gradients(rng):
    circuit, inputs, parameters = short_case(rng)
    parameters.requires_grad_()

    def run(seed):
        return engine.trajectory_expectations(
            circuit,
            READ,
            inputs=inputs,
            parameters=parameters,
            trajectories=20,
            noise=NoiseModel.uniform(gate_error=0.2),
            generator=torch.Generator().manual_seed(seed),
        ).mean

    assert not run(0).requires_grad
    assert not torch.equal(run(0), run(1))


@pytest.mark.parametrize("wrong", [{"trajectories": 0}, {"chunk": 0}])
def test_clear_errors(generator, wrong):
    with pytest.raises(CircuitError, match="expected trajectories and chunk >= 1"):
        engine.trajectory_expectations(Circuit(1, ()), [z(0)], **{"trajectories": 3, "generator": generator} | wrong)
