"""Training for drifting angles: the drift by hand, its gradient, and robustness that it buys."""

import copy
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from robustq.attacks import FGSM
from robustq.circuits import Circuit, encodings, op, per_qubit_z, theta, x, z
from robustq.contracts import Step
from robustq.defences import AdversarialTraining, AngleTraining, Free, Fronted, Plain
from robustq.defences.training.angles import drifting
from robustq.defences.training.free import Perturbations
from robustq.errors import ModelError, SpecError
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import hybrid, mlp, qnn
from robustq.tampering import ManyStarts, ParameterDrift, tamper
from robustq.threats import Linf
from steps import mean_loss


def two_angles(generator):
    """Scores ``cos`` and ``-cos`` of ``x + theta_0 + 2 theta_1``."""
    turns = [op("ry", 0, angles=[angle]) for angle in (x(0), theta(0), 2 * theta(1))]
    model = QuantumNet(Circuit.of(1, turns), [z(0), -z(0)], generator=generator).double()
    with torch.no_grad():
        model.theta.copy_(torch.tensor([0.1, 0.2]))
    return model


def spy(seen):
    class Spy:
        """A defence that notes the angles it sees."""

        def losses(self, model, step):
            seen.append(model.angles.detach().clone())
            return cross_entropy(model(step.x), step.y, reduction="none")

    return Spy()


@pytest.mark.parametrize(("norm", "turn"), [("linf", 0.3 * 1 + 0.3 * 2), ("l2", 0.3 * math.sqrt(5))])
@pytest.mark.parametrize("steps", [1, 5])
def test_one_qubit_by_hand(norm, turn, steps, generator):
    """Every angle by the radius, or all along ``(1, 2)``; the worst turn is away from the pole."""
    model = two_angles(generator)
    points, y = torch.tensor([[0.3], [0.5]], dtype=torch.float64), torch.tensor([0, 0])
    scores = model.scale * (points[:, 0] + 0.5 + turn).cos()
    expected = cross_entropy(torch.stack([scores, -scores], 1), y)
    defence = AngleTraining(0.3, norm, steps)
    found = mean_loss(defence, model, points, y, generator)
    torch.testing.assert_close(found, expected)
    assert model.theta.tolist() == pytest.approx([0.1, 0.2])  # nothing is left moved


