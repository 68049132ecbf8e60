"""Devices: noise that meets the calibration, files that survive and refuse, drift that drifts."""

import json
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from devices import GOOD, devices, line
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.circuits import GATES, op
from robustq.circuits.angles import Angle
from robustq.errors import CircuitError, DataError, RobustQError, SpecError
from robustq.noise import Coupling, Device, Qubit
from robustq.noise.calibration import ENTANGLERS, PULSES, coherence_limit, gate_channels
from robustq.noise.catalogue import DEVICES
from robustq.noise.channels import average_infidelity
from robustq.noise.drift import SCENARIOS


def operation(name, *qubits):
    return op(name, *qubits, angles=[Angle.of(0.3)] * GATES[name].parameters)


def total_infidelity(strikes, qubits):
    """The average infidelity of everything that strikes ``qubits``, by multiplying matrices."""
    total = np.eye(4 ** len(qubits))
    for channel, on in strikes:
        if channel.qubits == len(qubits):
            own = channel.ptm
        else:
            own = np.kron(*[channel.ptm if (q,) == on else np.eye(4) for q in qubits])
        total = own @ total
    return average_infidelity(np.trace(total), len(qubits))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_physical_gate_has_exactly_its_calibrated_error(data):
    """Or the coherence limit, where that is worse."""
    device = data.draw(devices(3))
    noise = device.noise(crosstalk=False)
    for k, qubit in enumerate(device.qubits):
        limit = coherence_limit((qubit,), qubit.gate_duration)
        found = total_infidelity(noise.after(op("sx", k)), (k,))
        assert found == pytest.approx(max(qubit.gate_error, limit), abs=1e-9)
    for c in device.couplings:
        pair = tuple(device.qubits[q] for q in c.qubits)
        limit = coherence_limit(pair, c.gate_duration)
        found = total_infidelity(noise.after(op("cx", *c.qubits[::-1])), c.qubits)
        assert found == pytest.approx(max(c.gate_error, limit), abs=1e-9)


@pytest.mark.parametrize("name", [name for name, gate in GATES.items() if gate.qubits < 3])
def test_every_gate_costs_what_the_tables_say(name):
    """To first order, ``count`` gates in a row have ``count`` times the error of one."""
    noise, width = line(2).noise(), GATES[name].qubits
    count = (PULSES if width == 1 else ENTANGLERS)[name]
    one = GOOD.gate_error if width == 1 else 8e-3
    places = tuple(range(width))
    found = total_infidelity(noise.after(operation(name, *places)), places)
    assert found == pytest.approx(count * one, rel=0.03, abs=1e-15)


def test_every_narrow_gate_is_in_a_table():
    assert {name for name, gate in GATES.items() if gate.qubits < 3} == PULSES.keys() | ENTANGLERS.keys()


def test_a_gate_worse_than_random_is_fully_depolarising():
    relaxation, rest = gate_channels((GOOD,), 1.0, 35e-9, 1)
    assert relaxation.name == "thermal-relaxation"
    assert rest.p == 1.0


def test_crosstalk_turns_the_neighbours_of_a_gate():
    noise = line(4, zz=50e3).noise()
    turned = [(c.p, on) for c, on in noise.after(op("cx", 2, 1)) if c.name == "zz-crosstalk"]
    angle = pytest.approx(math.pi * 50e3 * 300e-9)
    assert turned == [(angle, (0, 1)), (angle, (2, 3))]
    assert not [c for c, _ in noise.after(op("h", 1)) if c.name == "zz-crosstalk"]
    without = line(4, zz=50e3).noise(crosstalk=False).after(op("cx", 2, 1))
    assert {c.name for c, _ in without} == {"thermal-relaxation", "depolarising-2"}


