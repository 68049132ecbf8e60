"""Every threat keeps the contract: projections stay inside, are nearest where that is claimed, samples too."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from robustq.errors import RobustQError
from robustq.threats import L0, L1, L2, Access, Fidelity, Knobs, Linf, Sphere, TraceDistance

BALLS = (Linf, L2, L1, L0)
BOXES = (None, (0.0, 1.0), ((0.0,) * 6, (1.0, 0.7, 1.0, 1.0, 1.0, 1.0)))
UNITS = (
    {},
    {"scale": (1.0, 2.0, 0.5, 1.0, 3.0, 1.0)},
    {"frozen": (0, 4)},
    {"scale": (1.0, 2.0, 0.5, 1.0, 3.0, 1.0), "frozen": (5,)},
)


def inputs(seed, dtype=torch.float64):
    return 0.7 * torch.rand(7, 6, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def balls(box=None):
    for kind, units in itertools.product(BALLS, UNITS):
        yield kind(2 if kind is L0 else 0.4, box, **units)


@pytest.mark.parametrize("box", BOXES, ids=["none", "unit", "own"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_projections_and_samples_are_inside(box, dtype, generator):
    x = inputs(0, dtype)
    for threat in balls(box):
        for size in (0.01, 1.0, 30.0):
            wild = x + size * torch.randn(x.shape, generator=generator, dtype=dtype)
            inside = threat.project(wild, x)
            assert threat.contains(inside, x).all(), threat
            torch.testing.assert_close(threat.project(inside, x), inside)
            assert inside.dtype == dtype
        assert threat.contains(threat.sample(x, generator), x).all(), threat
        assert threat.contains(x, x).all()
        assert torch.equal(threat.project(x, x), x)


@pytest.mark.parametrize("units", UNITS)
def test_frozen_features_never_move(units, generator):
    x = inputs(1)
    for kind in BALLS:
        threat = kind(2.0, (0.0, 1.0), **units)
        moved = threat.project(torch.rand(x.shape, generator=generator).double(), x) - x
        held = list(units.get("frozen", ()))
        assert (moved[:, held] == 0).all()
        if held:
            touched = x.clone()
            touched[:, held[0]] += 0.01
            assert torch.isinf(threat.distance(touched, x)).all()
            assert not threat.contains(touched, x).any()


@pytest.mark.parametrize("kind", [Linf, L2, L1])
@pytest.mark.parametrize("units", UNITS)
def test_steepest_is_the_best_step_of_unit_norm(kind, units, generator):
    """No random feasible step of the same norm raises the linear function more."""
    threat, x = kind(1.0, **units), torch.zeros(5, 6, dtype=torch.float64)
    slope = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    step = threat.steepest(slope)
    torch.testing.assert_close(threat.distance(step, x), torch.ones(5, dtype=torch.float64))
    for _ in range(300):
        other = threat.project(10 * threat.sample(x, generator), x)
        assert ((slope * other).sum(1) <= (slope * step).sum(1) + 1e-9).all()


@pytest.mark.parametrize("box", [(0.0, 1.0), None], ids=["box", "no box"])
@pytest.mark.parametrize("kind", [L1, L2, Linf])
def test_projection_is_the_nearest_point_within_the_box(kind, box, generator):
    """Against a general optimiser, the box binding where there is one."""
    x, units = inputs(2)[:3], (1.0, 2.0, 0.5, 1.0, 3.0, 1.0)
    for scale in (None,) if kind is L2 or not box else (None, units):  # those are nearest in their own metric
        threat = kind(0.5, box, scale=scale)
        wild = x + torch.randn(x.shape, generator=generator, dtype=torch.float64)
        found = threat.project(wild, x)
        for k in range(len(x)):
            target, start = wild[k].numpy(), x[k].numpy()
            unit = torch.tensor(scale or (1.0,) * 6).numpy()

            def size(z, start=start, unit=unit):
                change = abs((z - start) / unit)
                if kind is L2:
                    return 0.25 - (change**2).sum()
                return 0.5 - (change.sum() if kind is L1 else change.max())

            best = minimize(
                lambda z, t=target: ((z - t) ** 2).sum(),
                start,
                method="SLSQP",
                bounds=[box or (None, None)] * 6,
                constraints={"type": "ineq", "fun": size},
                options={"maxiter": 500},
            )
            assert ((found[k] - wild[k]) ** 2).sum() <= best.fun + 1e-3 * (kind is L2) + 1e-4


def test_l0_keeps_the_changes_that_matter():
    threat = L0(2, (0.0, 1.0))
    x = torch.tensor([[0.9, 0.5, 0.5, 0.5]])
    # the first wants to go far, but the box lets it move by 0.1 only
    found = threat.project(torch.tensor([[5.0, 0.1, 0.8, 0.55]]), x)
    best = min(
        (
            (
                torch.where(torch.tensor(keep), torch.tensor([1.0, 0.1, 0.8, 0.55]), x)
                - torch.tensor([[5.0, 0.1, 0.8, 0.55]])
            )
            ** 2
        )
        .sum()
        .item()
        for keep in itertools.product((True, False), repeat=4)
        if sum(keep) <= 2
    )
    assert ((found - torch.tensor([[5.0, 0.1, 0.8, 0.55]])) ** 2).sum().item() == pytest.approx(best)
    assert threat.distance(found, x).item() == 2


@given(st.integers(0, 10**6), st.sampled_from([0.001, 0.1, 0.5, 1.0]))
def test_state_balls(seed, eps):
    generator = torch.Generator().manual_seed(seed)
    x, wild = (torch.randn(4, 8, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    x = x / x.flatten(1).norm(dim=1)[:, None, None]
    psi = torch.view_as_complex(x)
    for threat in (Fidelity(eps), TraceDistance(eps)):
        for inside in (threat.project(wild, x), threat.sample(x, generator)):
            phi = torch.view_as_complex(inside.contiguous())
            overlap = (psi.conj() * phi).sum(1).abs() ** 2
            lost = 1 - overlap if isinstance(threat, Fidelity) else (1 - overlap).clamp_min(0).sqrt()
            assert (lost <= eps + 1e-7).all()
            assert threat.contains(inside, x).all()
            torch.testing.assert_close(threat.distance(inside, x), lost, atol=1e-7, rtol=1e-6)
    turned = torch.view_as_real(psi * torch.exp(torch.tensor(0.7j)))
    torch.testing.assert_close(Fidelity(eps).project(turned, x), x)


def test_state_projection_is_the_nearest_state(generator):
    """Against a fine scan of the arc, and against random states of the ball."""
    x = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]], dtype=torch.float64)
    wild = torch.tensor([[[0.3, 0.1], [0.7, -0.6]]], dtype=torch.float64)
    wild = wild / wild.norm()
    threat = Fidelity(0.2)

    def overlap(a):
        return (torch.view_as_complex(a).conj() * torch.view_as_complex(wild)).sum(1).abs()

    best = overlap(threat.project(wild, x))
    for _ in range(2000):
        assert overlap(threat.sample(x, generator)) <= best + 1e-9


def test_the_sphere_keeps_unit_length(generator):
    x = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator, dtype=torch.float64))
    threat = Sphere(0.3)
    found = threat.project(torch.randn(5, 4, generator=generator, dtype=torch.float64), x)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5, dtype=torch.float64))
    assert (threat.distance(found, x) <= 0.3 + 1e-9).all()
    assert not threat.contains(1.1 * x, x).any()
    far = threat.project(-x + 1e-3, x)
    torch.testing.assert_close(threat.distance(far, x), torch.full((5,), 0.3, dtype=torch.float64))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("at_most", [None, 1, 3])
def test_knobs_turn_few_and_little(norm, at_most, generator):
    threat = Knobs(0.2, norm, at_most, (-1.0, 1.0))
    rest = torch.zeros(3, 9, dtype=torch.float64)
    for found in (
        threat.project(torch.randn(3, 9, generator=generator).double(), rest),
        threat.sample(rest, generator),
    ):
        assert threat.contains(found, rest).all()
        assert ((found != 0).sum(1) <= (at_most or 9)).all()
        size = found.abs().amax(1) if norm == "linf" else found.norm(dim=1)
        assert (size <= 0.2 + 1e-9).all()
    assert not threat.contains(torch.full_like(rest, 0.3), rest).any()


def test_threats_print_in_one_line():
    told = [
        str(t)
        for t in (
            Linf(0.1, (0, 1)),
            L1(0.5, frozen=(1, 2)),
            L0(3, (0, 1)),
            L2(1.0, scale=(1.0, 2.0)),
            Fidelity(0.01),
            TraceDistance(0.1),
            Sphere(0.2),
            Knobs(0.1, "l2", 3),
            Access("scores", queries=100, shots=10**6),
        )
    ]
    assert told[0] == "l-inf eps=0.1 in [0, 1]"
    assert told[1] == "l1 eps=0.5, 2 features frozen"
    assert told[-1] == "scores only, at most 100 queries an input, at most 1000000 shots an input"
    assert all("\n" not in line and line for line in told)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: L0(1.5), "whole number"),
        (lambda: Linf(0.1, scale=(1.0, 0.0)), "scale > 0"),
        (lambda: Linf(0.1, frozen=(-1,)), "indices >= 0"),
        (lambda: Linf(0.1, frozen=(9,)).project(torch.zeros(1, 3), torch.zeros(1, 3)), "below 3"),
        (lambda: Linf(0.1, scale=(1.0,)).project(torch.zeros(1, 3), torch.zeros(1, 3)), "each of 3"),
        (lambda: Linf(0.1, frozen=(0,)).project(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2)), "flat"),
        (lambda: Fidelity(1.2), r"in \[0, 1\]"),
        (lambda: TraceDistance(math.nan), r"in \[0, 1\]"),
        (lambda: Sphere(3.0), r"in \[0, 2\]"),
        (lambda: Knobs(0.1, "l3"), "unknown norm"),
        (lambda: Knobs(0.1, at_most=0), "at_most >= 1"),
        (lambda: Knobs(-0.1), "eps >= 0"),
        (lambda: Access("everything"), "unknown knowledge"),
        (lambda: Access(queries=0), "queries >= 1"),
    ],
)
def test_impossible_threats_are_refused(build, message):
    with pytest.raises(RobustQError, match=message):
        build()
