"""Branch and bound: brackets around exact radii, against grids, closed forms and attacks."""

import math

import pytest
import torch

from oracles import one_qubit
from robustq.attacks import PGD, run_attack
from robustq.certify import Branching, Curvature, certify
from robustq.errors import CertificateError
from robustq.models.catalogue import hybrid, qnn, reuploading
from robustq.threats import L0, L1, L2, Linf
from turning_circuits import uniform

BALLS = {"linf": Linf, "l2": L2, "l1": L1}
BOX = (0.0, 1.0)


def radii(certifier, model, x, threat):
    y = torch.zeros(len(x), dtype=torch.int64)
    return certify(certifier, model, x, y, threat, generator=torch.Generator())


def by_grid(model, x, threat, size=201):
    """The nearest flip among the points of a grid over the box, for each input."""
    axis = torch.linspace(0, 1, size, dtype=torch.float64)
    points = torch.cartesian_prod(*[axis] * x.shape[1]).reshape(-1, x.shape[1])
    answers = model.freeze()(points).argmax(1)
    found = []
    for row, label in zip(x, model.freeze()(x).argmax(1), strict=True):
        other = points[answers != label]
        away = threat.distance(other, row.expand_as(other))
        found.append(float(away.min()) if len(other) else math.inf)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("norm", BALLS)
def test_one_qubit_is_bracketed(norm, generator):
    weights, bias = [0.7, -1.1], 0.3
    model = one_qubit.model(weights, bias, generator)
    x = torch.rand(6, 2, generator=generator).double()
    exact = one_qubit.radius(weights, bias, x, norm)
    found = radii(Branching(), model, x, BALLS[norm](3.0))
    assert bool((found.lower <= exact).all())
    assert bool((exact <= found.upper).all())
    assert bool((found.upper <= found.lower * 1.0011).all())


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("noise", [None, 0.01])
def test_re_uploading_against_a_grid(norm, noise, generator):
    """Trained scales are incommensurate: no polynomial with one base frequency, but two features."""
    model = reuploading(2, 2, generator=generator, qubits=2, layers=2)
    model.noise = None if noise is None else uniform(noise)
    x = torch.rand(5, 2, generator=generator).double()
    threat = BALLS[norm](2.0, box=BOX)
    found = radii(Branching(tolerance=1e-2), model, x, threat)
    seen = by_grid(model, x, threat)
    assert bool((found.lower <= seen).all())
    assert bool((found.upper <= found.lower * 1.011).all())
    assert bool((seen - found.upper <= 0.02).all())  # twice the grid's cell, in l1
    assert bool((radii(Curvature(), model, x, threat).lower <= found.upper).all())


def test_one_feature_against_a_grid(generator):
    model = reuploading(1, 2, generator=generator, qubits=2, layers=3)
    x = torch.rand(12, 1, generator=generator).double()
    found = radii(Branching(), model, x, Linf(1.0, box=BOX))
    seen = by_grid(model, x, Linf(1.0, box=BOX), 20001)
    both = torch.isfinite(seen)
    assert torch.equal(both, torch.isfinite(found.upper))
    torch.testing.assert_close(found.upper[both], seen[both], rtol=1e-3, atol=1e-4)
    assert bool((found.lower[~both] > 1).all())


@pytest.mark.parametrize("build", [hybrid, qnn])
def test_sigmoids_and_products_of_features(build, generator):
    options = {"encoding": "iqp"} if build is qnn else {}
    model = build(2, 2, generator=generator, **options)
    x = torch.rand(4, 2, generator=generator).double()
    threat = L2(0.5, box=BOX)
    found = radii(Branching(tolerance=1e-2), model, x, threat)
    seen = by_grid(model, x, threat)
    decided = found.lower >= 0.5
    assert bool((decided | (found.upper <= found.lower * 1.011)).all())
    assert bool((seen[decided] > 0.5 - 1e-9).all())
    assert bool((found.lower <= seen + 1e-12).all())


def test_attacks_never_succeed_below_and_find_what_is_above(generator):
    model = reuploading(2, 2, generator=generator)
    x = torch.rand(4, 2, generator=generator).double()
    found = radii(Branching(), model, x, Linf(0.5))
    for row in range(4):
        for share, expected in ((1.0, False), (1.3, True)):
            threat = Linf(share * float(found.lower[row]))
            result = run_attack(
                PGD(steps=40, restarts=5),
                model.freeze(),
                x[row : row + 1],
                found.label[row : row + 1],
                threat,
                generator=generator,
            )
            assert bool(result.success.any()) is expected


def test_three_features_of_which_one_is_frozen(generator):
    weights, bias = [0.7, -1.1, 0.4], 0.3
    model = one_qubit.model(weights, bias, generator)
    x = torch.rand(3, 3, generator=generator).double()
    shifted = x[:, :2] + torch.tensor([0.4, 0.0]) * x[:, 2:] / 0.7
    exact = one_qubit.radius(weights[:2], bias, shifted, "linf")
    found = radii(Branching(features=2), model, x, Linf(3.0, frozen=(2,)))
    assert bool((found.lower <= exact * (1 + 1e-12)).all())
    torch.testing.assert_close(found.upper, exact, rtol=2e-3, atol=0.0)


def test_what_is_left_undecided_stays_a_bracket(generator):
    model = reuploading(2, 2, generator=generator)
    x = torch.rand(2, 2, generator=generator).double()
    short = radii(Branching(budget=600), model, x, Linf(0.3))
    long = radii(Branching(), model, x, Linf(0.3))
    assert bool((short.lower <= long.lower).all())
    assert bool((short.upper >= long.upper * (1 - 1e-12)).all())
    assert bool((short.lower < short.upper).all())


def test_a_box_without_another_answer_is_endless(generator):
    model = one_qubit.model([0.5, 0.5], 0.0, generator)
    x = torch.full((1, 2), 0.5).double()
    found = radii(Branching(), model, x, Linf(1.0, box=BOX))
    assert bool(torch.isinf(found.lower).all())
    within = radii(Branching(), model, x, Linf(0.25, box=BOX))
    assert float(within.lower[0]) == 0.25


def test_refusals(generator):
    model = reuploading(5, 2, generator=generator)
    with pytest.raises(CertificateError, match="at most 4 features that move, got 5"):
        radii(Branching(), model, torch.zeros(1, 5).double(), Linf(0.1))
    with pytest.raises(CertificateError, match="branching: expected an l-inf, l2 or l1 threat"):
        radii(Branching(), model, torch.zeros(1, 5).double(), L0(1))
    for options in ({"budget": 0}, {"tolerance": 1.0}, {"slack": -1.0}, {"features": 0}):
        with pytest.raises(CertificateError, match="branching: expected"):
            Branching(**options)
