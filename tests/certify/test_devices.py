"""A certificate with slack holds on every device of the calibration's interval, not on its snapshot alone."""

import numpy as np
import pytest
import torch

from robustq.attacks import PGD, run_attack
from robustq.certify import ExactAmplitude, ExactState, certify
from robustq.circuits import ansaetze, encodings, parity, per_qubit_z
from robustq.models import HybridNet, QuantumNet
from robustq.noise import Device
from robustq.noise.drift import rescaled
from robustq.states import StateView
from robustq.threats import L2, TraceDistance

RELATIVE, NARROW = 0.1, 0.999999


def amplitude_net(seed, classes=2, layers=2):
    circuit = encodings.amplitude(8).then(ansaetze.brickwork(3, layers=layers))
    generator = torch.Generator().manual_seed(seed)
    return QuantumNet(circuit, per_qubit_z(classes, 3), generator=generator, spread=1.0)


def drawn_devices(device, rng):
    """All numbers low, all high, random corners, random insides."""
    choices = [
        lambda: 1 - RELATIVE,
        lambda: 1 + RELATIVE,
        lambda: 1 + RELATIVE * rng.choice([-1, 1]),
        lambda: 1 + RELATIVE * rng.choice([-1, 1]),
    ]
    for choice in choices:
        qubits, couplings = rescaled(device.qubits, device.couplings, choice)
        yield Device(device.name, device.date, device.source, qubits, couplings)
    yield device.drifted("interval", amount=RELATIVE, generator=rng)


def on(model, device, one):
    """The model frozen on another device, fitted as it was to the snapshot."""
    return model.freeze(model.fitted(device).on(one))


def rows(count, generator):
    return torch.randn(count, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", ["manila", "melbourne"])
@pytest.mark.parametrize("classes", [2, 3])
def test_inputs_keep_their_label_on_every_device(name, classes, generator, rng):
    device, model = Device.bundled(name), amplitude_net(3, classes)
    snapshot, slack = model.freeze(device), model.uncertainty(device, RELATIVE)
    x = rows(24, generator)
    y = snapshot(x).argmax(1)
    found = certify(ExactAmplitude(slack=slack), snapshot, x, y, L2(9.0), generator=generator)
    plain = certify(ExactAmplitude(), snapshot, x, y, L2(9.0), generator=generator)
    proved = found.lower > 0
    assert int(proved.sum()) >= 12
    assert bool((found.lower < plain.lower)[proved].all())
    for one in drawn_devices(device, rng):
        true = on(model, device, one)
        assert torch.equal(true(x).argmax(1)[proved], y[proved])
        exact = certify(ExactAmplitude(), true, x[proved], y[proved], L2(9.0), generator=generator)
        assert bool((exact.lower >= found.lower[proved]).all())
        for row in proved.nonzero()[:4, 0].tolist():
            ball = L2(float(found.lower[row]) * NARROW)
            attacked = run_attack(PGD(steps=20), true, x[row, None], y[row, None], ball, generator=generator)
            assert not bool(attacked.success.any())


def test_without_slack_some_device_breaks_the_certificate(generator, rng):
    """The slack is needed: at the snapshot's own radius the nearest input of another device lies inside."""
    device, model = Device.bundled("melbourne"), amplitude_net(3)
    snapshot, x = model.freeze(device), rows(24, generator)
    y = snapshot(x).argmax(1)
    plain = certify(ExactAmplitude(), snapshot, x, y, L2(9.0), generator=generator)
    broken = 0
    for one in drawn_devices(device, rng):
        true = on(model, device, one)
        exact = certify(ExactAmplitude(), true, x, y, L2(9.0), generator=generator)
        broken += int((exact.upper < plain.lower * (1 - 1e-6)).sum())
    assert broken > 0


def test_states_keep_their_label_on_every_device(generator, rng):
    device, model = Device.bundled("guadalupe"), amplitude_net(5, 3)
    view = StateView(model.freeze(device), 3)
    slack, threat = model.uncertainty(device, RELATIVE), TraceDistance(1.0)
    states = torch.randn(20, 8, 2, generator=generator, dtype=torch.float64)
    states = states / torch.linalg.vector_norm(states, dim=(1, 2), keepdim=True)
    y = view(states).argmax(1)
    found = certify(ExactState(slack=slack), view, states, y, threat, generator=generator)
    assert int((found.lower > 0).sum()) >= 10
    for one in drawn_devices(device, rng):
        true = StateView(on(model, device, one), 3)
        exact = certify(ExactState(), true, states, y, threat, generator=generator)
        kept = exact.correct | (found.lower == 0)
        assert bool(kept.all())
        assert bool((exact.lower >= found.lower)[found.lower > 0].all())


def test_a_hybrid_counts_the_layer_behind_its_circuit(generator, rng):
    """What margins move over random inputs and devices, and what two rows of the layer make of it."""
    device = Device.bundled("manila")
    circuit = encodings.angle(3).then(ansaetze.brickwork(3, layers=1))
    core = QuantumNet(circuit, parity(3, 3), generator=generator, spread=1.0)
    model = HybridNet(5, 4, core, generator=generator)
    slack = model.uncertainty(device, RELATIVE)
    x = torch.randn(64, 5, generator=generator, dtype=torch.float64)
    snapshot = model.freeze(device)(x)
    moved = 0.0
    for one in drawn_devices(device, rng):
        change = on(model, device, one)(x) - snapshot
        moved = max(moved, float((change[:, :, None] - change[:, None, :]).detach().abs().max()))
    assert 0 < moved <= slack
    with torch.no_grad():
        model.after.weight.mul_(2)
    assert model.uncertainty(device, RELATIVE) == pytest.approx(2 * slack)
    assert np.isclose(model.uncertainty(device, 0.0), 0.0)
