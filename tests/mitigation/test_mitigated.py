"""Mitigated models: at inference, in training, under attack, from shots."""

import numpy as np
import pytest
import torch

from robustq.attacks import PGD, run_attack
from robustq.circuits import Circuit, op, per_qubit_z
from robustq.contracts import Classifier, QuantumClassifier
from robustq.errors import DataError, ModelError, SpecError
from robustq.mitigation import (
    PEC,
    ZNE,
    MitigatedNet,
    ReadoutHistogram,
    ReadoutInversion,
    Stack,
    SymmetryVerification,
    Unmitigated,
)
from robustq.mitigation.catalogue import MITIGATIONS, USUAL, build
from robustq.models import Perceptron, QuantumNet, Training, fit
from robustq.noise import Device, NoiseModel
from robustq.threats import Linf
from trained_models import trained

MANILA = Device.bundled("manila")
NAMES = [name for name in MITIGATIONS if name != "symmetry"] + [n for n in USUAL if "+" in n]

OPTIONS = {"forest": {"circuits": 60}, "mlp": {"circuits": 60}, "partial-correction": {"logical": 1e-3}}


@pytest.fixture(scope="module")
def model():
    return trained("breast-cancer", torch.float64)


def _net(model, technique, **options):
    net, x, _ = model
    generator = torch.Generator().manual_seed(3)
    return MitigatedNet(net, MANILA, technique, inputs=x[:40], generator=generator, **options)


@pytest.mark.parametrize("name", NAMES)
def test_every_technique_answers_trains_freezes_and_draws(name, model, generator):
    """Frozen or not it is the same function; its gradients are those of differences; shots scatter around it."""
    x = model[1][:6].clone().requires_grad_()
    net = _net(model, build(name, OPTIONS))
    assert isinstance(net, Classifier)
    assert isinstance(net, QuantumClassifier)
    logits = net(x)
    logits[:, 1].sum().backward()
    frozen = net.freeze()
    np.testing.assert_allclose(frozen(x.detach()), logits.detach(), atol=1e-8)
    if name.split("+")[-1] not in ("forest", "mlp", "regression"):
        step = torch.zeros_like(x)
        step[:, 0] = 1e-5
        with torch.no_grad():
            slope = (frozen(x + step) - frozen(x - step))[:, 1] / 2e-5
        np.testing.assert_allclose(x.grad[:, 0], slope, atol=1e-4)
    drawn = net.under(shots=1_000_000, generator=generator)(x.detach())
    assert float((drawn - logits).detach().abs().max()) < 0.6


@pytest.mark.parametrize("name", ["readout", "readout+zne", "readout+pec", "virtual-distillation"])
def test_it_comes_nearer_to_the_noise_free_model(name, model):
    net, x, _ = model
    with torch.no_grad():
        ideal = net.freeze()(x[:100])
        before = (net.freeze(MANILA)(x[:100]) - ideal).square().mean()
        after = (_net(model, build(name)).freeze()(x[:100]) - ideal).square().mean()
    assert float(after) < (0.8 if "+" in name else 0.95) * float(before)


def test_nothing_done_is_the_model_on_its_device(model):
    net, x, _ = model
    np.testing.assert_allclose(_net(model, Unmitigated()).freeze()(x[:20]), net.freeze(MANILA)(x[:20]), atol=1e-12)


def test_training_through_the_mitigation_trains_the_model(generator):
    _, x, y = trained("breast-cancer")
    circuit = trained("breast-cancer")[0].circuit
    net = QuantumNet(circuit, per_qubit_z(2, 4), generator=generator)
    before = net.theta.detach().clone()
    whole = MitigatedNet(net, MANILA, ZNE(), inputs=x[:10], generator=generator)
    plan = Training(epochs=3, batch_size=64)
    history = fit(whole, x[:200], y[:200], generator=generator, training=plan)
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert not torch.equal(before, net.theta)


def test_an_attack_on_the_mitigated_model_finds_more_than_the_clean_inputs(model, generator):
    _, x, y = model
    frozen = _net(model, Stack(ReadoutInversion(), ZNE())).freeze()
    found = run_attack(PGD(steps=10), frozen, x[:60], y[:60], Linf(0.1), generator=generator)
    assert int(found.success.sum()) > 0
    assert bool((frozen(found.x_adv[found.success]).argmax(1) != y[:60][found.success]).all())


def test_gradients_under_shots_average_to_the_mitigated_gradient(model, generator):
    net = _net(model, Stack(ReadoutInversion(), ZNE()))
    x = model[1][:1].expand(600, -1).clone().requires_grad_()
    net.under(shots=2000, generator=generator)(x)[:, 0].sum().backward()
    one = model[1][:1].clone().requires_grad_()
    net(one)[:, 0].sum().backward()
    away = (x.grad.mean(0) - one.grad[0]).abs()
    assert bool((away < 4 * x.grad.std(0) / 600**0.5).all())


def test_shots_are_shared_among_the_circuits(model, generator):
    net = _net(model, ZNE((1, 3, 5)))
    assert net.plan.circuits == 3
    assert net.plan.share(3000) == 1000
    with pytest.raises(DataError, match="at least 3 shots"):
        net.under(shots=2, generator=generator)


def test_one_seed_gives_the_same_answers(model):
    first, second = (
        _net(model, build("readout+cdr"), shots=200).under(shots=500, generator=torch.Generator().manual_seed(9))(
            model[1][:5]
        )
        for _ in range(2)
    )
    assert torch.equal(first, second)


def test_a_hybrid_is_mitigated_between_its_layers(generator):
    net, x, _ = trained("hybrid", torch.float64)
    whole = MitigatedNet(net, MANILA, Stack(ReadoutInversion(), PEC()), inputs=x[:10], generator=generator)
    np.testing.assert_allclose(whole(x[:10]).detach(), net(x[:10]).detach(), atol=1e-6)


def test_what_is_refused(model, generator):
    _, x, _ = model
    with pytest.raises(ModelError, match="quantum or hybrid model, got Perceptron"):
        MitigatedNet(Perceptron(4, [2], 3, generator=generator), MANILA, ZNE(), inputs=x, generator=generator)
    net = _net(model, ZNE())
    with pytest.raises(ModelError, match="the noise that it was made for"):
        net.freeze(MANILA)
    with pytest.raises(ModelError, match="a generator with shots"):
        net.under(shots=10)
    with pytest.raises(SpecError, match="did you mean 'zne'"):
        build("readout+zme")
    with pytest.raises(SpecError, match="come first"):
        build("zne+readout")
    with pytest.raises(SpecError, match="come first"):
        Stack(ReadoutHistogram(), ZNE())
    rules = NoiseModel.uniform(gate_error=0.01)
    plain = QuantumNet(Circuit.of(2, [op("x", 0)]), per_qubit_z(2, 2), generator=generator)
    blank = torch.zeros(1, 0)
    assert MitigatedNet(plain, rules, SymmetryVerification("ZI", -1), inputs=blank, generator=generator)(
        blank
    ).shape == (1, 2)
