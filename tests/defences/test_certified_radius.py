"""Training for exact radii: their values, their gradient, and certified accuracy that they buy."""

import math

import pytest
import torch

from robustq.attacks import PGD
from robustq.certify import ExactAmplitude, certify
from robustq.circuits import ansaetze, encodings, per_qubit_z, z
from robustq.circuits.observables import PauliSum
from robustq.data import load, prepare
from robustq.defences import AdversarialTraining, CertifiedRadius, Plain
from robustq.defences.training.certified_radius import signed_radii
from robustq.errors import CertificateError, SpecError
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import mlp, qnn
from robustq.noise import NoiseModel
from robustq.threats import L2, Linf
from steps import mean_loss

NOISE = {"pure": None, "noisy": NoiseModel.uniform(gate_error=0.05, readout_error=0.02)}


def amplitudes(classes, generator, noise=None, features=8):
    circuit = encodings.amplitude(features).then(ansaetze.strongly_entangling(3, layers=2))
    read = per_qubit_z(classes, 3)
    return QuantumNet(circuit, read, generator=generator, noise=noise).double()


def points(classes, generator, count=24):
    x = torch.randn(count, 8, generator=generator).double()
    return x, torch.randint(classes, (count,), generator=generator)


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_least_is_the_certified_radius(classes, noise, generator):
    model, (x, y) = amplitudes(classes, generator, noise), points(classes, generator)
    least = signed_radii(model, x, y).detach().min(1).values
    found = certify(ExactAmplitude(), model, x, y, L2(9.0), generator=generator)
    assert 4 < int(found.correct.sum()) < 20
    assert torch.equal(least > 0, found.correct)
    torch.testing.assert_close(least[found.correct], found.lower[found.correct], rtol=0, atol=1e-10)


def test_of_two_classes_a_wrong_row_is_as_far_from_right_as_it_is_certified_wrong(generator):
    model, (x, y) = amplitudes(2, generator), points(2, generator)
    radii = signed_radii(model, x, y).detach()
    own = torch.arange(len(x)), y
    assert bool(torch.isinf(radii[own]).all())
    swapped = signed_radii(model, x, 1 - y).detach()
    torch.testing.assert_close(radii.min(1).values, -swapped.min(1).values)


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_is_that_of_the_exact_radius(classes, noise, generator):
    """Against differences of radii that come from the dual alone."""
    model, (x, y) = amplitudes(classes, generator, noise), points(classes, generator)
    share = torch.rand(len(x), classes, generator=generator).double()

    def total():
        radii = signed_radii(model, x, y)
        return (radii * share).masked_fill(torch.isinf(radii), 0).sum()

    total().backward()
    slope = model.theta.grad.clone()
    step = 1e-6 * torch.randn(model.theta.shape, generator=generator).double()
    with torch.no_grad():
        ends = []
        for sign in (1, -2):
            model.theta.add_(sign * step)
            ends.append(float(total()))
    change = float((slope * step).sum())
    assert abs(change) > 1e-8
    assert ends[0] - ends[1] == pytest.approx(2 * change, rel=1e-4)


def test_a_class_that_is_always_ahead_is_as_far_as_the_input_is_long(generator):
    """One qubit read as Z and as twice the identity: no direction is of the first class."""
    read = [z(0), PauliSum(((2.0, ()),))]
    model = QuantumNet(encodings.amplitude(2), read, generator=generator).double()
    x = torch.tensor([[3.0, 4.0]]).double()
    assert signed_radii(model, x, torch.tensor([0])).tolist() == [[math.inf, -5.0]]
    assert signed_radii(model, x, torch.tensor([1])).tolist() == [[5.0, math.inf]]


def test_the_loss_by_hand(generator):
    """One qubit, read as it is loaded: the boundary is the diagonal."""
    model = QuantumNet(encodings.amplitude(2), [z(0), -z(0)], generator=generator).double()
    x = torch.tensor([[1.0, 0.4], [0.4, 1.0]]).double()
    y, radius = torch.tensor([0, 0]), 0.6 / math.sqrt(2)
    signed = torch.tensor([radius, -radius]).double()
    plain = torch.nn.functional.cross_entropy(model(x), y, reduction="none")
    for weight, softness, eps in ((1.0, 0.5, 0.3), (0.25, 0.2, 0.3), (0.0, 0.5, 0.7)):
        hinge = torch.nn.functional.softplus((eps - signed) / (softness * eps))
        expected = (weight * hinge + (1 - weight) * plain).mean()
        for defence in (
            CertifiedRadius(L2(eps), weight, softness),
            CertifiedRadius(Linf(0.1), weight, softness, eps=eps),
        ):
            torch.testing.assert_close(mean_loss(defence, model, x, y, generator), expected)


@pytest.mark.prove
def test_it_certifies_more_than_adversarial_training():
    """Ones and sevens at 8 x 8: the usual inner search in l-inf, and radii in l2 that are trained for."""
    data = prepare(load("digits").only(("1", "7")))
    (x, y), (x_test, y_test) = data.tensors("train"), data.tensors("test")
    threat, certified, right = L2(1.0), {}, {}
    searched = AdversarialTraining(PGD(steps=4, restarts=1, step=0.5), Linf(0.1, box=(0.0, 1.0)))
    for defence in (Plain(), searched, CertifiedRadius(threat)):
        generator = torch.Generator().manual_seed(0)
        circuit = encodings.amplitude(64).then(ansaetze.strongly_entangling(6, layers=6))
        model = QuantumNet(circuit, [z(0), -z(0)], generator=generator)
        plan = Training(epochs=15, batch_size=64, patience=0)
        fit(model, x, y, generator=generator, defence=defence, training=plan)
        found = certify(ExactAmplitude(), model, x_test, y_test, threat, generator=generator)
        right[type(defence).__name__] = float(found.correct.double().mean())
        certified[type(defence).__name__] = float(found.certified(1.0).double().mean())
    assert min(right.values()) > 0.95
    assert certified["CertifiedRadius"] > certified["AdversarialTraining"] + 0.05
    assert certified["CertifiedRadius"] > certified["Plain"] + 0.15


def test_what_does_not_apply_is_refused(generator):
    x, y = torch.full((2, 4), 0.5), torch.tensor([0, 1])
    for model in (mlp(4, 2, generator=generator), qnn(4, 2, generator=generator)):
        with pytest.raises(CertificateError, match="loaded as amplitudes"):
            mean_loss(CertifiedRadius(L2(0.1)), model, x, y, generator)
    for threat in (Linf(0.1), L2(0.1, scale=(1.0, 2.0))):
        with pytest.raises(SpecError, match="l2 threat in equal units or an eps"):
            CertifiedRadius(threat)
    with pytest.raises(SpecError, match="eps"):
        CertifiedRadius(L2(0.0))
    with pytest.raises(SpecError, match=r"weight in \[0, 1\]"):
        CertifiedRadius(L2(0.1), weight=1.5)
    with pytest.raises(SpecError, match="softness > 0"):
        CertifiedRadius(L2(0.1), softness=0.0)
