"""Noise-aware learning: the loss it claims, inner attacks included, and what it buys on a bad device."""

import pytest
import torch
from small_models import dressed, points, small
from torch.nn.functional import cross_entropy

from robustq.attacks import FGSM
from robustq.contracts import Step
from robustq.defences import AdversarialTraining, ErrorDetecting, FeatureSqueezing, NoiseAware, Plain, Recipe
from robustq.defences.encoding.randomisation import Keyed, Redrawn
from robustq.defences.noise.aware import drawn
from robustq.defences.training.inner import worst_inputs
from robustq.errors import ModelError, SpecError
from robustq.models import Training
from robustq.models.catalogue import qnn
from robustq.noise import Device
from robustq.seeding import torch_generator
from robustq.stats import mcnemar
from robustq.threats import Linf
from steps import mean_loss

MELBOURNE = Device.bundled("melbourne")
WORN = MELBOURNE.drifted("t1-drop", amount=0.8)  # relaxation decides what is read


@pytest.mark.parametrize("make", [small, dressed])
def test_the_loss_is_that_on_the_device(make, generator):
    model = make()
    x, y = points(6, 3 if make is small else 4)
    x = x.double()
    expected = cross_entropy(model.under(MELBOURNE)(x), y)
    found = mean_loss(NoiseAware(MELBOURNE), model, x, y, generator)
    torch.testing.assert_close(found, expected)
    assert abs(float((found - mean_loss(Plain(), model, x, y, generator)).detach())) > 1e-3


def test_guards_inside_stay_in_place(generator):
    x, y = points(6, 3)
    model = FeatureSqueezing(2).around(small(), x, y, generator)
    found = mean_loss(NoiseAware(MELBOURNE), model, x.double(), y, generator)
    torch.testing.assert_close(found, cross_entropy(model.under(MELBOURNE)(x.double()), y))


def test_an_inner_attack_is_on_the_noisy_model(generator):
    """FGSM's point on the frozen noisy model, judged by the noisy model."""
    model, (x, y) = small(), points(6, 3)
    x, threat = x.double(), Linf(0.1, (0.0, 1.0))
    step = Step(x=x, y=y, generator=generator)
    worst = worst_inputs(FGSM(), model.freeze(MELBOURNE), step, threat)
    expected = cross_entropy(model.under(MELBOURNE)(worst), y)
    defence = NoiseAware(MELBOURNE, on=AdversarialTraining(FGSM(), threat))
    torch.testing.assert_close(mean_loss(defence, model, x, y, generator), expected)


def test_drift_changes_the_device_in_training_only(generator):
    model, (x, y) = small(), points(6, 3)
    x = x.double()
    calibrated = cross_entropy(model.under(MELBOURNE)(x), y).detach()
    defence = NoiseAware(MELBOURNE, drift=True)
    seen = [mean_loss(defence, model, x, y, generator, progress=0.5).detach() for _ in range(16)]
    assert len({float(loss) for loss in seen}) > 3
    torch.testing.assert_close(mean_loss(defence, model, x, y, generator).detach(), calibrated)


def test_drifts_are_drawn_from_the_whole_catalogue(generator):
    snapshots = [drawn(MELBOURNE, generator) for _ in range(60)]
    assert MELBOURNE in snapshots  # the drift "none"
    assert MELBOURNE.drifted("t1-drop") in snapshots
    assert MELBOURNE.drifted("readout-shift") in snapshots
    assert len(set(snapshots)) > 8  # those with a generator differ every time


def test_a_drifted_device_runs_the_fit_of_the_calibrated_one():
    """As a device does between two transpilations: nothing is routed anew."""
    model, (x, y) = small(), points(6, 3)
    x = x.double()
    worn = model.fitted(MELBOURNE).on(drawn(MELBOURNE, torch_generator(5)))
    found = mean_loss(NoiseAware(MELBOURNE, drift=True), model, x, y, torch_generator(5), progress=0.0)
    torch.testing.assert_close(found, cross_entropy(model.under(worn)(x), y))


def test_training_on_the_device_buys_loss_and_accuracy_there():
    """Against twins trained without noise from the same start, on many rows and several starts."""
    losses, right = {}, {}
    x, y = points(120, 3)
    x_test, y_test = points(500, 3, seed=2)
    plan = Training(epochs=12, lr=0.1, validation=0.0)
    for defence in (Plain(), NoiseAware(WORN)):
        rows = []
        for seed in range(3):
            model = qnn(3, 2, generator=torch_generator(seed, "init"), layers=6)
            model, _ = Recipe((defence,)).fit(model, x, y, generator=torch_generator(seed, "fit"), training=plan)
            with torch.no_grad():
                rows.append(model.under(WORN)(x_test))
        name = type(defence).__name__
        losses[name] = torch.stack([cross_entropy(r, y_test, reduction="none") for r in rows])
        right[name] = torch.stack([r.argmax(1) == y_test for r in rows])
    saved = (losses["Plain"] - losses["NoiseAware"]).mean(0)  # of every row
    assert saved.mean() > 0.05
    assert saved.mean() > 5 * saved.std() / len(saved) ** 0.5
    plain, aware = right["Plain"].numpy(), right["NoiseAware"].numpy()
    assert aware.mean() > plain.mean() + 0.1
    assert mcnemar(aware, plain) < 1e-3


def test_a_model_without_a_circuit_and_a_device_that_is_none_are_refused(generator):
    x, y = points(4, 2)
    with pytest.raises(ModelError, match="expected a model with a circuit"):
        mean_loss(NoiseAware(MELBOURNE), torch.nn.Linear(2, 2), x, y, generator)
    with pytest.raises(SpecError, match="calibrated device"):
        NoiseAware("melbourne")


@pytest.mark.parametrize("drift", [False, True])
def test_a_device_runs_the_circuit_with_its_key(drift, generator):
    """Noise-aware training of a model with a secret circuit: its key is fitted to the device too."""
    model, (x, y) = small(), points(6, 3)
    x = x.double()
    secret = Keyed(model, 4, 0.6)
    fit = secret.fitted(MELBOURNE)
    expected = cross_entropy(secret.freeze(fit)(x), y)
    defence = NoiseAware(MELBOURNE, drift=drift)
    torch.testing.assert_close(mean_loss(defence, secret, x, y, generator).detach(), expected.detach())
    mean_loss(defence, secret, x, y, generator, progress=0.3).backward()
    assert float(model.theta.grad.abs().sum()) > 0


def test_noise_behind_a_key_joins_the_device_s():
    """A code around a secret circuit: frozen and under a device are one function, at today's weights."""
    x, y = points(6, 3)
    x = x.double()
    model = small()
    guarded = ErrorDetecting(0.1, code=False).around(Keyed(model, 4, 0.6), x, y, torch_generator(0))
    device = Device.bundled("manila")
    first = guarded.freeze(device)(x)
    torch.testing.assert_close(first, guarded.under(device)(x).detach())
    torch.testing.assert_close(first, guarded.freeze(guarded.fitted(device))(x))
    bare = Keyed(model, 4, 0.6).freeze(device)(x)
    assert float((first - bare).abs().max()) > 1e-2
    with torch.no_grad():
        model.theta += 0.2
    assert float((guarded.freeze(device)(x) - first).abs().max()) > 1e-3


def test_redrawn_keys_are_drawn_at_every_step(generator):
    x, y = points(6, 3)
    random = Redrawn(small(), 4, 0.6)
    losses = {float(mean_loss(NoiseAware(MELBOURNE), random, x.double(), y, generator).detach()) for _ in range(3)}
    assert len(losses) == 3
