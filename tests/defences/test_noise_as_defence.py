"""Noise kept at inference: exact identities, twins without it, and attacks that know it."""

import copy
import math

import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from small_models import dressed, no_weaker, points, small

from robustq.attacks import EOT, PGD, Adaptive, run_attack
from robustq.certify.smoothing.exact import smoothed
from robustq.circuits import encodings, op, pauli, theta
from robustq.circuits import x as feature
from robustq.circuits.circuit import Circuit
from robustq.contracts import QuantumClassifier, RandomisedClassifier, TwinnedClassifier
from robustq.defences import Depolarising, PhaseDamping, RandomisedInputs, Recipe
from robustq.defences.noise.cores import without_noise
from robustq.defences.noise.phase_damping import dephased
from robustq.errors import ModelError, SpecError
from robustq.models import QuantumNet, Training
from robustq.noise import Channel, Device, NoiseModel
from robustq.seeding import torch_generator
from robustq.threats import Linf

BOX = (0.0, 1.0)
PLAN = Training(epochs=10, lr=0.1, validation=0.0)


def guarded(guard, model):
    """The guard around the model, without training."""
    return guard.around(model, torch.zeros(1, 3), torch.tensor([0]), torch_generator(0))


def test_depolarising_is_the_channel_after_every_gate():
    model, x = small(), points(5, 3)[0].double()
    noise = NoiseModel.after_every_gate(Channel("depolarising", 0.1))
    torch.testing.assert_close(guarded(Depolarising(0.1), model)(x), model.under(noise)(x))
    torch.testing.assert_close(guarded(Depolarising(0.0), model)(x), model(x))
    assert float((guarded(Depolarising(1.0), model)(x)).abs().max().detach()) < 1e-12


@pytest.mark.parametrize("guard", [Depolarising(0.05), PhaseDamping(0.5)])
@pytest.mark.parametrize("make", [small, dressed])
def test_frozen_and_on_a_device_the_defence_s_noise_stays(guard, make):
    noisy = guarded(guard, make())
    x = points(5, 3 if make is small else 4)[0].double()
    assert isinstance(noisy, QuantumClassifier)
    assert isinstance(noisy, TwinnedClassifier)
    torch.testing.assert_close(noisy.freeze()(x), noisy(x))
    torch.testing.assert_close(noisy.under()(x), noisy(x))
    device = Device.bundled("manila")
    both = noisy.freeze(device)(x)
    torch.testing.assert_close(noisy.under(device)(x), both)
    torch.testing.assert_close(noisy.freeze(noisy.fitted(device))(x), both)
    bare = without_noise(noisy.model)
    assert float((both - bare.freeze(device)(x)).abs().max().detach()) > 1e-3
    torch.testing.assert_close(noisy.twins()[0](x), bare(x))


def trained(guard, seed=0):
    x, y = points(80, 3)
    model, _ = Recipe((guard,)).fit(
        small(seed=seed, layers=3).float(), x, y, generator=torch_generator(seed), training=PLAN
    )
    return model, x, y


@pytest.mark.parametrize("guard", [Depolarising(0.08), PhaseDamping(0.8)])
def test_it_is_trained_through_and_the_adaptive_attack_is_no_weaker(guard):
    model, x, y = trained(guard)
    attack, threat = PGD(steps=8, restarts=1), Linf(0.1, BOX)
    alone = run_attack(attack, model, x, y, threat, generator=torch_generator(1))
    both = run_attack(Adaptive(attack, model.twins()), model, x, y, threat, generator=torch_generator(1))
    assert float(alone.correct.double().mean()) > 0.7
    assert bool((both.success | ~alone.success).all())
    assert int(both.success.sum()) > 0


def test_depolarising_shrinks_logits_and_input_gradients():
    """What it does to a model of given weights; it is no more than that (hence the twin)."""
    model = small()
    x = points(20, 3)[0].double().requires_grad_(True)
    sizes = []
    for p in (0.0, 0.05, 0.2):
        logits = guarded(Depolarising(p), model)(x)
        (gradient,) = torch.autograd.grad((logits[:, 0] - logits[:, 1]).sum(), x)
        sizes.append((float(logits.abs().mean().detach()), float(gradient.abs().mean())))
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[0][1] > sizes[1][1] > sizes[2][1]


def blurred(model, x, sigmas):
    """Gauss-Hermite mean over independent noise on each feature."""
    nodes, weights = (torch.as_tensor(v) for v in hermegauss(14))
    n = x.shape[1]
    grid = torch.cartesian_prod(*[nodes] * n) * torch.tensor(sigmas, dtype=torch.float64)
    mass = torch.cartesian_prod(*[weights / weights.sum()] * n).prod(1)
    rows = [mass @ model(row + grid) for row in x]
    return torch.stack(rows)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("sigma", [0.3, 1.1])
def test_phase_damping_is_the_gaussian_mean_over_the_encoded_angles(axis, sigma):
    model = small(encodings.angle(2, axis=axis))
    x = points(4, 2)[0].double()
    expected = blurred(model, x, [sigma / math.pi] * 2)
    torch.testing.assert_close(guarded(PhaseDamping(sigma), model)(x), expected, atol=1e-10, rtol=0)
    assert float((expected - model(x)).abs().max().detach()) > 1e-2


def test_phase_damping_is_what_exact_smoothing_certifies():
    """The closed form of the certificate, in the input's units: sigma / pi."""
    model, x = small(), points(6, 3)[0].double()
    form = smoothed(model.freeze().trigonometric(), 0.7 / math.pi)
    torch.testing.assert_close(guarded(PhaseDamping(0.7), model)(x), form(x))


