"""Certificates by slopes where they could say too much: products behind a sigmoid, saturated sigmoids."""

import math

import pytest
import torch

from robustq.certify import Branching, Curvature, Lipschitz, certify
from robustq.certify.slopes.margins import Margins
from robustq.certify.slopes.turns import turning
from robustq.circuits import Circuit, op, per_qubit_z, x, z
from robustq.models import HybridNet, QuantumNet
from robustq.threats import L2, Linf

SLOPES = [Lipschitz(), Curvature(), Branching()]


def behind_a_sigmoid(angle, bias, generator):
    """Two classes, plus and minus the cosine of ``angle(sigmoid(x + bias))``."""
    core = QuantumNet(Circuit.of(1, [op("rx", 0, angles=[angle])]), [z(0), -z(0)], generator=generator)
    model = HybridNet(1, 2, core, generator=generator).double()
    with torch.no_grad():
        model.before.weight.fill_(1.0)
        model.before.bias.fill_(bias)
        model.after.weight.copy_(torch.eye(2))
        model.after.bias.zero_()
    return model


def found(certifier, model, points, threat):
    y = torch.zeros(len(points), dtype=torch.int64)
    return certify(certifier, model, points, y, threat, generator=torch.Generator())


@pytest.mark.parametrize("gap", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("certifier", SLOPES, ids=str)
def test_a_product_of_sigmoids_bends_more_than_each(certifier, gap, generator):
    """The gradient of ``(s - 1/2)^2`` vanishes at the input, where its curvature is that of the square."""
    share = 0.1
    angle = share * (x(0) - 0.5) * (x(0) - 0.5) + (math.pi / 2 - gap)
    model = behind_a_sigmoid(angle, 0.0, generator)
    rise = min(math.sqrt(gap / share), 0.5 - 1e-15)  # of the sigmoid, where the margin vanishes
    exact = math.log((0.5 + rise) / (0.5 - rise))
    lower = float(found(certifier, model, torch.zeros(1, 1).double(), Linf(5.0)).lower)
    assert 0 < lower <= exact


def test_the_bend_bounds_every_second_derivative(generator):
    """Spread times turn beyond the tangent, of random angles in three sigmoids."""
    products = [(0, 0), (0, 1), (1, 2), (2, 2)]
    for _ in range(20):
        c = torch.randn(7, generator=generator).double().tolist()
        angle = sum(
            (c[k] * x(i) * x(j) for k, (i, j) in enumerate(products)),
            sum((c[4 + i] * x(i) for i in range(3)), 0 * x(0)),
        )
        core = QuantumNet(Circuit.of(3, [op("rx", 0, angles=[angle])]), per_qubit_z(2, 3), generator=generator)
        model = HybridNet(2, 2, core, generator=generator).double()
        with torch.no_grad():
            model.before.weight.mul_(3)
        turns, frozen = turning(model.freeze(), "test"), model.freeze()
        weight, bias = frozen.front

        def turned(point, angles=turns.angles, weight=weight, bias=bias):
            inner = torch.sigmoid(weight @ point + bias)
            return angles.linear[0] @ inner + inner @ angles.quadratic[0] @ inner

        points = torch.randn(20, 2, generator=generator).double()
        curvature = turns.around(points, torch.ones(2).double(), 2.0).curvature
        for point in points:
            second = torch.autograd.functional.hessian(turned, point)
            assert torch.linalg.matrix_norm(second, ord=2) <= curvature[0] * (1 + 1e-12)


@pytest.mark.parametrize("certifier", SLOPES[:2], ids=str)
@pytest.mark.parametrize("far", [20.0, 50.0, 500.0, 1e4])
def test_a_saturated_sigmoid_is_no_frozen_one(certifier, far, generator):
    """Nothing turns within a unit of the input, but something does further away."""
    model = behind_a_sigmoid(math.pi * x(0) - math.pi, far, generator)
    lower = float(found(certifier, model, torch.zeros(1, 1).double(), L2(1.0)).lower)
    assert 0.5 * far < lower <= far


def test_margins_know_that_large_forms_cancel():
    """The rounding of a margin is that of the logits, however little they differ."""
    one = torch.diag(torch.tensor([1e6 + 1e-8, 1e6 - 1e-8])).double()
    forms = torch.stack([one, one.flip(0, 1)])
    margins = Margins.of(forms)
    assert float(margins.error.min()) >= 1e-12 * 1e6
    label = torch.tensor([0])
    logits = torch.tensor([[1e6 + 1e-9, 1e6]]).double()
    assert bool((margins.shares(logits, label) <= margins.goals(label, 0.0).clamp(-1, 1))[0, 1])


def test_the_radius_of_a_search_that_ended_lies_below_its_witness(generator):
    """All boxes done: the claim is closed, and at its witness it would be wrong."""
    model = QuantumNet(Circuit.of(1, [op("rx", 0, angles=[x(0)])]), [z(0), -z(0)], generator=generator)
    points = torch.linspace(-1.5, 1.5, 7).double()[:, None]
    prover = Branching(tolerance=0.0, budget=2000).prepare(model.freeze(), Linf(3.0), generator)
    claim = prover.prove(points)
    assert bool((claim.upper < 3).all())
    assert bool((claim.lower < claim.upper).all())


@pytest.mark.parametrize("certifier", [*SLOPES, Lipschitz(published=True)], ids=str)
@pytest.mark.parametrize("threat", [L2(0.1), Linf(0.1, frozen=(0,))])
def test_no_inputs_no_claims(certifier, threat, generator):
    model = QuantumNet(
        Circuit.of(2, [op("rx", k, angles=[x(k)]) for k in range(2)]), per_qubit_z(2, 2), generator=generator
    )
    claim = certifier.prepare(model.freeze(), threat, generator).prove(torch.zeros(0, 2).double())
    assert claim.label.shape == claim.lower.shape == (0,)
