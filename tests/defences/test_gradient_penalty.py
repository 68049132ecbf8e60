"""The slope penalty: its dual norms by hand, and second derivatives through the simulator."""

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from robustq.attacks import FGSM
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.contracts import Step
from robustq.defences import AdversarialTraining, GradientPenalty, Plain
from robustq.errors import SpecError
from robustq.models import QuantumNet
from robustq.models.catalogue import hybrid, mlp, qnn, reuploading
from robustq.noise import Channel, NoiseModel, Rule
from robustq.threats import L0, L1, L2, Linf
from steps import mean_loss


def batch(generator, features=3, rows=5):
    return torch.rand(rows, features, generator=generator).double() + 0.1, torch.arange(rows) % 2


@pytest.mark.parametrize(("ball", "order"), [(Linf, 1), (L2, 2), (L1, float("inf"))])
def test_a_linear_model_by_hand(ball, order, generator):
    """Its slope is ``W^T (p - e_y)``; the dual norm of l-inf is the sum, that of l1 the largest."""
    model = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.randn(2, 3, generator=generator))
    x, y = batch(generator)
    slope = (model(x).softmax(1) - one_hot(y, 2)) @ model.weight
    expected = cross_entropy(model(x), y, reduction="none")
    expected = expected + 0.7 * 0.2 * torch.linalg.vector_norm(slope, order, dim=1)
    found = GradientPenalty(ball(0.2), weight=0.7)
    torch.testing.assert_close(found.losses(model, Step(x=x, y=y, generator=generator)), expected)


def test_to_first_order_it_is_adversarial_training(generator):
    model = qnn(3, 2, generator=generator, layers=2).double()
    x, y = batch(generator)
    plain = mean_loss(Plain(), model, x, y, generator)
    for eps, far in ((1e-3, 1e-2), (1e-4, 1e-3)):
        attacked = mean_loss(AdversarialTraining(FGSM(), Linf(eps)), model, x, y, generator) - plain
        penalty = mean_loss(GradientPenalty(Linf(eps)), model, x, y, generator) - plain
        assert float(penalty.detach()) > 0
        assert abs(float((attacked / penalty).detach()) - 1) < far


def models(generator):
    yield qnn(3, 2, generator=generator, layers=1)
    yield reuploading(3, 2, generator=generator, qubits=2, layers=2)
    yield hybrid(3, 2, generator=generator, qubits=2, layers=1)
    circuit = encodings.amplitude(3).then(ansaetze.brickwork(2))
    yield QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    noise = NoiseModel((Rule(Channel("amplitude-damping", 0.1)),))
    circuit = encodings.angle(3).then(ansaetze.brickwork(3))
    yield QuantumNet(circuit, per_qubit_z(2, 3), generator=generator, noise=noise)
    yield mlp(3, 2, generator=generator)


@pytest.mark.parametrize("number", range(6))
def test_its_gradient_by_finite_differences(number, generator):
    """Second derivatives through the kernel's torch path: angles, scales, layers in front, noise."""
    model = list(models(generator))[number].double()
    x, y = batch(generator)
    for threat in (Linf(0.3), L2(0.3)):
        defence = GradientPenalty(threat)
        model.zero_grad()
        mean_loss(defence, model, x, y, generator).backward()
        moved = 0.0
        for parameter in model.parameters():
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            slope, ends = float((parameter.grad * direction).sum()), []
            with torch.no_grad():
                for sign in (1, -2):
                    parameter.add_(sign * 1e-6 * direction)
                    ends.append(float(mean_loss(defence, model, x, y, generator)))
                parameter.add_(1e-6 * direction)
            assert abs((ends[0] - ends[1]) / 2e-6 - slope) < 1e-6 * max(1, abs(slope))
            moved = max(moved, abs(slope))
        assert moved > 1e-3


def test_it_adds_to_another_defence_and_costs_nothing_without_weight(generator):
    model = qnn(3, 2, generator=generator, layers=1).double()
    x, y = batch(generator)
    inner = AdversarialTraining(FGSM(), Linf(0.1))

    def loss(defence):
        return mean_loss(defence, model, x, y, generator)

    penalty = loss(GradientPenalty(L2(0.2))) - loss(Plain())
    torch.testing.assert_close(loss(GradientPenalty(L2(0.2), on=inner)) - loss(inner), penalty)
    assert torch.equal(loss(GradientPenalty(L2(0.2), 0.0)), loss(Plain()))
    torch.testing.assert_close(loss(GradientPenalty(L2(0.4))) - loss(Plain()), 2 * penalty)


def test_units_and_frozen_features_count(generator):
    model = torch.nn.Linear(3, 2).double()
    x, y = batch(generator)
    step = Step(x=x, y=y, generator=generator)
    slope = ((model(x).softmax(1) - one_hot(y, 2)) @ model.weight).abs()
    threat = Linf(0.2, scale=(1.0, 3.0, 1.0), frozen=(2,))
    found = GradientPenalty(threat).slopes(model, step)
    torch.testing.assert_close(found, slope[:, 0] + 3 * slope[:, 1])


def test_what_does_not_apply_is_refused():
    with pytest.raises(SpecError, match="expected an l-inf, l2 or l1 threat, got"):
        GradientPenalty(L0(1))
    with pytest.raises(SpecError, match="gradient penalty: expected weight >= 0"):
        GradientPenalty(Linf(0.1), weight=-1.0)
