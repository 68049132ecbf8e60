"""Pauli frames: the mean over frames is the exact noisy expectation, gradients included."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, theta, x, z
from robustq.errors import CircuitError
from robustq.mitigation.correction import framed
from robustq.noise import Channel, NoiseModel, Readout, Rule

NOISE = NoiseModel(
    (
        Rule(Channel("depolarising", 0.1), width=1),
        Rule(Channel("depolarising-2", 0.2), width=2),
        Rule(Channel("pauli", 0.02, 0.05, 0.1), gates=("cx", "h")),
    ),
    readout=Readout(0.02, 0.07),
)
FIXED = ("x", "y", "z", "h", "s", "sdg", "sx", "sxdg")
PAIRS = ("cx", "cy", "cz", "swap", "iswap", "iswapdg")


def close(found, exact, spread, frames, factor=4.5):
    """Whether means agree within so many standard errors."""
    return bool(((found - exact).abs() <= factor * spread / math.sqrt(frames)).all())


@st.composite
def clifford_and_turns(draw, qubits=3, length=10):
    operations = [op("ry", q, angles=[x(q)]) for q in range(qubits)]
    for slot in range(length):
        a, b = draw(st.permutations(range(qubits)))[:2]
        kind = draw(st.integers(0, 3))
        if kind == 0:
            operations.append(op(draw(st.sampled_from(FIXED)), a))
        elif kind == 1:
            operations.append(op(draw(st.sampled_from(PAIRS)), a, b))
        elif kind == 2:
            turn = draw(st.sampled_from(("rxx", "ryy", "rzz")))
            operations.append(op(turn, a, b, angles=[theta(slot)]))
        else:
            name = draw(st.sampled_from(("rot", "u3")))
            operations.append(op(name, a, angles=[theta(slot), 0.3 + theta(slot), -0.7]))
    return Circuit(qubits, tuple(operations), qubits, length)


@given(clifford_and_turns(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_every_frame_is_the_circuit_with_its_pauli_words(circuit, seed):
    """Deterministic noise (a word with probability one) is exact in a single frame."""
    words = torch.randint(3, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
    one = Channel("pauli", *(float(k == words[0]) for k in range(3)))
    noise = NoiseModel((Rule(one), Rule(Channel("pauli", 0.0, 1.0, 0.0), qubits=(words[1],))))
    inputs = torch.tensor([[0.3, -0.8, 1.9]], dtype=torch.float64)
    angles = torch.linspace(-1, 2, circuit.parameters, dtype=torch.float64)
    seen = [z(0), pauli("XY", 1, 2), pauli("YZX", 0, 1, 2)]
    found = framed(circuit, seen, noise).expectations(inputs, angles, generator=torch.Generator())
    exact = engine.expectations(circuit, seen, inputs=inputs, parameters=angles, noise=noise)
    torch.testing.assert_close(found, exact, atol=1e-10, rtol=0)


@pytest.mark.statistical
def test_the_mean_is_the_noisy_expectation():
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(4, 3, generator=generator, dtype=torch.float64)
    angles = torch.rand(circuit.parameters, generator=generator, dtype=torch.float64)
    seen, frames = [z(0), pauli("XZ", 1, 2)], 4000
    made = framed(circuit, seen, NOISE)
    found = made.expectations(inputs, angles, generator=generator, frames=frames)
    exact = engine.expectations(circuit, seen, inputs=inputs, parameters=angles, noise=NOISE)
    assert close(found, exact, 1.0, frames)  # expectations of a frame lie in [-1, 1]
    plain = engine.expectations(circuit, seen, inputs=inputs, parameters=angles)
    assert ((plain - exact).abs() > 0.1).any()


@pytest.mark.statistical
def test_gradients_are_unbiased_too():
    circuit = encodings.angle(2).then(ansaetze.strongly_entangling(2, layers=2))
    generator = torch.Generator().manual_seed(2)
    inputs = torch.rand(1, 2, generator=generator, dtype=torch.float64)
    angles = torch.rand(circuit.parameters, generator=generator, dtype=torch.float64)
    inputs.requires_grad_()
    angles.requires_grad_()
    frames, slots = 4000, [inputs, angles]
    found = framed(circuit, [z(0)], NOISE).expectations(inputs, angles, generator=generator, frames=frames)
    exact = engine.expectations(circuit, [z(0)], inputs=inputs, parameters=angles, noise=NOISE)
    for ours, true in zip(
        torch.autograd.grad(found.sum(), slots), torch.autograd.grad(exact.sum(), slots), strict=True
    ):
        assert close(ours, true, math.pi, frames)


def test_amplitudes_stay_in_front_and_seeds_reproduce():
    circuit = Circuit.of(2, [op("rot", 0, angles=[theta(k) for k in range(3)]), op("cx", 0, 1)], 4)
    made = framed(circuit, [z(1)], NoiseModel.uniform(gate_error=0.5))
    assert (made.features, made.circuit.amplitudes, made.circuit.inputs) == (4, 4, 4 + 3 + 4)
    first, again = (made.draw(50, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert set(first[:, :3].unique().tolist()) == {1.0}  # noise strikes after the only rotation
    assert set(first[:, 3:].unique().tolist()) == {0.0, 1.0}


def test_what_no_frame_crosses_is_named():
    damped = NoiseModel.after_every_gate(Channel("amplitude-damping", 0.1))
    with pytest.raises(CircuitError, match="expected Pauli channels, got"):
        framed(Circuit.of(1, [op("x", 0)]), [z(0)], damped)
    for o in (op("t", 0), op("crx", 0, 1, angles=[theta(0)]), op("ch", 0, 1)):
        with pytest.raises(CircuitError, match="expected Clifford gates and turns"):
            framed(Circuit.of(2, [o]), [z(0)], NoiseModel())
    made = framed(Circuit.of(1, [op("x", 0)]), [z(0)], NoiseModel())
    with pytest.raises(CircuitError, match="frames >= 1"):
        made.expectations(torch.zeros(1, 0), torch.zeros(0), generator=torch.Generator(), frames=0)
