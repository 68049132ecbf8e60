"""QuantumNAT: inserted gates average to the noise, normalisation undoes it, levels gather values."""

import itertools

import numpy as np
import pytest
import torch
from small_models import dressed, points, small
from torch.nn.functional import cross_entropy

from robustq.attacks import FGSM, PGD, Adaptive, run_attack
from robustq.circuits import encodings, pauli
from robustq.circuits.gates import pauli_matrix
from robustq.contracts import FrozenClassifier, TwinnedClassifier
from robustq.defences import AdversarialTraining, FeatureSqueezing, Fronted, NoiseInjection, Plain, Recipe
from robustq.defences.noise.cores import changed
from robustq.defences.noise.insertion import inserted, pauli_chances
from robustq.defences.noise.normalisation import Levels, Normalised, started
from robustq.engine import expectations
from robustq.errors import ModelError, SpecError
from robustq.models import QuantumNet, Training
from robustq.noise import Channel, Device, NoiseModel, Rule
from robustq.seeding import torch_generator
from robustq.threats import Linf
from steps import mean_loss

MANILA, MELBOURNE = Device.bundled("manila"), Device.bundled("melbourne")
BOX = (0.0, 1.0)
PAULIS = NoiseModel((Rule(Channel("pauli", 0.05, 0.0, 0.1)), Rule(Channel("depolarising-2", 0.2), width=2)))


def test_a_pauli_channel_is_its_own_twirl():
    two = dict(pauli_chances(Channel("depolarising-2", 0.16)))
    assert two["II"] == pytest.approx(1 - 15 * 0.01)
    assert all(p == pytest.approx(0.01) for word, p in two.items() if word != "II")


@pytest.mark.parametrize(
    "channel",
    [
        Channel("amplitude-damping", 0.3),
        Channel("thermal-relaxation", t1=1e-4, t2=8e-5, time=2e-5),
        Channel("zz-crosstalk", 0.4),
    ],
)
def test_a_twirl_is_the_mean_over_conjugation_by_paulis(channel):
    """The definition: ``E_v P_v E(P_v . P_v) P_v`` has the chances as a Pauli channel (dense)."""
    words = ["".join(w) for w in itertools.product("IXYZ", repeat=channel.qubits)]
    frames = [pauli_matrix(w) for w in words]
    twirled = sum(np.kron(v @ k @ v, (v @ k @ v).conj()) for v in frames for k in channel.kraus) / len(words)
    chances = dict(pauli_chances(channel))
    expected = sum(chances[w] * np.kron(m, m.conj()) for w, m in zip(words, frames, strict=True))
    np.testing.assert_allclose(twirled, expected, atol=1e-12)
    assert sum(chances.values()) == pytest.approx(1)


def test_inserted_gates_average_to_the_exact_noise(generator):
    """Mean over sampled circuits within 4.5 standard errors of the exact noisy expectations."""
    model = small(layers=1)
    x = points(3, 3)[0].double()
    exact = expectations(model.circuit, model.observables, inputs=x, parameters=model.theta, noise=PAULIS)
    clean = expectations(model.circuit, model.observables, inputs=x, parameters=model.theta)
    draws = torch.stack(
        [
            expectations(
                inserted(model.circuit, PAULIS, generator), model.observables, inputs=x, parameters=model.theta
            ).detach()
            for _ in range(600)
        ]
    )
    error = draws.std(0) / len(draws) ** 0.5
    assert bool(((draws.mean(0) - exact).abs() < 4.5 * error).all())
    assert bool(((draws.mean(0) - clean).abs() > 4.5 * error).any())  # could have told them apart


def test_the_device_s_read_out_stays_exact_and_its_gates_are_drawn(generator):
    model, (x, y) = small(), points(8, 3)
    defence = NoiseInjection(MELBOURNE, normalise=False, levels=0)
    seen = {float(mean_loss(defence, model, x.double(), y, generator).detach()) for _ in range(30)}
    assert len(seen) > 3
    fit = model.fitted(MELBOURNE)
    readout = NoiseModel(readout=fit.noise.readout, readouts=fit.noise.readouts)
    quietest = changed(model, circuit=fit.circuit, observables=fit.observables, noise=readout)
    expected = float(cross_entropy(quietest(x.double()), y).detach())
    assert any(loss == pytest.approx(expected, abs=1e-9) for loss in seen)  # no error struck


