"""The complete verifier beside brute force: what is proved holds on grids, what is refuted is seen."""

import numpy as np
import pytest
import torch
from circuits_of_angles import models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustq.certify.verifier import Effort, Region, decide
from robustq.certify.verifier.enclosure import controls, halves, weights
from robustq.certify.verifier.lagrange import lowest, minorant
from robustq.certify.verifier.linear import linear_minimum
from robustq.certify.verifier.nodes import rooted
from robustq.certify.verifier.roots import Roots
from robustq.engine import reference
from robustq.threats import L1, L2, Linf
from robustq.trigonometric import Trigonometric, basis

NORMS = (Linf, L2, L1)
quick = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 10**6)


def answers(model, points):
    with torch.no_grad():
        return model(points).argmax(1)


def drawn(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@quick
@given(models(), st.sampled_from(NORMS), st.sampled_from([0.03, 0.1, 0.25, 0.6, 2.5]), seeds)
def test_no_point_of_a_grid_denies_a_proof_and_every_witness_flips(model, norm, eps, seed):
    frozen = model.freeze()
    features = model.circuit.inputs
    x = drawn((6, features), seed)
    label, threat = answers(frozen, x), norm(eps, box=(-0.5, 1.5))
    region = Region.around(threat, x, torch.full((6,), eps, dtype=torch.float64))
    found = decide(frozen.trigonometric(), label, region, Effort(4000))
    assert not bool((found.proved & found.refuted).any())
    steps = torch.linspace(-1, 1, 13 if features < 4 else 7).double()
    grid = torch.cartesian_prod(*[steps] * features).reshape(-1, features)
    for row in range(6):
        points = region.rows(torch.tensor([row] * len(grid))).into(x[row] + eps * grid)
        flips = answers(frozen, points) != label[row]
        assert not (found.proved[row] and bool(flips.any()))
    seen = found.witness[found.refuted]
    assert bool(threat.contains(seen, x[found.refuted]).all())
    assert bool((answers(frozen, seen) != label[found.refuted]).all())


@pytest.mark.parametrize("norm", NORMS)
@settings(quick, max_examples=8)
@given(model=models(), seed=seeds)
def test_small_models_are_decided_and_the_oracle_sees_their_witnesses(norm, model, seed):
    if model.noise is not None:
        model.noise = None
    frozen = model.freeze()
    x = drawn((3, model.circuit.inputs), seed)
    label = answers(frozen, x)
    region = Region.around(norm(0.4), x, torch.full((3,), 0.4, dtype=torch.float64))
    found = decide(frozen.trigonometric(), label, region, Effort(20_000))
    assert bool((found.proved | found.refuted).all())
    theta = model.theta.detach().numpy()
    for row in torch.nonzero(found.refuted)[:, 0].tolist():
        state = reference.statevector(model.circuit, found.witness[row].numpy(), theta)
        values = [(state.conj() @ o.matrix(model.circuit.qubits) @ state).real for o in model.observables]
        assert int(np.argmax(values)) != int(label[row])


@quick
@given(st.integers(1, 4), st.floats(-9, 9), st.floats(1e-6, 1.4), seeds)
def test_control_values_enclose_the_arc_and_end_on_it(degree, middle, half, seed):
    row = drawn(2 * degree + 1, seed) - 0.5
    middle, half = torch.tensor(middle).double(), torch.tensor(half).double()
    points = middle + half * torch.linspace(-1, 1, 101).double()
    values = basis(points, degree) @ row
    known = controls(degree, middle, half) @ row
    size = 1e-13 * float(controls(degree, middle, half).abs().max())
    assert float(known.min() - values.min()) <= size
    assert float(values.max() - known.max()) <= size
    assert float((known[[0, -1]] - values[[0, -1]]).abs().max()) <= size


@quick
@given(st.integers(1, 4), st.floats(-9, 9), st.floats(1e-6, 1.4))
def test_halves_are_means_and_what_each_half_has_of_its_own(degree, middle, half):
    middle, half = torch.tensor(middle).double(), torch.tensor(half).double()
    whole, both = controls(degree, middle, half), halves(degree, half)
    assert bool((both >= 0).all())
    assert bool((weights(degree, half) > 0).all())
    assert torch.allclose(both.sum(-1), torch.ones(()).double(), atol=1e-12, rtol=0)
    for side, sign in enumerate((-1, 1)):
        own = controls(degree, middle + sign * half / 2, half / 2)
        scale = float(whole.abs().max())
        assert float((both[side] @ whole - own).abs().max()) <= 1e-13 * scale / float(weights(degree, half).min())


@quick
@given(st.integers(1, 4), st.integers(1, 2), seeds)
def test_a_linear_function_is_nowhere_below_its_bound(features, power, seed):
    slope = 4 * drawn((1, features), seed) - 2
    low, high = -drawn((1, features), seed + 1), drawn((1, features), seed + 2)
    eps = drawn(1, seed + 3) + 0.05
    least, _ = linear_minimum(slope, low, high, eps, power)
    points = low + (high - low) * drawn((20_000, features), seed + 4)
    inside = points.abs().pow(power).sum(1) <= eps**power
    attained = (points[inside] * slope).sum(1)
    assert bool((attained >= least - 1e-12).all())
    free, _ = linear_minimum(slope, low - 2, high + 2, eps, power)
    dual = slope.norm() if power == 2 else slope.abs().max()
    assert torch.allclose(free, -eps * dual, rtol=1e-9)


@quick
@given(st.floats(-1e-13, 1e-13), seeds)
def test_margins_that_drown_in_rounding_are_never_proved_wrongly(offset, seed):
    """The margin's minimum over the interval is known: a cosine that touches ``offset``."""
    shift = float(drawn(1, seed))
    coefficients = torch.zeros(2, 3, dtype=torch.float64)
    coefficients[0, 0] = 1 + offset
    coefficients[0, 1:] = -torch.tensor([np.cos(shift), np.sin(shift)])
    form = Trigonometric(coefficients, torch.ones(1).double(), 0.0)
    x = torch.tensor([[shift + 0.5]]).double()
    found = decide(form, torch.tensor([0]), Region.around(Linf(1.0), x, torch.ones(1)), Effort())
    assert not bool(found.proved) or offset > 0


@quick
@given(models(), seeds)
def test_wide_intervals_hold_every_answer(model, seed):
    frozen = model.freeze()
    x = drawn((4, model.circuit.inputs), seed)
    label = answers(frozen, x)
    region = Region.around(Linf(50.0), x, torch.full((4,), 50.0))
    found = decide(frozen.trigonometric(), label, region, Effort(20_000))
    anywhere = answers(frozen, 100 * drawn((2000, x.shape[1]), seed + 1) - 50)
    for row in range(4):
        assert not (found.proved[row] and bool((anywhere != label[row]).any()))


def test_the_root_boxes_cover_the_region():
    form = Trigonometric(torch.ones(2, 3, 5).double(), torch.tensor([2.0, 0.7]).double(), 0.0)
    x = torch.tensor([[0.2, 0.4]]).double()
    region = Region.around(Linf(1.9), x, torch.tensor([1.9], dtype=torch.float64))
    nodes = Roots(form, torch.tensor([0]), region, 1000).take(1000, torch.tensor([False]))
    points = region.low + (region.high - region.low) * drawn((500, 2), 3)
    apart = (points[:, None] - nodes.centre).abs() <= nodes.half * (1 + 1e-12)
    assert bool(apart.all(2).any(1).all())
    volume = float((2 * nodes.half).prod(1).sum())
    assert abs(volume - 3.8**2) < 1e-9


def one_node(centre, half, coefficients):
    """A node of one feature with frequency 1."""
    one = torch.ones(1, dtype=torch.float64)
    place = [torch.tensor([[value]], dtype=torch.float64) for value in (centre, half)]
    size = coefficients.abs().sum().reshape(1)
    return rooted(torch.tensor([0]), *place, coefficients[None], one, size)


@quick
@given(st.sampled_from([L2, L1]), st.floats(-1, 1), st.floats(0.3, 1), st.floats(0.05, 1), seeds)
def test_no_point_of_ball_and_box_lies_below_the_bound(norm, x, half, eps, seed):
    """Off centre, where what a sine lacks of a line counts."""
    one = torch.ones(1, dtype=torch.float64)
    region = Region.around(norm(eps), x * one[:, None], eps * one)
    points = torch.linspace(-half, half, 2001, dtype=torch.float64)
    points = points[(points - x).abs() <= eps]
    for row in (*torch.eye(3).double(), *-torch.eye(3).double(), drawn(3, seed) - 0.5):
        found = lowest(one_node(0.0, half, row), region, torch.tensor([0]), one)
        assert len(points) == 0 or float((basis(points, 1) @ row).min() - found.lower) >= -1e-12


@quick
@given(st.booleans(), st.floats(-2, 2), st.floats(0.01, 1))
def test_what_stands_for_a_distance_is_never_larger(euclid, x, half):
    one = torch.ones(1, 1, dtype=torch.float64)
    node = one_node(0.0, half, torch.zeros(3, dtype=torch.float64))
    row = minorant(node, x * one, one[0], one, euclid)[0, 0]
    points = torch.linspace(-half, half, 501, dtype=torch.float64)
    away = (points - x).abs() ** (2 if euclid else 1)
    assert bool((basis(points, 1) @ row <= away + 1e-14).all())


@pytest.mark.parametrize(
    ("least", "error", "proved"),
    [(1e-15, 0.0, False), (1e-11, 0.0, True), (1.5e-3, 1e-3, False), (2.5e-3, 1e-3, True)],
)
def test_margins_within_the_error_are_not_proved(least, error, proved):
    coefficients = torch.zeros(2, 3, dtype=torch.float64)
    coefficients[0, 0], coefficients[0, 1] = 1, least - 1
    form = Trigonometric(coefficients, torch.ones(1, dtype=torch.float64), error)
    x = torch.zeros(1, 1, dtype=torch.float64)
    region = Region.around(Linf(1e-9), x, torch.tensor([1e-9], dtype=torch.float64))
    found = decide(form, torch.tensor([0]), region, Effort())
    assert bool(found.proved) == proved
    assert not bool(found.refuted)