def test_phase_damping_with_several_axes_on_a_qubit():
    """RY then RZ of different features on one qubit: both are blurred, each about its own axis."""
    model = small(encodings.dense_angle(4))
    x = points(2, 4)[0].double()
    assert {"h", "sx"} & set(dephased(model.circuit)[0].counts)
    damped = guarded(PhaseDamping(0.6), model)(x)
    form = smoothed(model.freeze().trigonometric(), 0.6 / math.pi)
    torch.testing.assert_close(damped, form(x))


def test_phase_damping_of_three_axes_and_of_pairs():
    """RX, RY, RZ by ``rot`` and RZZ by its parts: against the mean over sampled angles' closed form."""
    gates = [
        op("h", 0),
        op("rx", 0, angles=[feature(0)]),
        op("ry", 0, angles=[feature(1)]),
        op("rot", 1, angles=[feature(2), 0.3 * feature(3), 0.2]),
        op("rzz", 0, 1, angles=[feature(4)]),
        op("ry", 0, angles=[theta(0)]),
        op("cx", 0, 1),
        op("rx", 1, angles=[theta(1)]),
    ]
    reads = [pauli("ZX", 0, 1), pauli("Y", 0)]
    model = QuantumNet(Circuit.of(2, gates), reads, generator=torch_generator(3)).double()
    x = points(2, 5)[0].double()
    form = smoothed(model.freeze().trigonometric(), 0.6)
    noisy = guarded(PhaseDamping(0.6), model)
    # feature 3 turns its gate by 0.3 of itself, so blurring the angle by 0.6 blurs it by 2
    wide = blurred(model, x, [0.6, 0.6, 0.6, 2.0, 0.6])
    torch.testing.assert_close(noisy(x), wide, atol=1e-9, rtol=0)
    assert float((form(x) - wide).abs().max().detach()) > 1e-4


def test_phase_damping_counts_repeated_features_once_a_gate():
    """Two encoding gates of one feature are blurred independently, as documented."""
    circuit = Circuit.of(1, [op("rx", 0, angles=[feature(0)]), op("rx", 0, angles=[feature(0)])])
    model = QuantumNet(circuit, [pauli("Z", 0), pauli("X", 0)], generator=torch_generator(0)).double()
    x = torch.tensor([[0.3]], dtype=torch.float64)
    ratio = guarded(PhaseDamping(0.5), model)(x)[0, 0] / model(x)[0, 0]
    assert float(ratio.detach()) == pytest.approx(math.exp(-2 * 0.5**2 / 2))


def test_models_that_do_not_turn_gates_are_refused():
    with pytest.raises(ModelError, match="got amplitudes"):
        guarded(PhaseDamping(0.5), small(encodings.amplitude(8)))
    controlled = Circuit.of(2, [op("crx", 0, 1, angles=[feature(0)])])
    with pytest.raises(ModelError, match="got 'crx'"):
        dephased(controlled)
    with pytest.raises(ModelError, match="without identity gates"):
        guarded(PhaseDamping(0.5), guarded(PhaseDamping(0.5), small()))


def test_depolarising_leaves_other_defences_marks_alone():
    """The identity gates that mark another defence's noise are no gates to it."""
    model, x = small(), points(4, 3)[0].double()
    both = guarded(Depolarising(0.05), guarded(PhaseDamping(0.4), model))
    other = guarded(PhaseDamping(0.4), guarded(Depolarising(0.05), model))
    torch.testing.assert_close(both(x), other(x))
    assert float((both(x) - guarded(Depolarising(0.05), model)(x)).abs().max().detach()) > 1e-3


def test_randomised_inputs_answer_differently_and_average_to_the_smoothed_model():
    model, x = small(), points(3, 3)[0].double()
    random = guarded(RandomisedInputs(0.1), model)
    assert isinstance(random, RandomisedClassifier)
    assert random.answers == 25
    assert not torch.equal(random(x), random(x))
    again = copy.deepcopy(guarded(RandomisedInputs(0.1), model))
    assert torch.equal(again(x), guarded(RandomisedInputs(0.1), model)(x))  # its stream is its own
    form = smoothed(model.freeze().trigonometric(), 0.1)
    frozen = random.freeze()
    draws = torch.stack([frozen(x) for _ in range(800)])
    error = draws.std(0) / len(draws) ** 0.5
    assert bool(((draws.mean(0) - form(x)).abs() < 4.5 * error).all())


def test_randomised_inputs_are_attacked_in_the_mean_and_on_the_twin():
    model, x, y = trained(RandomisedInputs(0.05))
    threat, plain = Linf(0.15, BOX), PGD(steps=6, restarts=1)
    attack = Adaptive(EOT(plain, samples=4), model.twins())
    result, alone = (
        run_attack(a, model, x, y, threat, generator=torch_generator(1), answers=model.answers)
        for a in (attack, plain)
    )
    assert float(result.correct.double().mean()) > 0.75
    assert no_weaker(result, alone)
    assert int(result.success.sum()) > 10
    with pytest.raises(ModelError, match="answers the same twice"):
        run_attack(plain, model, x, y, threat, generator=torch_generator(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Depolarising(1.5), "p in"),
        (lambda: PhaseDamping(-0.1), "sigma >= 0"),
        (lambda: RandomisedInputs(math.inf), "sigma >= 0"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()
