"""The l-infinity radius of amplitude-encoded models: grids, corners, attacks, the relaxation, the splitting."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from quadratic_models import Forms, never_inside, random_forms, random_net, trained_net
from scipy.optimize import minimize

from cases import few
from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.certify import AmplitudeLinf, ExactAmplitude, certify
from robustq.certify.amplitude.branching import decide
from robustq.certify.amplitude.margin import margin_of
from robustq.certify.amplitude.relaxation import least_shift, relaxed, unrelaxed
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.threats import L2, Linf

UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)


def points(box, shape, generator):
    low, high = box
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def proved(model, x, threat, generator, **options):
    with torch.no_grad():
        label = model(x).argmax(1)
    return certify(AmplitudeLinf(**options), model, x, label, threat, generator=generator)


@pytest.mark.parametrize("box", [None, UNIT], ids=["none", "unit"])
@pytest.mark.parametrize("features", [2, 3])
def test_a_dense_grid_around_each_input_agrees(features, box, generator):
    side = {2: 201, 3: 41}[features]
    axis = torch.linspace(-0.5, 0.5, side, dtype=torch.float64)
    moves = torch.cartesian_prod(*[axis] * features)
    threat = Linf(0.5, box=box)
    for _ in range(3):
        model = random_forms(3, features, generator)
        x = points(UNIT, (15, features), generator)
        found = proved(model, x, threat, generator)
        for row, label, lower, upper in zip(x, found.label, found.lower, found.upper, strict=True):
            near = threat.project(row + moves, row.expand_as(moves))
            near = near[near.abs().amax(1) > 1e-9]
            flipped = near[model(near).argmax(1) != label]
            sizes = (flipped - row).abs().amax(1)
            least = float(sizes.min()) if len(sizes) else math.inf
            assert float(lower) < least
            # some witnesses are slivers between the points of the grid, which then knows less
            assert float(upper) <= least + 1e-6
            assert min(float(upper), 0.5) <= float(lower) * (1 + 3e-3) + 1e-9


def scipy_least(form, x, low, high, generator):
    """The least of the margin in a box, by L-BFGS-B from corners and from inside."""
    form, best = form.numpy(), math.inf
    corners = torch.rand(16, len(x), generator=generator) > 0.5
    starts = torch.cat([torch.where(corners, low, high), (low + high)[None] / 2]).numpy()
    for start in starts:
        found = minimize(
            lambda z: z @ form @ z,
            start,
            jac=lambda z: 2 * form @ z,
            method="L-BFGS-B",
            bounds=list(zip(low.tolist(), high.tolist(), strict=True)),
        )
        best = min(best, found.fun)
    return best


@pytest.mark.parametrize("box", [None, UNIT], ids=["none", "unit"])
def test_scipy_finds_no_flip_inside_and_one_just_outside(box, generator):
    model = random_forms(2, 6, generator)
    x = points(UNIT, (10, 6), generator)
    found = proved(model, x, Linf(0.5, box=box), generator)
    forms, closed = model.forms(torch.float64), 0
    for row, label, lower, upper in zip(x, found.label, found.lower, found.upper, strict=True):
        form = forms[label] - forms[1 - label]
        for size, inside in ((float(lower), True), (float(upper) * (1 + 1e-5), False)):
            if math.isinf(size):
                continue
            low, high = row - size, row + size
            if box is not None:
                low, high = low.clamp(*box), high.clamp(*box)
            least = scipy_least(form, row, low, high, generator)
            assert (least > 0) if inside else (least < 1e-9)
            closed += not inside
    assert closed > 4


@pytest.mark.parametrize("noisy", [False, True], ids=["pure", "noisy"])
@pytest.mark.parametrize("make", [random_net, trained_net])
@pytest.mark.parametrize(("features", "classes"), [(8, 2), (15, 3)])
def test_no_attack_succeeds_inside(make, features, classes, noisy, generator):
    model = make(features, classes, generator, noisy)
    x = points(UNIT, (12, features), generator)
    found = proved(model, x, Linf(0.6, box=UNIT), generator)
    assert bool((found.lower > 0).all())
    assert bool((found.lower <= found.upper).all())
    attack, threat = PGD(steps=20, restarts=2), Linf(0.6, box=UNIT)
    sound, flipped = never_inside(found, attack, model.freeze(), x, threat, generator)
    assert sound
    assert flipped > 0


@pytest.mark.parametrize(("make", "classes", "noisy"), few([(random_net, 3, False), (trained_net, 2, True)]))
def test_the_ensemble_flips_what_is_not_certified_and_nothing_else(make, classes, noisy, generator):
    model = make(8, classes, generator, noisy)
    x = points(UNIT, (6, 8), generator)
    found = proved(model, x, Linf(0.9, box=UNIT), generator)
    eps = float(found.lower.median()) * 1.0001
    threat = Linf(eps, box=UNIT)
    attacked = run_attack(QuantumAutoAttack(), model.freeze(), x, found.label, threat, generator=generator)
    assert not bool(attacked.success[found.lower >= eps].any())
    assert bool(attacked.success[found.upper < 0.98 * eps].all())
    assert int((found.upper < 0.98 * eps).sum()) > 0


@pytest.mark.parametrize("features", [3, 8, 20])
def test_never_below_what_the_ball_gives(features, generator):
    """The ball of the l2 radius holds the cube of that radius over the root of the features."""
    model = random_forms(3, features, generator)
    x = torch.randn(40, features, generator=generator, dtype=torch.float64)
    found = proved(model, x, Linf(9.0), generator)
    ball = certify(ExactAmplitude(), model, x, found.label, L2(9.0), generator=generator)
    cube = ball.lower / math.sqrt(features)
    assert bool((found.lower >= cube * (1 - 1e-3)).all())
    assert float((found.lower / cube).median()) > 1.05
    assert bool((found.lower <= ball.upper).all())


def test_the_gap_is_small_on_many_features(generator):
    model = random_net(64, 2, generator)
    x = points(UNIT, (40, 64), generator)
    found = proved(model, x, Linf(0.5, box=UNIT), generator)
    top = found.upper.clamp(max=0.5)
    assert float((found.lower / top).median()) > 0.9
    assert float((found.lower / top).min()) > 0.5
    seen = torch.isfinite(found.upper)
    assert int(seen.sum()) > 20
    assert bool((model(found.witness).argmax(1) != found.label)[seen].all())
    assert bool(((found.witness >= 0) & (found.witness <= 1)).all())


def test_splitting_closes_the_gap(generator):
    model = random_forms(2, 8, generator)
    x = points(SIGNED, (40, 8), generator)
    whole = proved(model, x, Linf(0.5, box=SIGNED), generator, nodes=0)
    split = proved(model, x, Linf(0.5, box=SIGNED), generator)
    few = proved(model, x, Linf(0.5, box=SIGNED), generator, nodes=3)
    top = split.upper.clamp(max=0.5)
    assert bool((split.lower >= top * (1 - 3e-3)).all())
    assert float((whole.lower < 0.99 * top).double().mean()) > 0.2
    assert bool((whole.lower <= split.lower).all())
    assert bool((few.lower <= split.upper).all())
    assert bool((few.lower >= whole.lower).all())


def test_units_and_frozen_features(generator):
    model, scale = random_forms(2, 4, generator), (0.5, 2.0, 1.0, 0.3)
    x = points(UNIT, (25, 4), generator)
    threat = Linf(0.6, box=UNIT, scale=scale, frozen=(2,))
    found = proved(model, x, threat, generator)
    axis = torch.linspace(-0.6, 0.6, 31, dtype=torch.float64)
    moves = torch.cartesian_prod(axis, axis, axis[15:16], axis) * torch.tensor(scale)
    flips = 0
    for row, label, lower, upper in zip(x, found.label, found.lower, found.upper, strict=True):
        near = (row + moves).clamp(0, 1)
        sizes = threat.distance(near, row.expand_as(near))
        flipped = sizes[model(near).argmax(1) != label]
        assert bool((flipped > lower).all())
        flips += len(flipped) > 0
        assert len(flipped) == 0 or float(upper) <= float(flipped.min()) + 1e-6
    assert flips > 5
    seen = torch.isfinite(found.upper)
    assert torch.equal(found.witness[:, 2], x[:, 2])
    assert bool((threat.distance(found.witness, x)[seen] == found.upper[seen]).all())


def test_ties_slack_and_models_that_never_flip(generator):
    tied = Forms(torch.stack([torch.eye(3), torch.eye(3)]).double())
    x = points(UNIT, (4, 3), generator)
    assert bool((proved(tied, x, Linf(0.5, box=UNIT), generator).lower == 0).all())
    constant = Forms(torch.stack([2 * torch.eye(3), torch.eye(3)]).double())
    far = x + 1
    assert bool((proved(constant, far, Linf(0.5), generator).lower == 0.5).all())
    model = random_forms(2, 5, generator)
    rows = points(UNIT, (20, 5), generator)
    sure = proved(model, rows, Linf(0.5), generator)
    unsure = proved(model, rows, Linf(0.5), generator, slack=0.1)
    assert bool((unsure.lower <= sure.lower * (1 + 2e-3)).all())
    assert float((unsure.lower < 0.98 * sure.lower).double().mean()) > 0.5
    assert bool((unsure.upper <= sure.upper * (1 + 1e-3)).all())


def test_what_does_not_apply_is_refused(generator):
    angles = QuantumNet(
        encodings.angle(2).then(ansaetze.brickwork(2, layers=1)), per_qubit_z(2, 2), generator=generator
    )
    form = random_forms(2, 3, generator)
    with pytest.raises(CertificateError, match="amplitude"):
        AmplitudeLinf().prepare(angles.freeze(), Linf(1.0), generator)
    with pytest.raises(CertificateError, match="expected an linf threat"):
        AmplitudeLinf().prepare(form, L2(1.0), generator)
    with pytest.raises(CertificateError, match="slack >= 0"):
        AmplitudeLinf(slack=-1.0)
    with pytest.raises(CertificateError, match="nodes >= 0"):
        AmplitudeLinf(nodes=-1)


@given(st.integers(1, 8), st.integers(0, 10**6))
def test_the_relaxation_is_convex_and_below_the_margin(features, seed):
    generator = torch.Generator().manual_seed(seed)
    form = random_forms(1, features, generator).own[0]
    x = torch.randn(6, features, generator=generator, dtype=torch.float64)
    margin = margin_of(form, x, Linf(1.0), 0.0)
    shift = least_shift(margin.form)
    assert float(torch.linalg.eigvalsh(margin.form + torch.diag(shift.diagonal))[0]) >= 0
    assert bool((shift.diagonal >= 0).all())
    even = features * max(0.0, -float(margin.values[0]))
    assert float(shift.diagonal.sum()) <= even * (1 + 1e-6) + 1e-9
    high = torch.rand(6, features, generator=generator, dtype=torch.float64)
    low = -torch.rand(6, features, generator=generator, dtype=torch.float64)
    below, own = relaxed(margin, shift, low, high), unrelaxed(margin, low, high)
    for _ in range(30):
        z = low + (high - low) * torch.rand(6, features, generator=generator, dtype=torch.float64)
        exact, under = own.value(z, own.product(z)), below.value(z, below.product(z))
        assert torch.allclose(exact, margin.at(z), rtol=1e-12, atol=1e-12)
        assert bool((under <= exact + 1e-12).all())
        assert bool((below.bound(z, below.product(z)) <= exact).all())
    corner = torch.where(z > (low + high) / 2, high, low)
    met = below.value(corner, below.product(corner))
    assert torch.allclose(met, margin.at(corner), rtol=1e-10, atol=1e-10)


def test_branch_and_bound_decides_or_says_that_it_does_not(generator):
    form = random_forms(1, 4, generator).own[0]
    x = points(SIGNED, (40, 4), generator)
    x = x[(x * (x @ form)).sum(1) > 0]
    margin, size = margin_of(form, x, Linf(1.0), 0.0), torch.full_like(x, 0.12)
    shift = least_shift(margin.form)
    made = decide(margin, shift, -size, size, 5000)
    assert not bool((made.positive & made.refuted).any())
    assert bool((made.positive | made.refuted).all())
    assert bool((margin.at(made.point)[made.refuted] <= 0).all())
    least = torch.tensor(
        [scipy_least(form, row, row - 0.12, row + 0.12, generator) for row in x], dtype=torch.float64
    )
    assert torch.equal(made.positive, least > 0)
    assert 0 < int(made.positive.sum()) < len(x)
    hasty = decide(margin, shift, -size, size, 1)
    assert not bool((hasty.positive & ~made.positive).any())
    assert bool((~hasty.positive & ~hasty.refuted).any())
