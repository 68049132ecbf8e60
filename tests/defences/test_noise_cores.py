"""Circuits inside models: rewired without touching the model, and noises that add up."""

from dataclasses import replace

import pytest
import torch
from small_models import dressed, points, small

from robustq.circuits import ansaetze, encodings, op
from robustq.defences import FeatureSqueezing, Fronted
from robustq.defences.encoding.trainable import Affine
from robustq.defences.noise.cores import changed, core_of, encoded, rewired, spliced, with_noise, without_noise
from robustq.errors import ModelError
from robustq.noise import Channel, Device, NoiseModel, Readout, Rule

NOISE = NoiseModel.uniform(gate_error=0.05)


@pytest.mark.parametrize("make", [small, dressed])
def test_a_rewired_model_shares_every_weight_and_leaves_the_model_alone(make, generator):
    model = make()
    guarded = Fronted(Affine(3 if make is small else 4), model)
    x = points(5, 3 if make is small else 4)[0].double()
    before = guarded(x)
    noisy = with_noise(guarded, NOISE)
    assert torch.equal(guarded(x), before)
    torch.testing.assert_close(noisy(x), model.under(NOISE)(guarded.front(x)))
    assert [id(p) for p in noisy.parameters()] == [id(p) for p in guarded.parameters()]
    noisy(x).sum().backward()
    assert all(p.grad is not None for p in guarded.parameters())
    torch.testing.assert_close(without_noise(noisy)(x), before)


def test_gradients_reach_the_weights_through_replaced_angles():
    model, x = small(), points(4, 3)[0].double()
    shifted = rewired(model, lambda core: changed(core, theta=core.theta + 0.3))
    shifted(x).sum().backward()
    found = model.theta.grad.clone()
    model.zero_grad()
    with torch.no_grad():
        model.theta += 0.3
    model(x).sum().backward()
    torch.testing.assert_close(found, model.theta.grad)


def test_rules_add_up():
    x = points(3, 3)[0].double()
    flips = NoiseModel.after_every_gate(Channel("bit-flip", 0.03), readout=Readout(0.02, 0.05))
    model = changed(small(), noise=NOISE)
    both = NoiseModel(NOISE.rules + flips.rules, flips.readout)
    torch.testing.assert_close(with_noise(model, flips)(x), model.under(both)(x))
    again = with_noise(changed(model, noise=flips), NOISE)
    turned = NoiseModel(flips.rules + NOISE.rules, flips.readout)
    torch.testing.assert_close(again(x), model.under(turned)(x))


def test_rules_and_a_device_add_up_either_way_round():
    device, x = Device.bundled("manila"), points(3, 3)[0].double()
    core = small()
    fit = core.fitted(device)
    both = replace(fit, noise=replace(fit.noise, rules=fit.noise.rules + NOISE.rules))
    expected = core.under(both)(x)
    for own, other in ((NOISE, device), (device, NOISE), (fit, NOISE), (NOISE, fit)):
        model = changed(core, noise=own)
        torch.testing.assert_close(with_noise(model, other)(x), expected)
    worse = (expected.abs() < core.under(device)(x).abs()).double().mean()
    assert worse > 0.9  # both noises are there


def test_two_read_out_errors_are_refused():
    loud = NoiseModel.uniform(readout_error=0.1)
    with pytest.raises(ModelError, match="one noise with read-out errors"):
        with_noise(with_noise(small(), loud), loud)


def test_named_qubits_that_were_swapped_away_are_refused():
    """A ring of five qubits does not fit on a line; a marker after the SWAPs would strike elsewhere."""
    circuit = encodings.angle(5).then(ansaetze.strongly_entangling(5, layers=2))
    late = spliced(circuit, len(circuit.operations), [op("i", 1)])
    named = NoiseModel((Rule(Channel("bit-flip", 0.1), ("i",), (1,)),))
    core = small(encodings.angle(5))
    early = spliced(circuit, encoded(circuit), [op("i", 1)])
    with_noise(changed(core, circuit=early, noise=named), Device.bundled("manila"))
    with pytest.raises(ModelError, match="swaps them first"):
        with_noise(changed(core, circuit=late, noise=named), Device.bundled("manila"))


def test_named_qubits_stay_where_a_device_runs_them():
    """Dephasing of a named qubit before the SWAPs: the same through a fit that is itself without noise."""
    circuit = encodings.angle(5).then(ansaetze.strongly_entangling(5, layers=1))
    early = spliced(circuit, encoded(circuit), [op("i", 1)])
    named = NoiseModel((Rule(Channel("bit-flip", 0.2), ("i",), (1,)),))
    core = changed(small(encodings.angle(5), layers=1), circuit=early, noise=named)
    fit = core.fitted(Device.bundled("manila"))
    assert fit.swaps
    quiet = replace(fit, noise=NoiseModel())
    x = points(3, 5)[0].double()
    torch.testing.assert_close(with_noise(core, quiet)(x), core(x))


def test_models_without_a_circuit_are_refused():
    with pytest.raises(ModelError, match="got 0 in Linear"):
        core_of(torch.nn.Linear(2, 2))
    with pytest.raises(ModelError, match="got 2 in Sequential"):
        core_of(torch.nn.Sequential(small(), small()))


def test_the_core_is_found_within_guards():
    model = dressed()
    guarded = FeatureSqueezing(4).around(model, torch.zeros(1, 4), torch.tensor([0]), None)
    assert core_of(guarded) is model.core