def test_the_layout_says_who_plays_which_part():
    device = Device.bundled("guadalupe")
    noise = device.noise([4, 1, 2])  # 4 - 1 - 2
    assert sorted(tuple(sorted(pair)) for pair in noise.couplings) == [(0, 1), (1, 2)]
    assert noise.readouts_of(3) == tuple(device.qubits[q].readout for q in (4, 1, 2))
    relaxation = noise.after(op("sx", 0))[0][0]
    assert relaxation.values[0] == device.qubits[4].t1
    with pytest.raises(CircuitError, match=r"got 'cx' on \(0, 2\)"):
        noise.after(op("cx", 0, 2))
    for layout in ([0, 0], [16], [-1]):
        with pytest.raises(CircuitError, match=r"different physical qubits in 0\.\.15"):
            device.noise(layout)


@pytest.mark.parametrize("name", DEVICES)
def test_bundled_snapshots_are_what_the_catalogue_says(name):
    device, entry = DEVICES[name].make(), DEVICES[name]
    assert Device.bundled(name) == device
    assert (device.name, device.date) == (name, entry.date)
    assert "Apache-2.0" in device.source
    assert len(device.qubits) == entry.qubits
    two = statistics.median(c.gate_error for c in device.couplings)
    read = statistics.median((q.p01 + q.p10) / 2 for q in device.qubits)
    t1 = statistics.median(q.t1 for q in device.qubits)
    assert (float(f"{two:.1e}"), float(f"{read:.1e}")) == (entry.two_qubit_error, entry.readout_error)
    assert round(t1 * 1e6) == entry.t1_us


def test_bundled_snapshots_cover_the_range():
    sizes = [len(entry.make().qubits) for entry in DEVICES.values()]
    assert sum(size >= 12 for size in sizes) >= 2
    with pytest.raises(SpecError, match="did you mean 'guadalupe'"):
        Device.bundled("guadeloupe")


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_snapshots_survive_json(data):
    device = data.draw(devices(data.draw(st.integers(1, 5))))
    assert Device.from_data(json.loads(json.dumps(device.to_data()))) == device


def test_snapshots_survive_files(tmp_path):
    device = Device.bundled("manila")
    device.save(tmp_path / "own.json")
    assert Device.load(tmp_path / "own.json") == device


def changed(path, value):
    """The data of a small device with one entry changed; ``...`` deletes."""
    data = json.loads(json.dumps(line(3).to_data()))
    *way, last = path
    inner = data
    for key in way:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format"], 2, "snapshot of format 1, got 2"),
        (["format"], ..., "snapshot of format 1, got None"),
        (["date"], ..., "expected date, got none"),
        (["qbits"], 1, "did you mean 'qubits'"),
        (["qubits", 1, "t1"], ..., "qubit 1: expected t1, got none"),
        (["qubits", 1, "t3"], 1.0, "unknown key of qubit 1 't3'"),
        (["qubits", 1, "t2"], 1.0, "qubit 1: expected t2 <= 2"),
        (["qubits", 1, "t1"], -1.0, "t1 > 0 seconds, got -1.0"),
        (["qubits", 1, "t1"], "long", "t1 > 0 seconds, got 'long'"),
        (["qubits", 1, "p01"], 1.5, r"p01 in \[0, 1\], got 1.5"),
        (["qubits", 1, "gate_duration"], None, "gate_duration >= 0 seconds, got None"),
        (["qubits", 1], 3, "qubit 1: expected an object, got int"),
        (["qubits"], [], "at least one qubit, got none"),
        (["qubits"], 5, "not iterable"),
        (["couplings", 0, "qubits"], [0, 7], r"qubits 0\.\.2, got \(0, 7\)"),
        (["couplings", 0, "qubits"], [1, 1], "two different qubits"),
        (["couplings", 0, "qubits"], [0], "two different qubits"),
        (["couplings", 0, "qubits"], ["a", "b"], "coupling 0: expected"),
        (["couplings", 0, "qubits"], [2, 1], r"every coupling once, got \(1, 2\) twice"),
        (["couplings", 0, "gate_error"], -0.1, r"gate_error in \[0, 1\]"),
        (["couplings", 0, "zz"], math.nan, "finite zz in hertz"),
        (["couplings", 0], ..., r"connected map, got qubits \[1, 2\] out of reach"),
    ],
)
def test_impossible_snapshots_are_named(path, value, message):
    with pytest.raises(RobustQError, match=message):
        Device.from_data(changed(path, value))


