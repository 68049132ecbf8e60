"""The l2 radius inside a box: dense grids, SciPy, attacks, the cone, and quadratics over boxes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from quadratic_models import Forms, never_inside, random_forms, random_net, trained_net
from scipy.optimize import minimize

from cases import few
from robustq.attacks import FMN, PGD, ExactL2, QuantumAutoAttack, run_attack
from robustq.certify import AmplitudeBox, AmplitudeLinf, ExactAmplitude, certify
from robustq.certify.amplitude.quadratic import BoxQuadratic, minimise
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.threats import L1, L2, Linf

UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)


def points(box, shape, generator):
    low, high = box
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def proved(model, x, threat, generator, **options):
    with torch.no_grad():
        label = model(x).argmax(1)
    return certify(AmplitudeBox(**options), model, x, label, threat, generator=generator)


def flips_on_grid(model, x, grid, threat):
    """The smallest size of a change to a grid point that is answered otherwise."""
    answers, label = model(grid).argmax(1), model(x).argmax(1)
    sizes = [
        threat.distance(grid[answers != own], row.expand_as(grid[answers != own])).min().item()
        if bool((answers != own).any())
        else math.inf
        for row, own in zip(x, label.tolist(), strict=True)
    ]
    return torch.tensor(sizes, dtype=torch.float64)


@pytest.mark.parametrize(("features", "box"), few([(2, UNIT), (3, SIGNED), (2, SIGNED), (3, UNIT)], keep=2))
def test_a_dense_grid_knows_no_nearer_flip(features, box, generator):
    side = {2: 201, 3: 31}[features]
    axis = torch.linspace(*box, side, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * features)
    grid = grid[grid.abs().amax(1) > 1e-9]
    pitch = (box[1] - box[0]) / (side - 1) * math.sqrt(features)
    exact = []
    for _ in range(4):
        model = random_forms(3, features, generator)
        x = points(box, (20, features), generator)
        found = proved(model, x, L2(9.0, box=box), generator)
        least = flips_on_grid(model, x, grid, L2(9.0))
        assert bool((found.lower < least).all())
        tight = found.upper <= found.lower * (1 + 1e-4)
        exact.append(tight)
        assert float((least[tight] <= found.upper[tight] + 3 * pitch).double().sum()) >= 0.9 * int(tight.sum())
    assert int(torch.cat(exact).sum()) > 30


def scipy_radius(form, x, box, generator, starts=12):
    """The nearest zero in the box by SLSQP from many starts; feasible points only."""
    form, x, best = form.numpy(), x.numpy(), math.inf
    for start in points(box, (starts, len(x)), generator).numpy():
        found = minimize(
            lambda z: ((z - x) ** 2).sum(),
            start,
            jac=lambda z: 2 * (z - x),
            method="SLSQP",
            bounds=[box] * len(x),
            options={"maxiter": 200, "ftol": 1e-14},
            constraints={"type": "ineq", "fun": lambda z: -z @ form @ z, "jac": lambda z: -2 * form @ z},
        )
        if found.x @ form @ found.x <= 1e-9 and (found.x @ found.x) > 1e-6:
            best = min(best, math.sqrt(found.fun))
    return best


@pytest.mark.parametrize(("features", "box"), [(3, UNIT), (5, UNIT), (5, SIGNED)])
def test_scipy_finds_the_same(features, box, generator):
    model = random_forms(2, features, generator)
    x = points(box, (6, features), generator)
    found = proved(model, x, L2(9.0, box=box), generator)
    forms = model.forms(torch.float64)
    same = 0
    for row, label, lower, upper in zip(x, found.label, found.lower, found.upper, strict=True):
        reference = scipy_radius(forms[label] - forms[1 - label], row, box, generator)
        assert float(lower) <= reference + 1e-6
        if float(upper) <= float(lower) * (1 + 1e-4):
            assert float(upper) == pytest.approx(reference, abs=1e-4)
            same += 1
    assert same >= 4


@pytest.mark.parametrize("noisy", [False, True], ids=["pure", "noisy"])
@pytest.mark.parametrize("make", [random_net, trained_net])
@pytest.mark.parametrize(("features", "classes"), [(8, 2), (7, 3)])
def test_no_attack_succeeds_inside(make, features, classes, noisy, generator):
    model = make(features, classes, generator, noisy)
    x = points(UNIT, (12, features), generator)
    found = proved(model, x, L2(3.0, box=UNIT), generator)
    assert bool((found.lower > 0).all())
    assert bool((found.lower <= found.upper).all())
    for attack in (ExactL2(), PGD(steps=20, restarts=2)):
        sound, flipped = never_inside(found, attack, model.freeze(), x, L2(1.5, box=UNIT), generator)
        assert sound
        assert flipped > 0


@pytest.mark.parametrize(("make", "classes", "noisy"), few([(trained_net, 2, True), (random_net, 3, False)]))
def test_the_ensemble_flips_what_is_not_certified_and_nothing_else(make, classes, noisy, generator):
    model = make(8, classes, generator, noisy)
    x = points(UNIT, (6, 8), generator)
    found = proved(model, x, L2(3.0, box=UNIT), generator)
    eps = float(found.lower.median()) * 1.0001
    threat = L2(eps, box=UNIT)
    attacked = run_attack(QuantumAutoAttack(), model.freeze(), x, found.label, threat, generator=generator)
    assert not bool(attacked.success[found.lower >= eps].any())
    assert bool(attacked.success[found.upper < 0.98 * eps].all())
    assert int((found.upper < 0.98 * eps).sum()) > 0


def test_the_box_is_not_left_and_does_matter(generator):
    model = random_forms(2, 16, generator)
    x = points(UNIT, (64, 16), generator).round()
    x[:, 0] = 1
    inside = proved(model, x, L2(9.0, box=UNIT), generator)
    free = certify(ExactAmplitude(), model, x, inside.label, L2(9.0), generator=generator)
    assert bool((inside.lower >= free.lower * (1 - 1e-9)).all())
    assert float((inside.lower > 1.05 * free.lower).double().mean()) > 0.5
    assert float((inside.upper <= inside.lower * (1 + 1e-4)).double().mean()) > 0.9
    seen = torch.isfinite(inside.upper)
    assert bool(((inside.witness >= 0) & (inside.witness <= 1)).all())
    assert bool((model(inside.witness).argmax(1) != inside.label)[seen].all())


@pytest.mark.parametrize("box", [None, (-50.0, 50.0)], ids=["none", "far"])
def test_a_box_far_away_is_the_cone(box, generator):
    model = random_forms(3, 8, generator)
    x = torch.randn(40, 8, generator=generator, dtype=torch.float64)
    found = proved(model, x, L2(9.0, box=box), generator)
    cone = certify(ExactAmplitude(), model, x, found.label, L2(9.0), generator=generator)
    assert torch.equal(found.lower, cone.lower)
    assert torch.equal(found.upper, cone.upper)


def test_the_search_alone_finds_the_cone(generator):
    """Units of one, named, keep the closed form away: the dual has to find what it says."""
    model = random_forms(3, 8, generator)
    x = torch.randn(40, 8, generator=generator, dtype=torch.float64)
    found = proved(model, x, L2(9.0, scale=(1.0,) * 8), generator)
    cone = certify(ExactAmplitude(), model, x, found.label, L2(9.0), generator=generator)
    assert bool((found.lower <= cone.upper).all())
    assert torch.allclose(found.lower, cone.lower, rtol=2e-5, atol=0)
    assert torch.allclose(found.upper, cone.upper, rtol=2e-5, atol=0)


def test_units_are_a_change_of_coordinates(generator):
    model, scale = random_forms(2, 5, generator), (0.5, 2.0, 1.0, 3.0, 0.2)
    units = torch.tensor(scale, dtype=torch.float64)
    x = points(UNIT, (20, 5), generator)
    found = proved(model, x, L2(9.0, box=UNIT, scale=scale), generator)
    turned = Forms(units[:, None] * model.own * units)
    box = (tuple((0 / units).tolist()), tuple((1 / units).tolist()))
    plain = proved(turned, x / units, L2(9.0, box=box), generator)
    # the normalisation differs, the sign of the margin does not
    tight = (plain.upper <= plain.lower * (1 + 1e-4)) & (found.upper <= found.lower * (1 + 1e-4))
    assert int(tight.sum()) > 10
    assert torch.allclose(found.lower[tight], plain.lower[tight], rtol=1e-4)


def test_frozen_features_stay_and_widen_the_radius(generator):
    model = random_forms(2, 6, generator)
    x = points(UNIT, (30, 6), generator)
    free = proved(model, x, L2(9.0, box=UNIT), generator)
    held = proved(model, x, L2(9.0, box=UNIT, frozen=(0, 3)), generator)
    seen = torch.isfinite(held.upper)
    assert int(seen.sum()) > 5
    assert torch.equal(held.witness[:, [0, 3]], x[:, [0, 3]])
    assert bool((held.upper[seen] >= free.lower[seen]).all())
    assert bool((held.lower >= free.lower * (1 - 2e-5)).all())
    axis = torch.linspace(0, 1, 13, dtype=torch.float64)
    moves = torch.cartesian_prod(*[axis] * 4)
    for row, label, lower in zip(x, held.label, held.lower, strict=True):
        near = row.repeat(len(moves), 1)
        near[:, [1, 2, 4, 5]] = moves
        inside = torch.linalg.vector_norm(near - row, dim=1) <= lower
        assert bool((model(near[inside]).argmax(1) == label).all())


def test_the_hard_case_is_closed_by_the_box_itself():
    """Symmetry hides the way down from the dual: it proves sqrt(1/2); the truth is the corner (0.3, 0.3)."""
    model = Forms(torch.tensor([[[1.0, 0.0], [0.0, -1.0]], [[0.0, 0.0], [0.0, 0.0]]]).double())
    box = ((-2.0, -0.3), (2.0, 0.3))
    x = torch.tensor([[1.0, 0.0]]).double()
    found = proved(model, x, L2(9.0, box=box), torch.Generator())
    truth = math.hypot(0.7, 0.3)
    assert float(found.lower) <= truth <= float(found.upper)
    assert float(found.lower) == pytest.approx(truth, rel=1e-4)
    assert float(found.upper) == pytest.approx(truth, rel=1e-4)


def test_a_tie_and_a_model_that_never_flips(generator):
    tied = Forms(torch.stack([torch.eye(3), torch.eye(3)]).double())
    x = points(UNIT, (4, 3), generator)
    found = proved(tied, x, L2(1.0, box=UNIT), generator)
    assert bool((found.lower == 0).all())
    constant = Forms(torch.stack([2 * torch.eye(3), torch.eye(3)]).double())
    endless = proved(constant, x, L2(1.0, box=UNIT), generator)
    assert bool(torch.isinf(endless.lower).all())
    assert bool(torch.isinf(endless.upper).all())


def test_a_margin_that_the_free_features_cannot_lower(generator):
    form = torch.diag(torch.tensor([1.0, 0.5, 0.0])).double()
    model = Forms(torch.stack([form, 0 * form]))
    x = torch.tensor([[1.0, 0.0, 0.2], [0.5, 0.3, 0.0]]).double()
    for box in (None, SIGNED):
        found = proved(model, x, L2(1.0, box=box, frozen=(0,)), generator)
        assert bool((found.lower > 0.3).all())
        assert bool(torch.isinf(found.upper).all())


def test_slack_shortens_what_is_proved_only(generator):
    model = random_forms(2, 8, generator)
    x = points(UNIT, (10, 8), generator)
    sure = proved(model, x, L2(9.0, box=UNIT), generator)
    unsure = proved(model, x, L2(9.0, box=UNIT), generator, slack=0.1)
    assert bool((unsure.lower <= sure.lower * (1 + 1e-6)).all())
    assert float((unsure.lower < 0.98 * sure.lower).double().mean()) > 0.9
    assert torch.allclose(unsure.upper, sure.upper)
    lowered = model.own.clone()
    for row, label, lower in zip(x, sure.label, unsure.lower, strict=True):
        other = Forms(lowered - 0.1 * torch.nn.functional.one_hot(label, 2)[:, None, None] * torch.eye(8))
        if int(other(row[None]).argmax(1)) == int(label):
            worst = proved(other, row[None], L2(9.0, box=UNIT), generator)
            assert float(lower) <= float(worst.upper)


def test_what_does_not_apply_is_refused(generator):
    angles = QuantumNet(
        encodings.angle(2).then(ansaetze.brickwork(2, layers=1)), per_qubit_z(2, 2), generator=generator
    )
    form = random_forms(2, 3, generator)
    with pytest.raises(CertificateError, match="amplitude"):
        AmplitudeBox().prepare(angles.freeze(), L2(1.0), generator)
    with pytest.raises(CertificateError, match="expected a model"):
        AmplitudeBox().prepare(lambda x: x, L2(1.0), generator)
    with pytest.raises(CertificateError, match="expected an l2 or l1 threat"):
        AmplitudeBox().prepare(form, Linf(1.0), generator)
    with pytest.raises(CertificateError, match="slack >= 0"):
        AmplitudeBox(slack=-1.0)
    with pytest.raises(CertificateError, match="that may move"):
        proved(form, points(UNIT, (2, 3), generator), L2(1.0, frozen=(0, 1, 2)), generator)


def quadratic(rows, size, lowest, generator):
    drawn = torch.randn(size, size, generator=generator, dtype=torch.float64)
    vectors = torch.linalg.qr(drawn).Q
    values = lowest + 3 * torch.rand(size, generator=generator, dtype=torch.float64)
    weight = torch.rand(rows, generator=generator, dtype=torch.float64)
    low = -torch.rand(rows, size, generator=generator, dtype=torch.float64)
    return BoxQuadratic(
        form=vectors @ torch.diag(values) @ vectors.T,
        diagonal=torch.full((rows, size), 0.5, dtype=torch.float64),
        weight=weight,
        linear=torch.randn(rows, size, generator=generator, dtype=torch.float64),
        constant=torch.randn(rows, generator=generator, dtype=torch.float64),
        low=low,
        high=low + 2 * torch.rand(rows, size, generator=generator, dtype=torch.float64),
        lowest=0.5 + weight * min(lowest, float(values.min())),
        highest=0.5 + weight * float(values.abs().max()),
    )


@given(st.integers(1, 9), st.floats(-2, 2), st.integers(0, 10**6))
def test_the_bound_holds_from_any_point(size, lowest, seed):
    generator = torch.Generator().manual_seed(seed)
    problem = quadratic(5, size, lowest, generator)
    spread = problem.high - problem.low
    drawn = problem.low + spread * torch.rand(60, 5, size, generator=generator, dtype=torch.float64)
    drawn[30:] = torch.where(drawn[30:] < problem.low + spread / 2, problem.low, problem.high)
    values = torch.stack([problem.value(z, problem.product(z)) for z in drawn])
    bounds = torch.stack([problem.bound(z, problem.product(z)) for z in drawn])
    found = minimise(problem, drawn[0], 40, lambda value, bound: value <= bound)
    assert bool((bounds.amax(0) <= values.amin(0)).all())
    assert bool((found.bound <= torch.minimum(values.amin(0), found.value)).all())


def test_the_minimum_meets_its_bound_and_karush_kuhn_tucker(generator):
    problem = quadratic(30, 12, 0.1, generator)
    found = minimise(problem, problem.low, 2000, lambda value, bound: value <= bound)
    assert bool((found.value - found.bound <= 1e-10 * (1 + found.value.abs())).all())
    slope = 2 * (problem.product(found.point) + problem.linear)
    stuck_low, stuck_high = found.point == problem.low, found.point == problem.high
    assert bool((slope[stuck_low] >= -1e-5).all())
    assert bool((slope[stuck_high] <= 1e-5).all())
    assert bool((slope[~stuck_low & ~stuck_high].abs() <= 1e-5).all())
    assert int(stuck_low.sum()) > 0
    assert int((~stuck_low & ~stuck_high).sum()) > 0


@pytest.mark.parametrize(
    ("prover", "threat"), [(AmplitudeBox(), L2(9.0, box=(-2.0, 2.0))), (AmplitudeLinf(), Linf(9.0))]
)
def test_margins_that_cancel_are_believed_no_more_than_their_parts(prover, threat, generator):
    drawn = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    small = 1e-8 * (drawn + drawn.mT)
    x = torch.rand(8, 3, generator=generator, dtype=torch.float64)
    y = Forms(small)(x).argmax(1)
    clear = certify(prover, Forms(small), x, y, threat, generator=generator)
    mixed = Forms(small + 1e5 * torch.eye(3).double())
    found = certify(prover, mixed, x, y, threat, generator=generator)
    assert bool((found.lower <= clear.upper).all())
    assert bool((clear.lower > 0).all())


def test_the_l2_radius_bounds_that_in_l1(generator):
    circuit = encodings.amplitude(6).then(ansaetze.brickwork(3))
    model = QuantumNet(circuit, per_qubit_z(2, 3), generator=generator).freeze()
    x = points(UNIT, (12, 6), generator)
    y = model(x).argmax(1)
    two, one = (
        certify(AmplitudeBox(), model, x, y, threat(9.0, box=UNIT), generator=generator) for threat in (L2, L1)
    )
    assert torch.equal(two.lower.minimum(one.upper), one.lower)
    assert bool((one.upper >= two.upper)[torch.isfinite(one.upper)].all())
    result = run_attack(FMN(), model, x, y, L1(9.0, box=UNIT), generator=generator)
    assert bool(result.success.any())
    assert bool((result.radius >= one.lower).all())
