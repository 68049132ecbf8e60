"""Lipschitz certificates: one qubit exactly, the published constant by hand, random circuits by sampling."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracles import one_qubit
from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.certify import Lipschitz, certify
from robustq.certify.slopes.turns import steepest, turning, units_of
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.models.catalogue import hybrid, qnn, reuploading
from robustq.threats import L0, L1, L2, Linf
from turning_circuits import features, frozen_models, published_circle, uniform

BALLS = {"linf": Linf, "l2": L2, "l1": L1}
ORDERS = {Linf: 1.0, L2: 2.0, L1: math.inf}
QUIET = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


def radii(certifier, model, x, threat):
    y = torch.zeros(len(x), dtype=torch.int64)
    return certify(certifier, model, x, y, threat, generator=torch.Generator())


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("noise", [None, 0.03])
def test_one_qubit_is_exact(norm, noise, generator):
    weights, bias = [0.7, -1.1, 0.4], 0.3
    model = one_qubit.model(weights, bias, generator)
    model.noise = None if noise is None else uniform(noise)
    x = torch.rand(20, 3, generator=generator).double()
    exact = one_qubit.radius(weights, bias, x, norm)
    found = radii(Lipschitz(), model, x, BALLS[norm](1.0)).lower
    assert bool((found <= exact).all())
    if noise is None:
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-10)
    else:  # the read-out shrinks, and the bound does not know by how much before the last gate
        assert bool((found > 0.3 * exact).all())


@pytest.mark.parametrize("norm", BALLS)
def test_the_published_radius_is_attained_in_slope_at_the_equator(norm, generator):
    """Near the boundary the cosine is straight, and a width of 2 over a slope of 2 is the distance."""
    weights, point = [1.3], torch.tensor([[(math.pi / 2 - 1e-3) / 1.3]]).double()
    model = one_qubit.model(weights, 0.0, generator)
    exact = one_qubit.radius(weights, 0.0, point, norm)
    found = radii(Lipschitz(published=True), model, point, BALLS[norm](1.0)).lower
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=0.0)
    assert bool((found <= exact).all())


def test_the_published_constant_by_hand(generator):
    """``2 |M| sum |w_j| |H_j|`` of three qubits times three layers, two trained weights a gate."""
    model = published_circle(generator)
    used = [5 * gate + slot for gate in range(9) for slot in (0, 2)]
    scale, theta = model.scale.detach(), model.theta.detach()
    by_hand = 2 * float(scale) * sum(abs(float(theta[k])) / 2 for k in used)
    prover = Lipschitz(published=True).prepare(model.freeze(), L2(0.1), generator)
    constants = prover.constants(torch.ones(2).double())
    torch.testing.assert_close(constants, torch.full((2,), by_hand).double(), rtol=1e-6, atol=0.0)
    x = torch.rand(5, 2, generator=generator).double()
    logits = model.freeze()(x)
    margin = logits.amax(1) - logits.amin(1)
    torch.testing.assert_close(
        radii(Lipschitz(published=True), model, x, L2(0.1)).lower, margin / (2 * by_hand), rtol=1e-6, atol=1e-9
    )


@QUIET
@given(frozen_models(), st.sampled_from([Linf, L2, L1]), st.integers(0, 10**6))
def test_no_pair_of_inputs_is_steeper(models, ball, seed):
    """``|arccos u(x) - arccos u(z)|`` never exceeds the swing, nor a margin half its range times it."""
    frozen, model = models
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, features(model), generator=generator, dtype=torch.float64)
    z = x + 10 ** float(-torch.rand(1, generator=generator) * 3) * torch.randn(
        x.shape, generator=generator, dtype=torch.float64
    )
    found = turning(frozen, "test")
    distance = ball(1.0).distance(z, x)[:, None]
    swing = found.around(x, units_of(ball(1.0), x), ORDERS[ball]).swing(distance)[:, 0]
    for a in range(len(found.forms)):
        for b in range(a):
            ends = torch.linalg.eigvalsh(found.forms[a] - found.forms[b])[[0, -1]]
            half = (ends[1] - ends[0]) / 2
            here, there = (frozen(p)[:, a] - frozen(p)[:, b] for p in (x, z))
            assert bool(((here - there).abs() <= half * swing + 1e-9).all())
            if half > 1e-6:
                angles = [torch.arccos(((f - ends.mean()) / half).clamp(-1, 1)) for f in (here, there)]
                assert bool(((angles[0] - angles[1]).abs() <= swing + 1e-5).all())


@QUIET
@given(frozen_models(), st.sampled_from([Linf, L2, L1]), st.integers(0, 10**6))
def test_nothing_flips_inside(models, ball, seed):
    frozen, model = models
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, features(model), generator=generator, dtype=torch.float64)
    found = radii(Lipschitz(), model, x, ball(1.0))
    size = found.lower.clamp(max=50)
    steps = torch.randn(40, *x.shape, generator=generator, dtype=torch.float64)
    for delta in steps:
        unit = delta / ball(1.0).distance(x + delta, x)[:, None]
        moved = x + 0.999999 * size[:, None] * unit
        assert torch.equal(frozen(moved).argmax(1), found.label)


@pytest.mark.parametrize("build", [reuploading, hybrid])
@pytest.mark.parametrize("ball", [Linf, L2, L1])
def test_published_is_never_larger_and_attacks_never_succeed_inside(build, ball, generator):
    model = build(3, 2, generator=generator)
    x = torch.rand(6, 3, generator=generator).double()
    found = radii(Lipschitz(), model, x, ball(1.0))
    if build is reuploading:
        published = radii(Lipschitz(published=True), model, x, ball(1.0))
        assert bool((published.lower <= found.lower * (1 + 1e-9)).all())
    threat = ball(float(found.lower.min()))
    attack = QuantumAutoAttack() if ball is L2 and build is hybrid else PGD(steps=10, restarts=2)
    result = run_attack(attack, model, x, found.label, threat, generator=generator)
    assert bool(result.correct.all())
    assert not bool(result.success.any())


def test_units_and_frozen_features(generator):
    weights, bias = [0.7, -1.1], 0.3
    model = one_qubit.model(weights, bias, generator)
    x = torch.rand(5, 2, generator=generator).double()
    scaled = radii(Lipschitz(), model, x, Linf(1.0, scale=(2.0, 0.5))).lower
    other = one_qubit.radius([1.4, -0.55], bias, x / torch.tensor([2.0, 0.5]), "linf")
    torch.testing.assert_close(scaled, other, rtol=1e-9, atol=1e-10)
    held = radii(Lipschitz(), model, x, L2(1.0, frozen=(0,))).lower
    alone = one_qubit.radius([-1.1], 0.0, x[:, 1:] + (bias + 0.7 * x[:, :1]) / -1.1, "l2")
    torch.testing.assert_close(held, alone, rtol=1e-9, atol=1e-10)
    assert bool(torch.isinf(radii(Lipschitz(), model, x, L1(1.0, frozen=(0, 1))).lower).all())


def test_slack_is_taken_from_every_margin(generator):
    model = one_qubit.model([1.0], 0.0, generator)
    x, slack = torch.tensor([[0.4]]).double(), 0.7
    found = radii(Lipschitz(slack=slack), model, x, L2(1.0)).lower
    turn = math.acos(slack / (2 * float(model.scale.detach()))) - 0.4
    assert abs(float(found[0]) - turn) < 1e-6
    with pytest.raises(CertificateError, match="slack >= 0"):
        Lipschitz(slack=-1.0)


def test_quadratic_angles_need_their_second_term(generator):
    """One qubit turned by ``x_0 x_1``: the least move to the boundary is known."""
    from robustq.circuits import Circuit, op, x, z

    circuit = Circuit.of(1, [op("rx", 0, angles=[x(0) * x(1)])])
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator)
    points = torch.tensor([[0.5, 0.5], [0.1, 0.1]]).double()
    exact = math.sqrt(math.pi / 2) - points[:, 0]  # along the diagonal, in l-inf
    found = radii(Lipschitz(), model, points, Linf(1.0)).lower
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)
    assert bool((found <= exact).all())


def test_steepest_bounds_every_sign(generator):
    w = torch.randn(6, 3, generator=generator).double()
    c = torch.rand(6, generator=generator).double()
    signs = torch.tensor([[1.0 - 2 * (k >> j & 1) for j in range(6)] for k in range(64)]).double()
    for order in (1.0, 2.0, math.inf):
        exact = torch.linalg.vector_norm((signs * c) @ w, ord=order, dim=1).max()
        plain = (c * torch.linalg.vector_norm(w, ord=order, dim=1)).sum()
        assert exact <= steepest(w, c, order) + 1e-12
        assert steepest(w, c, order) <= plain + 1e-12


@pytest.mark.parametrize("certifier", [Lipschitz(), Lipschitz(published=True)])
def test_what_does_not_apply_is_refused(certifier, generator):
    amplitude = QuantumNet(encodings.amplitude(4), per_qubit_z(2, 2), generator=generator)
    mixed = QuantumNet(encodings.amplitude(4).then(ansaetze.brickwork(2)), per_qubit_z(2, 2), generator=generator)
    x = torch.full((1, 4), 0.5).double()
    for model in (amplitude, mixed):
        with pytest.raises(CertificateError, match="lipschitz: expected features that turn gates"):
            radii(certifier, model, x, Linf(0.1))
    with pytest.raises(CertificateError, match=r"lipschitz: expected an l-inf, l2 or l1 threat"):
        radii(certifier, qnn(4, 2, generator=generator), x, L0(1))
    with pytest.raises(CertificateError, match="expected a model whose features turn gates"):
        radii(certifier, torch.nn.Linear(4, 2).double(), x, Linf(0.1))


def test_the_published_bound_is_for_affine_angles(generator):
    for model in (qnn(2, 2, generator=generator, encoding="iqp"), hybrid(2, 2, generator=generator)):
        with pytest.raises(CertificateError, match="as published: expected angles affine"):
            radii(Lipschitz(published=True), model, torch.zeros(1, 2).double(), L2(0.1))