def test_the_gradient_is_taken_at_the_drifted_angles(generator):
    """As SAM does: that of a plain step of a model whose angles have been moved."""
    for build in (qnn, hybrid):
        model = build(4, 2, generator=generator).double()
        points, y = torch.rand(6, 4, generator=generator).double(), torch.arange(6) % 2
        step = Step(x=points, y=y, generator=generator)
        defence = AngleTraining(0.2)
        drift = defence.worst_drift(model, step)
        assert [name.split(".")[-1] for name in drift] == ["theta"]
        moved = copy.deepcopy(model)
        with torch.no_grad():
            dict(moved.named_parameters())[next(iter(drift))].add_(next(iter(drift.values())))
        found, there = defence.losses(model, step).mean(), Plain().losses(moved, step).mean()
        torch.testing.assert_close(found, there)
        found.backward()
        there.backward()
        for ours, theirs in zip(model.parameters(), moved.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_classical_model_s_weights_drift_as_in_sam(generator):
    model = mlp(3, 2, generator=generator).double()
    points, y = torch.rand(6, 3, generator=generator).double(), torch.arange(6) % 2
    loss = cross_entropy(model(points), y)
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    length = math.sqrt(sum(float(slope.square().sum()) for slope in slopes))
    drift = AngleTraining(0.05, "l2").worst_drift(model, Step(x=points, y=y, generator=generator))
    for found, slope in zip(drift.values(), slopes, strict=True):
        torch.testing.assert_close(found.detach(), 0.05 * slope / length)


def test_more_steps_find_a_worse_drift_within_the_radius(generator):
    model = qnn(3, 2, generator=generator, layers=3).double()
    points, y = torch.rand(10, 3, generator=generator).double(), torch.arange(10) % 2
    step = Step(x=points, y=y, generator=generator)
    for norm, order in (("linf", float("inf")), ("l2", 2)):
        losses = []
        for steps in (1, 8):
            defence = AngleTraining(0.8, norm, steps)
            drift = defence.worst_drift(model, step)["theta"]
            assert float(torch.linalg.vector_norm(drift, order)) < 0.8 + 1e-9
            losses.append(float(defence.losses(model, step).mean().detach()))
        assert losses[1] > losses[0] + 0.01
    none = AngleTraining(0.0).losses(model, step)
    torch.testing.assert_close(none, Plain().losses(model, step))


def test_what_stands_below_sees_the_drifted_model(generator):
    model, seen = two_angles(generator), []
    points, y = torch.tensor([[0.3]], dtype=torch.float64), torch.tensor([0])
    mean_loss(AngleTraining(0.3, on=spy(seen)), model, points, y, generator)
    assert [each.tolist() for each in seen] == [
        pytest.approx([0.1, 0.2]),  # where the ascent starts
        pytest.approx([0.4, 0.5]),
    ]
    both = AngleTraining(0.3, on=AdversarialTraining(FGSM(), Linf(0.1)))
    scores = model.scale * torch.tensor([0.3 + 0.5 + 0.9 + 0.1]).double().cos()
    expected = cross_entropy(torch.stack([scores, -scores], 1), y)
    torch.testing.assert_close(mean_loss(both, model, points, y, generator), expected)


def test_the_ascent_moves_no_remembered_perturbation(generator):
    """Free's hook answers to the step's own backward pass only."""
    model, memory = two_angles(generator), {}
    points, y = torch.tensor([[0.3]], dtype=torch.float64), torch.tensor([0])
    step = Step(x=points, y=y, generator=generator, rows=torch.tensor([0]), progress=0.0, memory=memory)
    losses = AngleTraining(0.1, on=Free(Linf(0.2))).losses(model, step)
    start = float(Perturbations(memory).of(torch.tensor([0])))
    assert abs(start) < 0.2
    losses.mean().backward()
    moved = float(Perturbations(memory).of(torch.tensor([0])))
    assert moved == pytest.approx(min(0.2, start + 0.2))


def test_guards_and_parts_keep_their_names(generator):
    inner = qnn(2, 2, generator=generator, layers=1)
    assert list(drifting(Fronted(torch.nn.Identity(), inner))) == ["model.theta"]
    assert list(drifting(hybrid(4, 2, generator=generator))) == ["core.theta"]
    step = Step(x=torch.rand(4, 2, generator=generator), y=torch.arange(4) % 2, generator=generator)
    found, bare = (AngleTraining(0.2).losses(model, step) for model in (Fronted(torch.nn.Identity(), inner), inner))
    torch.testing.assert_close(found, bare)


def test_it_buys_accuracy_under_the_worst_drift():
    """The tampering suite's search drifts both models' angles by as much."""
    draw = torch.Generator().manual_seed(1)
    points = torch.rand(120, 2, generator=draw)
    points = points[(points.sum(1) - 1).abs() > 0.1]
    y, robust, clean = (points.sum(1) > 1).long(), [], []
    start = qnn(2, 2, generator=draw, layers=3)
    for defence in (Plain(), AngleTraining(0.15)):
        model = copy.deepcopy(start)
        generator = torch.Generator().manual_seed(2)
        fit(model, points, y, generator=generator, defence=defence, training=Training(epochs=15))
        found = tamper(ParameterDrift(0.15), model, points, y, attack=ManyStarts(), generator=generator)
        robust.append(float(found.robust.double().mean()))
        clean.append(float(found.correct.double().mean()))
    assert clean[1] > 0.9
    assert robust[1] > robust[0] + 0.05


def test_what_does_not_apply_is_refused(generator):
    still = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=generator)
    step = Step(x=torch.zeros(1, 2), y=torch.tensor([0]), generator=generator)
    with pytest.raises(ModelError, match="expected trained angles or weights, got none"):
        AngleTraining(0.1).losses(still, step)
    with pytest.raises(SpecError, match="steps as a whole number"):
        AngleTraining(0.1, steps=0)
    with pytest.raises(SpecError, match="unknown norm 'l7'"):
        AngleTraining(0.1, "l7")
    with pytest.raises(ValueError, match="eps >= 0"):
        AngleTraining(-0.1)