def test_rate_alone_draws_paulis_and_nothing_at_rate_zero(generator):
    model, (x, y) = small(), points(8, 3)
    x = x.double()
    plain = mean_loss(Plain(), model, x, y, generator)
    quiet = NoiseInjection(normalise=False, levels=0)
    torch.testing.assert_close(mean_loss(quiet, model, x, y, generator), plain)
    loud = NoiseInjection(rate=0.5, normalise=False, levels=0)
    assert abs(float((mean_loss(loud, model, x, y, generator) - plain).detach())) > 1e-3


def test_spread_moves_the_angles_and_gradients_still_reach_them(generator):
    model, (x, y) = small(), points(8, 3)
    defence = NoiseInjection(spread=0.3, normalise=False, levels=0)
    losses = [mean_loss(defence, model, x.double(), y, generator) for _ in range(2)]
    assert float(losses[0].detach()) != float(losses[1].detach())
    losses[0].backward()
    assert float(model.theta.grad.abs().sum()) > 0


def test_levels_are_even_and_gradients_pass_straight_through():
    z = torch.linspace(-3, 3, 25, requires_grad=True)
    rounded = Levels(5)(z)
    assert sorted(set(rounded.tolist())) == [-2, -1, 0, 1, 2]
    rounded.sum().backward()
    assert torch.equal(z.grad, torch.ones(25))


def test_the_penalty_is_the_mean_squared_rounding(generator):
    model, (x, y) = small(), points(9, 3)
    x = x.double()
    model = started(model, x, levels=3).double().eval()
    z = (model.model(x) - model.mean) / (model.variance + 1e-5).sqrt()
    expected = (z - Levels(3)(z)).square().mean().detach()
    bare = mean_loss(NoiseInjection(levels=3, penalty=0.0), model, x, y, generator)
    full = mean_loss(NoiseInjection(levels=3, penalty=0.7), model, x, y, generator)
    torch.testing.assert_close((full - bare).detach(), 0.7 * expected)


def test_normalisation_undoes_uniform_depolarising_noise_exactly():
    """One qubit: noise is <Z> -> gamma <Z>, which fresh statistics take out of every logit."""
    circuit = encodings.angle(1)
    model = QuantumNet(circuit, [pauli("Z", 0), pauli("X", 0)], generator=torch_generator(0)).double()
    x = torch.rand(200, 1, generator=torch_generator(1), dtype=torch.float64)
    noise = NoiseModel.uniform(gate_error=0.4)
    normalised = started(model, x, levels=0).double()
    gap = (normalised.freeze(noise)(x) - normalised.freeze()(x)).abs().max()
    undone = normalised.calibrated(x, noise)
    assert float(gap) > 0.1
    torch.testing.assert_close(undone.freeze(noise)(x), normalised.eval()(x), atol=1e-4, rtol=1e-4)


def test_training_uses_the_batch_and_inference_running_statistics(generator):
    model, x = small(), points(40, 3)[0].double()
    normalised = started(model, x, levels=0).double()
    first = normalised.train()(x[:10]).detach()
    assert float(first.mean(0).abs().max()) < 1e-6
    before = normalised.mean.clone()
    normalised(x[:10])
    assert not torch.equal(before, normalised.mean)
    answers = normalised.eval()(x[:10]).detach()
    assert torch.equal(answers[:3], normalised(x[:3]).detach())  # an input's answer is its own
    assert float(answers.mean(0).abs().max()) > 1e-3


