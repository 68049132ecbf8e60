"""Decoupling: the same circuit without noise, closed forms of what refocuses, and no help where none can be."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, theta, z
from robustq.errors import CircuitError, RobustQError
from robustq.mitigation.decoupling import SEQUENCES, decoupled, timed
from robustq.noise import Coupling, Device, Mapped, Qubit, mapped
from strategies import circuits, observables

FOREVER = 1e9  # seconds: no relaxation to twelve digits
PULSE = 40e-9


def ring(count=4, zz=None, joint=320e-9, **qubit):
    """Equal qubits in a ring; perfect unless told otherwise. ``zz`` by edge, hertz."""
    one = Qubit(**{"t1": FOREVER, "t2": FOREVER, "gate_duration": PULSE, **qubit})
    edges = [(k, (k + 1) % count) for k in range(count)] if count > 2 else [(0, 1)]
    joined = tuple(Coupling(e, 0.0, joint, (zz or {}).get(e, 0.0)) for e in edges)
    return Device("ring", "2026-01-01", "made up", (one,) * count, joined)


def as_it_is(circuit, seen, device):
    """A fit without routing: position k is qubit k."""
    layout = tuple(range(circuit.qubits))
    return Mapped(circuit, tuple(seen), device.noise(layout), layout, layout, 0)


def waiting_pair(busy=6):
    """Qubits 0 and 1 in |+>, one gate each, a common wait while 2 and 3 work, and the gates again."""
    both = [op("cz", 1, 2), op("cz", 0, 3)]
    work = [op("cx", 2, 3)] * busy
    return Circuit.of(4, [op("h", 0), op("h", 1), *both, *work, *both])


def value(timing, noise=True, inputs=None, parameters=None):
    fitted = timing.fitted
    return engine.expectations(
        fitted.circuit,
        fitted.observables,
        inputs=inputs,
        parameters=parameters,
        noise=fitted.noise if noise else None,
    ).numpy()


def wait(timing, qubit=0):
    (window,) = [w for w in timing.windows if w.qubit == qubit]
    return window


@given(st.data())
def test_without_noise_nothing_changes(data):
    circuit = data.draw(circuits(max_qubits=4, max_operations=10))
    device = ring(max(2, circuit.qubits), joint=data.draw(st.sampled_from([35e-9, 290e-9, 1e-6])))
    seen = [data.draw(observables(circuit.qubits)), z(0)]
    inputs = torch.tensor([[0.5, 1.0, 0.25]], dtype=torch.float64)
    parameters = torch.linspace(-1, 2, circuit.parameters, dtype=torch.float64)
    exact = engine.expectations(circuit, seen, inputs=inputs, parameters=parameters).numpy()
    plain = timed(mapped(circuit, seen, device), device)
    for timing in (plain, *(decoupled(plain, name) for name in SEQUENCES)):
        np.testing.assert_allclose(value(timing, False, inputs, parameters), exact, atol=1e-11)
        assert timing.fitted.circuit.counts.get("i", 0) <= timing.slots * circuit.qubits


@given(hertz=st.floats(-3e5, 3e5), busy=st.integers(3, 12), joint=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_a_static_detuning_turns_a_waiting_qubit_and_every_sequence_turns_it_back(hertz, busy, joint):
    """Ramsey: <X> = cos(2 pi detuning T); after an echo with ideal pulses exactly 1."""
    device = ring(joint=joint * PULSE)
    fitted = as_it_is(waiting_pair(busy), [pauli("X", 0)], device)
    plain = timed(fitted, device, detuning=[hertz, 0, 0, 0])
    phase = 2 * math.pi * hertz * wait(plain).length * plain.slot
    assert value(plain).item() == pytest.approx(math.cos(phase), abs=1e-9)
    for name in SEQUENCES:
        echoed = decoupled(plain, name)
        assert value(echoed).item() == pytest.approx(1 if echoed.pulses else math.cos(phase), abs=1e-9)
        assert echoed.pulses or wait(plain).length < 16


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_coupling_between_waiting_neighbours_cancels(name):
    """<X> = cos(pi zz T) over the whole circuit; with pulses only outside the common wait."""
    zz, edge = 150e3, (0, 1)
    device = ring(zz={edge: zz})
    plain = timed(as_it_is(waiting_pair(), [pauli("X", 0), pauli("X", 1)], device), device)
    window = wait(plain)
    assert window == replace(wait(plain, 1), qubit=0)
    both = math.cos(math.pi * zz * plain.duration)
    np.testing.assert_allclose(value(plain)[0], [both, both], atol=1e-9)
    left = math.cos(math.pi * zz * plain.slot * (plain.slots - window.length))
    np.testing.assert_allclose(value(decoupled(plain, name))[0], [left, left], atol=1e-9)
    assert left > both + 0.2


def test_a_coupling_to_a_busy_neighbour_cancels_too():
    """Qubit 2 works with 3 in the Z basis, where the coupling to the waiting 1 commutes with it."""
    zz, gate = 80e3, 16  # a gate of the ring takes so many slots
    device = ring(zz={(1, 2): zz})
    circuit = Circuit.of(4, [op("h", 1), op("cz", 1, 2), *[op("cz", 2, 3)] * 8, op("cz", 1, 2)])
    plain = timed(as_it_is(circuit, [pauli("X", 1)], device), device)
    apart = plain.slots - 2 * gate  # within their own gates the coupling is part of the gate
    turn = math.pi * zz * plain.slot
    assert value(plain).item() == pytest.approx(math.cos(turn * apart), abs=1e-9)
    echoed, left = decoupled(plain, "xy4"), apart - wait(plain, 1).length
    assert value(echoed).item() == pytest.approx(math.cos(turn * left), abs=1e-9)
    assert math.cos(turn * left) > math.cos(turn * apart) + 0.1


def test_pulses_in_step_would_not_cancel_a_coupling():
    """What staggering is for: the same pulses on both qubits leave ZZ as it was."""
    device = ring(zz={(0, 1): 60e3})
    plain = timed(as_it_is(waiting_pair(), [pauli("X", 0)], device), device)
    in_step = decoupled(replace(plain, _pairs=()), "xx")._schedule
    flips = [sorted(p.at for p in in_step if p.operation == op("x", q)) for q in (0, 1)]
    assert flips[0] == flips[1]
    staggered = decoupled(plain, "xx")._schedule
    flips = [sorted(p.at for p in staggered if p.operation == op("x", q)) for q in (0, 1)]
    assert flips[0] != flips[1]


@pytest.mark.parametrize("name", SEQUENCES)
def test_white_noise_has_nothing_to_cancel(name):
    """Ideal pulses leave <X> of relaxing qubits exactly where it was; real ones make it worse."""
    for error, same in ((0.0, True), (2e-3, False)):
        device = ring(t1=20e-6, t2=15e-6, gate_error=error)
        plain = timed(as_it_is(waiting_pair(), [pauli("X", 0)], device), device)
        before, after = value(plain).item(), value(decoupled(plain, name)).item()
        assert before < 0.95
        if same:
            assert after == pytest.approx(before, abs=1e-12)
        else:
            assert after < before - 1e-3


def test_energy_relaxation_is_shared_not_undone():
    """A pair of X lets |1> spend half of its wait in |0>, and |0> half of it in |1>: no gain in the mean."""
    device = ring(t1=20e-6, t2=15e-6)
    kept = {}
    for start in ((), (op("x", 0),)):
        circuit = Circuit.of(4, [*start, *waiting_pair().operations[2:]])
        plain = timed(as_it_is(circuit, [(-1) ** len(start) * z(0)], device), device)
        for name, timing in (("plain", plain), ("xx", decoupled(plain, "xx"))):
            kept.setdefault(name, []).append(value(timing).item())
    assert kept["xx"][1] > kept["plain"][1]
    assert kept["xx"][0] < kept["plain"][0]
    assert sum(kept["xx"]) == pytest.approx(sum(kept["plain"]), abs=0.03)
    assert sum(kept["xx"]) < 2 - 0.1


@given(joint=st.floats(30e-9, 900e-9), slower=st.floats(1.0, 2.0))
@settings(max_examples=12, deadline=None)
def test_every_second_is_counted_once(joint, slower):
    """Coherence of a qubit that starts with a pulse: exp(-duration / T2), waits, gates and rounding included."""
    t2 = 9e-6
    base = ring(t2=t2, joint=joint)
    qubits = (base.qubits[0], *(replace(q, gate_duration=slower * PULSE) for q in base.qubits[1:]))
    device = replace(base, qubits=qubits)
    plain = timed(as_it_is(waiting_pair(), [pauli("X", 0)], device), device)
    assert plain.slot == pytest.approx(slower * PULSE / 2)
    exact = math.exp(-plain.duration / t2)
    for timing in (plain, decoupled(plain, "cpmg")):
        assert value(timing).item() == pytest.approx(exact, rel=1e-9)


def test_marks_of_the_clock_carry_no_gate_noise():
    """A circuit with rzz gates of its own: the mark is another gate, and both mean what they should."""
    device = ring(zz={(0, 1): 5e4}, t1=5e-5, t2=4e-5)
    circuit = Circuit.of(4, [*waiting_pair().operations, op("rzz", 0, 1, angles=[theta(0)])])
    plain = timed(as_it_is(circuit, [z(0)], device), device)
    assert plain._mark == "cp"
    for slot in (o for o in plain.fitted.circuit.operations if o.gate == "cp"):
        names = {channel.name for channel, _ in plain.fitted.noise.after(slot)}
        assert names == {"zz-crosstalk"}
    names = [c.name for c, _ in plain.fitted.noise.after(op("rzz", 0, 1, angles=[theta(0)]))]
    assert names == ["thermal-relaxation"] * 2


def test_gates_start_as_late_as_they_can_and_leading_waits_stay_empty():
    circuit = Circuit.of(3, [op("x", 2), op("cx", 0, 1), op("cx", 0, 1), op("cx", 1, 2)])
    device = ring(3)
    plain = timed(as_it_is(circuit, [z(0)], device), device)
    starts = {(p.operation, k): p.start for k, p in enumerate(plain._schedule)}
    assert starts[op("x", 2), 0] == 2 * 16 - 2  # just before the last gate
    assert plain.slots == 3 * 16
    assert {w.qubit for w in plain.windows} == {0}  # after its gates; 2 waited in |0>
    loaded = replace(circuit, inputs=2, amplitudes=2)
    assert {w.qubit for w in timed(as_it_is(loaded, [z(0)], device), device).windows} == {0, 2}


def test_a_real_device_gains_on_its_own_crosstalk():
    """A published calibration end to end: nearer to the noiseless value with pulses than without."""
    circuit = encodings.angle(5).then(ansaetze.strongly_entangling(5, layers=1))
    device = Device.bundled("guadalupe")
    fitted = mapped(circuit, [z(q) for q in range(5)], device)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(4, 5, generator=generator, dtype=torch.float64)
    parameters = torch.rand(circuit.parameters, generator=generator, dtype=torch.float64)
    plain = timed(fitted, device, detuning=[3e4, -2e4, 4e4, 1e4, -3e4])
    exact = value(plain, False, inputs, parameters)
    gaps = [np.abs(value(t, True, inputs, parameters) - exact).mean() for t in (plain, decoupled(plain, "xx"))]
    assert 0 < gaps[1] < gaps[0]


def test_what_has_no_timing_is_refused():
    circuit = waiting_pair()
    for device in (ring(gate_duration=0.0), ring(joint=0.0)):
        with pytest.raises(CircuitError, match="expected durations > 0 of every pulse"):
            timed(as_it_is(circuit, [z(0)], device), device)
    device = ring()
    plain = timed(as_it_is(circuit, [z(0)], device), device)
    with pytest.raises(RobustQError, match="unknown decoupling sequence 'xy5': did you mean 'xy4'"):
        decoupled(plain, "xy5")
    with pytest.raises(CircuitError, match="without decoupling, got 4 pulses"):
        decoupled(decoupled(plain))
    for apart in (op("cz", 0, 2), op("ccx", 0, 1, 2)):
        fitted = as_it_is(Circuit.of(4, [apart]), [z(0)], device)
        with pytest.raises(CircuitError, match=r"on coupled qubits.*fit the circuit"):
            timed(fitted, device)
    with pytest.raises(CircuitError, match="detuning for each of 4 positions, got 1"):
        timed(as_it_is(circuit, [z(0)], device), device, detuning=[1.0])
