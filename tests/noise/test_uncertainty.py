"""The bound on what an uncertain calibration can change, against devices drawn from the interval."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from devices import GOOD, devices, line
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.circuits import Circuit, ansaetze, encodings, op, parity, pauli, per_qubit_z, z
from robustq.circuits.angles import Angle
from robustq.engine import FrozenModel
from robustq.errors import CircuitError
from robustq.noise import Channel, Coupling, Device, Mapped, mapped, uncertainty
from robustq.noise.uncertainty import CHANGES

NUMBERS = ("t1", "t2", "p01", "p10", "gate_error")
LOOSEST = 20  # times the worst change that a corner of the interval was seen to make


def forms(fit, device, angles):
    """What is measured, pulled back through the noisy circuit, by the engine."""
    noise = fit.on(device).noise
    return FrozenModel(fit.circuit, fit.observables, angles, noise=noise).state_forms()


def times(device, factor):
    """Every calibrated number times a factor of its own, written out without the library's own way."""
    qubits = [_capped(q, factor) for q in device.qubits]
    couplings = [replace(c, gate_error=min(1, factor() * c.gate_error), zz=factor() * c.zz) for c in device.couplings]
    return replace(device, qubits=tuple(qubits), couplings=tuple(couplings))


def _capped(qubit, factor):
    new = {n: factor() * getattr(qubit, n) for n in NUMBERS}
    new["t2"] = min(new["t2"], 2 * new["t1"])
    for n in ("p01", "p10", "gate_error"):
        new[n] = min(1, new[n])
    return replace(qubit, **new)


def corners(device, relative, rng, count):
    """All low, all high, random corners and random devices inside."""
    yield times(device, lambda: 1 - relative)
    yield times(device, lambda: 1 + relative)
    for _ in range(count):
        yield times(device, lambda: 1 + relative * rng.choice([-1, 1]))
        yield device.drifted("interval", amount=relative, generator=rng)


def worst(fit, device, angles, some):
    """The largest change of each effective observable in operator norm."""
    base = forms(fit, device, angles)
    changes = [torch.linalg.matrix_norm(forms(fit, d, angles) - base, ord=2) for d in some]
    return torch.stack(changes).amax(0).numpy()