@pytest.mark.parametrize("make", [small, dressed])
@pytest.mark.parametrize("levels", [0, 5])
def test_frozen_it_is_the_same_function(make, levels):
    model = make()
    x = points(50, 3 if make is small else 4)[0].double()
    normalised = started(model, x, levels).double().eval()
    frozen = normalised.freeze()
    torch.testing.assert_close(frozen(x), normalised(x))
    noisy = normalised.freeze(MANILA)
    torch.testing.assert_close(noisy(x), normalised.under(MANILA)(x))
    if make is small:
        assert isinstance(frozen, FrozenClassifier) == (not levels)
    if isinstance(frozen, FrozenClassifier) and frozen.front is None:
        torch.testing.assert_close(frozen.trigonometric()(x), normalised(x))


def test_attacks_go_through_the_levels_and_the_twin_without_them():
    x, y = points(60, 3)
    recipe = Recipe((NoiseInjection(rate=0.01),))
    model, _ = recipe.fit(
        small().float(), x, y, generator=torch_generator(0), training=Training(epochs=8, lr=0.1, validation=0.0)
    )
    assert isinstance(model, TwinnedClassifier)
    assert isinstance(model, Normalised)
    threat, attack = Linf(0.15, BOX), PGD(steps=10, restarts=1)
    alone = run_attack(attack, model, x, y, threat, generator=torch_generator(1))
    adaptive = run_attack(Adaptive(attack, model.twins()), model, x, y, threat, generator=torch_generator(1))
    assert int(alone.correct.sum()) > 40
    assert int(alone.success.sum()) > 10  # levels hide nothing
    assert bool((adaptive.success | ~alone.success).all())


def test_it_gathers_values_at_the_levels():
    """Trained with the penalty, outputs lie nearer to a level than trained without."""
    x, y = points(80, 3)
    off = []
    for penalty in (0.0, 5.0):
        recipe = Recipe((NoiseInjection(levels=5, penalty=penalty),))
        model, _ = recipe.fit(
            small(layers=4).float(),
            x,
            y,
            generator=torch_generator(0),
            training=Training(epochs=40, lr=0.1, batch_size=40, validation=0.0, patience=0),
        )
        values = model.model(x).detach()
        z = (values - values.mean(0)) / values.std(0)
        off.append(float((z - Levels(5)(z)).square().mean()))
    assert off[1] < 0.8 * off[0]


def test_inner_attacks_run_on_the_drawn_sample(generator):
    """Same stream, same draw: the loss with an attack of no strength is the plain one of that sample."""
    model, (x, y) = small(), points(8, 3)
    x = x.double()
    inner = AdversarialTraining(FGSM(), Linf(0.0, BOX))
    losses = [
        mean_loss(
            NoiseInjection(rate=0.1, normalise=False, levels=0, on=on), model, x, y, torch_generator(3)
        ).detach()
        for on in (Plain(), inner)
    ]
    torch.testing.assert_close(*losses)


def test_in_a_recipe_it_guards_the_model_and_is_layered_on_what_comes_before(generator):
    inner = AdversarialTraining(FGSM(), Linf(0.05, BOX))
    recipe = Recipe((FeatureSqueezing(4), inner, NoiseInjection(rate=0.02)))
    assert recipe.training == NoiseInjection(rate=0.02, on=inner)
    x, y = points(40, 3)
    model, history = recipe.fit(small().float(), x, y, generator=generator, training=Training(epochs=6, lr=0.1))
    assert isinstance(model, Normalised)
    assert isinstance(model.model, Fronted)
    assert history.epochs[-1].loss < history.epochs[0].loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1.5}, "rate in"),
        ({"spread": -1.0}, "spread >= 0"),
        ({"penalty": -1.0}, "penalty >= 0"),
        ({"levels": 1}, "levels 0 or >= 2"),
        ({"normalise": False}, "levels=0 without normalise"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        NoiseInjection(**options)


def test_a_model_without_a_circuit_is_refused(generator):
    x, y = points(4, 2)
    with pytest.raises(ModelError, match="with a circuit"):
        mean_loss(NoiseInjection(rate=0.1), torch.nn.Linear(2, 2), x, y, generator)
