"""Curvature certificates: the bound on the Hessian, one qubit exactly, and never below Lipschitz."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracles import one_qubit
from robustq.attacks import PGD, run_attack
from robustq.certify import Curvature, Lipschitz, certify
from robustq.certify.slopes.curvature import lowest, tangent
from robustq.certify.slopes.margins import Margins
from robustq.certify.slopes.turns import SquashedTurn, turning
from robustq.circuits import Circuit, encodings, op, x, z
from robustq.engine.gate_angles import gate_angles
from robustq.errors import CertificateError
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import hybrid, qnn, reuploading
from robustq.threats import L0, L1, L2, Linf
from turning_circuits import features, frozen_models

BALLS = {"linf": Linf, "l2": L2, "l1": L1}
QUIET = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


def radii(certifier, model, x, threat):
    y = torch.zeros(len(x), dtype=torch.int64)
    return certify(certifier, model, x, y, threat, generator=torch.Generator())


@pytest.mark.parametrize("norm", BALLS)
def test_one_qubit_is_exact(norm, generator):
    weights, bias = [0.7, -1.1, 0.4], 0.3
    model = one_qubit.model(weights, bias, generator)
    x = torch.rand(20, 3, generator=generator).double()
    exact = one_qubit.radius(weights, bias, x, norm)
    found = radii(Curvature(), model, x, BALLS[norm](1.0)).lower
    assert bool((found <= exact).all())
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-10)


@QUIET
@given(frozen_models(), st.integers(0, 10**6))
def test_second_derivatives_in_the_gates_are_bounded(models, seed):
    """``|d2 u| <= (sum of spread times speed)^2``, with the speed bent as the angles are."""
    frozen, model = models
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, features(model), generator=generator, dtype=torch.float64)
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    found = turning(frozen, "test")
    turn = found.around(x, direction.abs()[0], 1.0)  # a box along the direction
    rate = turn.swing(torch.tensor([[1e-9]]).double()) / 1e-9
    margins = Margins.of(found.forms)
    for k in range(1, len(found.forms)):
        half = float(margins.half[0, k])
        if half < 1e-6:
            continue

        def share(point, k=k, half=half):
            logits = frozen(point)
            return (logits[0, 0] - logits[0, k]) / half

        hessian = torch.autograd.functional.hessian(share, x).reshape(x.numel(), -1)
        bent = direction[0] @ hessian @ direction[0]
        assert float(bent.abs()) <= float(rate**2 + turn.curvature) * (1 + 1e-5) + 1e-8


def test_the_hessian_bound_is_attained(generator):
    """On one qubit the second derivative at the pole is the square of the slope's bound."""
    model = one_qubit.model([0.7, -1.1], 0.0, generator).freeze()
    x = torch.zeros(1, 2).double()
    hessian = torch.autograd.functional.hessian(lambda p: model(p)[0, 0] / model.scale, x)
    highest = torch.linalg.eigvalsh(hessian.reshape(2, 2)).abs().max()
    torch.testing.assert_close(highest, torch.tensor(0.7**2 + 1.1**2).double())


@QUIET
@given(frozen_models(), st.sampled_from([Linf, L2, L1]), st.integers(0, 10**6))
def test_nothing_flips_inside_and_lipschitz_is_never_better(models, ball, seed):
    frozen, model = models
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, features(model), generator=generator, dtype=torch.float64)
    found = radii(Curvature(), model, x, ball(1.0))
    if turning(frozen, "test").is_affine:
        plain = radii(Lipschitz(), model, x, ball(1.0))
        assert bool((found.lower >= plain.lower * (1 - 1e-4) - 1e-6).all())
    size = found.lower.clamp(max=50)
    for delta in torch.randn(40, *x.shape, generator=generator, dtype=torch.float64):
        unit = delta / ball(1.0).distance(x + delta, x)[:, None]
        moved = x + 0.999999 * size[:, None] * unit
        assert torch.equal(frozen(moved).argmax(1), found.label)


def test_angles_that_bend_need_their_second_term(generator):
    """``cos(0.9 + x_0 x_1)`` at the origin: flat in the features, steep in the angle."""
    circuit = Circuit.of(1, [op("rx", 0, angles=[0.9 + x(0) * x(1)])])
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator)
    exact = math.sqrt(math.pi / 2 - 0.9)
    found = float(radii(Curvature(), model, torch.zeros(1, 2).double(), Linf(1.0)).lower[0])
    assert 0.8 * exact < found <= exact