def test_damaged_files_are_named(tmp_path):
    for content, message in ((b"{", "expected JSON"), (b"[]", "format 1, got 'list'"), (b"\xff", "utf-8")):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(DataError, match=message):
            Device.load(tmp_path / "bad.json")
    with pytest.raises(DataError, match="cannot read"):
        Device.load(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot write"):
        line(2).save(tmp_path / "none" / "x.json")


OPTIONS = {"tls-defect": {"qubit": 1}, "random-walk": {"generator": 3}, "interval": {"generator": 3}}


def drifted(device, name, **options):
    given = {**OPTIONS.get(name, {}), **options}
    if "generator" in given:
        given["generator"] = np.random.default_rng(given["generator"])
    return device.drifted(name, **given)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_gives_a_valid_device_again(name):
    device = Device.bundled("guadalupe")
    after = drifted(device, name)
    assert (after == device) == SCENARIOS[name].null
    assert after == drifted(device, name)
    assert after.edges == device.edges
    assert Device.from_data(after.to_data()) == after
    assert after.noise().has_channels


def test_what_drifts():
    device = line(3, zz=-40e3)
    halved = device.drifted("t1-drop", amount=0.5).qubits[0]
    assert halved.t1 == pytest.approx(50e-6)
    pure = 1 / GOOD.t2 - 1 / (2 * GOOD.t1)
    assert 1 / halved.t2 == pytest.approx(pure + 1 / (2 * halved.t1))
    rise = coherence_limit((halved,), 35e-9) - coherence_limit((GOOD,), 35e-9)
    assert halved.gate_error == pytest.approx(GOOD.gate_error + rise)
    doubled = device.drifted("gate-error-doubling")
    assert doubled.couplings[0].gate_error == pytest.approx(0.016)
    assert doubled.qubits[0].gate_error == pytest.approx(6e-4)
    assert device.drifted("readout-shift", amount=0.05).qubits[1].p10 == pytest.approx(0.08)
    assert device.drifted("crosstalk", amount=1e4).couplings[0].zz == pytest.approx(-50e3)
    struck = device.drifted("tls-defect", qubit=1)
    assert [q.t1 for q in struck.qubits] == pytest.approx([1e-4, 1e-5, 1e-4])
    assert struck.couplings[0].gate_error > device.couplings[0].gate_error
    assert struck.qubits[0] == device.qubits[0]


@pytest.mark.statistical
def test_random_walks_spread_as_the_square_root_of_the_steps():
    device = line(2)
    rng = np.random.default_rng(0)
    walks = [device.drifted("random-walk", amount=0.05, steps=4, generator=rng) for _ in range(2000)]
    spread = np.std([math.log(w.qubits[0].p10 / GOOD.p10) for w in walks])
    assert spread == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("t1-dorp", {}, SpecError, "did you mean 't1-drop'"),
        ("t1-drop", {"amount": 1.0}, CircuitError, r"amount in \[0, 1\), got 1.0"),
        ("t1-drop", {"much": 1.0}, CircuitError, "unexpected keyword"),
        ("tls-defect", {}, CircuitError, "expected a numpy generator, got None"),
        ("tls-defect", {"qubit": 3}, CircuitError, r"qubit in 0\.\.2, got 3"),
        ("random-walk", {}, CircuitError, "expected a numpy generator"),
        ("readout-shift", {"amount": 2.0}, CircuitError, r"amount in \[-1, 0.5\]"),
    ],
)
def test_bad_drifts_are_named(name, options, error, message):
    with pytest.raises(error, match=message):
        line(3).drifted(name, **options)


def test_calibrations_are_checked_one_by_one():
    with pytest.raises(CircuitError, match="t2 <= 2"):
        Qubit(t1=1e-5, t2=3e-5)
    with pytest.raises(CircuitError, match="two different qubits"):
        Coupling((1, 1))
    with pytest.raises(CircuitError, match="device 'line': expected a connected map"):
        replace(line(3), couplings=())