@pytest.mark.parametrize("relative", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("name", ["manila", "guadalupe", "melbourne", "kolkata", "boston"])
def test_no_device_of_the_interval_changes_more(name, relative, rng):
    device = Device.bundled(name)
    for qubits, observables in ((2, per_qubit_z(2, 2)), (3, parity(2, 3)), (4, per_qubit_z(3, 4))):
        circuit = encodings.amplitude(2**qubits).then(ansaetze.brickwork(qubits, layers=2))
        angles = torch.as_tensor(rng.normal(0, 1.5, circuit.parameters))
        fit = mapped(circuit, observables, device)
        bound = np.array(uncertainty(fit, device, relative).sizes)
        found = worst(fit, device, angles, corners(device, relative, rng, 2))
        assert (found <= bound).all()
        assert (bound <= LOOSEST * found).all(), bound / found


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_nor_does_any_device_of_any_map(data):
    """Errors of every size, crosstalk, gates on any pair, Pauli sums, angles encoded between channels."""
    device = data.draw(devices(3))
    relative = data.draw(st.floats(0.001, 0.9))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    observables = (0.5 * z(0, 1) + pauli("X", 2) + -0.25 * z(2), parity(2, 3)[0])
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
    fit = mapped(circuit, observables, device)
    bound = np.array(uncertainty(fit, device, relative).sizes)
    angles = torch.as_tensor(rng.normal(0, 1.5, circuit.parameters))
    x = torch.as_tensor(rng.uniform(-3, 3, (8, 3)))

    def answers(one):
        return FrozenModel(fit.circuit, fit.observables, angles, noise=fit.on(one).noise)(x)

    for one in corners(device, relative, rng, 2):
        change = (answers(one) - answers(device)).abs().amax(0).numpy()
        assert (change <= bound + 1e-12).all()


def test_every_corner_of_two_qubits(rng):
    """Every number high or low by itself: what the monotone argument says need not be looked at."""
    device = replace(line(2, zz=4e4), qubits=(GOOD, replace(GOOD, p01=0.05)))
    circuit = encodings.amplitude(4).then(ansaetze.brickwork(2, layers=1))
    fit = mapped(circuit, [z(0), pauli("XZ", 0, 1)], device)
    angles = torch.as_tensor(rng.normal(0, 1.5, circuit.parameters))
    signs = itertools.product([0.7, 1.3], repeat=8)  # the second qubit's flips go with the first's
    some = []
    for t1, t2, p01, p10, e, t1b, t2b, ec in signs:
        one, other = iter([t1, t2, p01, p10, e]), iter([t1b, t2b, p10, p01, e])
        pair = tuple(_capped(q, lambda f=f: next(f)) for q, f in zip(device.qubits, (one, other), strict=True))
        joined = tuple(replace(c, gate_error=ec * c.gate_error, zz=e * c.zz) for c in device.couplings)
        some.append(replace(device, qubits=pair, couplings=joined))
    bound = np.array(uncertainty(fit, device, 0.3).sizes)
    found = worst(fit, device, angles, some)
    assert (found <= bound).all()
    assert (bound <= LOOSEST * found).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_changed_channel_is_no_further_than_its_bound(data):
    """Below: what entangled pure states see, the trace norm of the Choi matrix included."""
    near, far = sorted(data.draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    t = sorted(data.draw(st.tuples(*[st.floats(0.5, 3)] * 2)))
    pairs = {
        "depolarising": [Channel("depolarising", p) for p in (near, far)],
        "depolarising-2": [Channel("depolarising-2", p) for p in (near, far)],
        "zz-crosstalk": [Channel("zz-crosstalk", 3 * p) for p in (near, far)],
        "thermal-relaxation": [Channel("thermal-relaxation", k, k, 1.0) for k in t],
    }
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    for name, (low, high) in pairs.items():
        side = 2**low.qubits
        states = [np.eye(side) / np.sqrt(side), *rng.normal(size=(5, side, side))]
        seen = max(_seen(low, high, state / np.linalg.norm(state)) for state in states)
        assert seen <= CHANGES[name](low, low, high) + 1e-9
        if name != "thermal-relaxation":  # the maximally entangled state attains these
            assert _seen(low, high, states[0]) == pytest.approx(CHANGES[name](low, low, high), abs=1e-7)


def _seen(one, other, state):
    """Trace norm of the difference on one half of ``sum state[i, j] |i>|j>``."""
    total = 0
    for sign, channel in ((1, one), (-1, other)):
        kets = [(k @ state).ravel() for k in channel.kraus]
        total = total + sign * sum(np.outer(ket, ket.conj()) for ket in kets)
    return np.linalg.norm(total, ord="nuc")


def test_what_lies_outside_the_light_cone_adds_nothing():
    device = line(4)
    circuit = encodings.angle(4).then(ansaetze.brickwork(4, layers=1))
    one = uncertainty(mapped(circuit, [z(0)], device), device, 0.1)
    spoilt = replace(device, qubits=(*device.qubits[:3], replace(GOOD, p01=0.3, p10=0.3)))
    fit = mapped(circuit, [z(0)], device)
    assert uncertainty(fit, spoilt, 0.1).sizes == pytest.approx(one.sizes)
    everywhere = uncertainty(mapped(circuit, [z(0, 1, 2, 3)], device), device, 0.1)
    assert everywhere.sizes[0] > one.sizes[0]


@pytest.mark.parametrize(("zz", "reached"), [(0.0, {0, 1}), (5e4, {0, 1, 2})])
def test_light_cones_widen_through_gates_and_crosstalk(zz, reached):
    """No depolarising: what reaches qubit 0 comes through the gate, and from a spectator through ZZ."""
    still = replace(GOOD, gate_error=0.0)
    device = replace(line(3, error=0.0, zz=zz), qubits=(still,) * 3)
    noise = device.noise()
    turns = [op("ry", q, angles=[Angle.of(0.3)]) for q in range(3)]
    circuit = Circuit(3, (*turns, op("cx", 0, 1), op("h", 1), op("cx", 0, 1)), 0, 0, 0)
    fit = Mapped(circuit, (pauli("X", 0),), noise, (0, 1, 2), (0, 1, 2), 0)
    parts = uncertainty(fit, device, 0.1).parts
    assert {q for part in parts if part.gate == "ry" for q in part.qubits} == reached
    assert {part.channel for part in parts} >= ({"zz-crosstalk"} if zz else set())


def test_parts_sum_to_the_whole_and_name_what_is_worst():
    device = Device.bundled("guadalupe")
    fit = mapped(ansaetze.brickwork(4, layers=3), [z(0), z(1)], device)
    found = uncertainty(fit, device, 0.1)
    for k in range(2):
        assert sum(part.sizes[k] for part in found.parts) == pytest.approx(found.sizes[k])
    for grouping in ("gate", "channel", "qubits"):
        shares = list(found.by(grouping).values())
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) >= max(found.sizes) * (1 - 1e-6)
    assert uncertainty(fit, device, 0.0).sizes == (0.0, 0.0)


def test_a_read_out_alone_is_what_it_must_be():
    """No gate: only the flips, and the bound is attained by the worse basis state."""
    device = Device("one", "2026-01-01", "made up", (GOOD,), ())
    fit = mapped(encodings.amplitude(2), [z(0)], device)
    assert uncertainty(fit, device, 0.5).sizes[0] == pytest.approx(2 * 0.5 * GOOD.p10)


def test_impossible_intervals_are_refused():
    device = replace(line(2), couplings=(Coupling((0, 1), 0.01, 3e-7),))
    fit = mapped(encodings.angle(2), [z(0)], device)
    for relative in (-0.1, 1.0, float("nan")):
        with pytest.raises(CircuitError, match="expected relative in"):
            uncertainty(fit, device, relative)