def test_sigmoids_stay_within_their_slopes():
    """One neuron in front of one gate: the swing is its true rise, the bend its largest deviation."""
    angles = gate_angles(encodings.angle(1, scale=1.0), torch.zeros(0).double())
    front = torch.ones(1, 1).double(), torch.zeros(1).double()
    at = torch.linspace(-3, 3, 121, dtype=torch.float64)[:, None]
    turn = SquashedTurn.around(angles, front, at, torch.ones(1).double(), 1.0)
    worst = 0.0
    for way in (1e-4, 0.1, 0.5, 1.0, 2.0):
        swing = turn.swing(torch.full_like(at, way))
        rises = [torch.sigmoid(at + s * way) - torch.sigmoid(at) for s in (-1, 1)]
        rise = torch.maximum(rises[0].abs(), rises[1].abs())
        assert bool((rise <= swing).all())
        outside = at.abs() > way
        torch.testing.assert_close(swing[outside], rise[outside], rtol=1e-9, atol=0.0)
        slope = torch.sigmoid(at) * torch.sigmoid(-at)
        left = [(change - s * way * slope).abs() for s, change in zip((-1, 1), rises, strict=True)]
        deviation = torch.maximum(*left) / (way**2 / 2)
        assert bool((deviation <= turn.curvature * (1 + 1e-6)).all())
        worst = max(worst, float((deviation / turn.curvature).max()))
    assert worst > 0.99


@pytest.mark.parametrize("build", [reuploading, hybrid])
def test_trained_models_gain_by_the_gradient(build, generator):
    """Where a model is sure it is flat, and the largest slope there could be says little."""
    x = torch.rand(60, 2, generator=generator)
    y = (x.sum(1) > 1).long()
    model = build(2, 2, generator=generator)
    fit(model, x, y, generator=generator, training=Training(epochs=4, lr=0.05))
    rows = x[:20].double()
    plain = radii(Lipschitz(), model, rows, Linf(0.1))
    found = radii(Curvature(), model, rows, Linf(0.1))
    assert float(found.lower.mean()) > 1.5 * float(plain.lower.mean())
    result = run_attack(
        PGD(steps=10, restarts=1), model, rows, found.label, Linf(float(found.lower.min())), generator=generator
    )
    assert not bool(result.success.any())


@given(st.floats(0, math.pi / 2), st.floats(0, 1), st.floats(0, 3))
def test_lowest_is_below_every_wave(phase, share, swing):
    """``cos`` of any frequency up to the largest, at any phase and height within [-1, 1]."""
    height = share
    u = height * math.cos(phase) - (1 - height)
    slope = height * math.sin(phase) * swing
    end = height * math.cos(phase + swing) - (1 - height)
    one = torch.tensor(1.0, dtype=torch.float64)
    assert float(lowest(u * one, slope * one, swing * one)) <= end + 1e-9


def test_gradients_are_of_the_scaled_margins(generator):
    model = qnn(3, 2, generator=generator, layers=1).freeze()
    x = torch.rand(4, 3, generator=generator).double()
    margins = Margins.of(model.state_forms())
    here = tangent(model, margins, x)
    step = 1e-6 * torch.randn(4, 3, generator=generator).double()
    there = tangent(model, margins, x + step, here.label)
    change = (here.slopes * step[:, None]).sum(-1)
    torch.testing.assert_close(there.shares - here.shares, change, rtol=1e-3, atol=1e-9)


def test_slack_and_refusals(generator):
    model = one_qubit.model([1.0], 0.0, generator)
    x, slack = torch.tensor([[0.4]]).double(), 0.7
    found = radii(Curvature(slack=slack), model, x, L2(1.0)).lower
    assert abs(float(found[0]) - math.acos(slack / (2 * float(model.scale.detach()))) + 0.4) < 1e-6
    with pytest.raises(CertificateError, match="slack >= 0"):
        Curvature(slack=math.nan)
    with pytest.raises(CertificateError, match="curvature: expected an l-inf, l2 or l1 threat"):
        radii(Curvature(), model, x, L0(1))
