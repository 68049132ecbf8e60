"""The nearest zero of a quadratic form: optimality conditions, hard cases, and a general optimiser."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from robustq.quadric import Cones, nearest_zero


def spectrum(draw, size):
    values = draw(st.lists(st.floats(-2, 2), min_size=size, max_size=size))
    return torch.tensor(sorted(values), dtype=torch.float64)


@st.composite
def problems(draw):
    size = draw(st.integers(2, 6))
    values = spectrum(draw, size)
    entries = st.floats(-1, 1).filter(lambda v: abs(v) > 1e-3 or v == 0)
    rows = draw(st.lists(st.lists(entries, min_size=size, max_size=size), min_size=1, max_size=4))
    return values, torch.tensor(rows, dtype=torch.float64)


@given(problems())
def test_the_point_is_a_zero_and_no_sample_is_nearer(problem):
    values, c = problem
    found = nearest_zero(values, c)
    form = (values * c**2).sum(1)
    scale = values.abs().max().clamp_min(1e-9) * (c**2).sum(1).clamp_min(1e-9)
    for k in range(len(c)):
        if values[0] >= -1e-13 * values.abs().max():
            assert torch.isinf(found.distance[k])
        elif form[k] <= 0:
            assert float(found.distance[k]) == 0
        else:
            z = found.coefficients[k]
            assert abs(float((values * z**2).sum())) <= 1e-7 * float(scale[k])
            assert float((z - c[k]).norm()) == pytest.approx(float(found.distance[k]))
            drawn = c[k] + 0.999 * found.distance[k] * torch.nn.functional.normalize(
                torch.randn(500, len(z), generator=torch.Generator().manual_seed(k), dtype=z.dtype)
            )
            assert float((values * drawn**2).sum(1).min()) >= -1e-9 * float(scale[k])


def test_a_general_optimiser_finds_nothing_nearer(rng):
    for size in (2, 3, 5):
        values = np.sort(rng.normal(size=size))
        values[0], values[-1] = -abs(values[0]) - 0.1, abs(values[-1]) + 0.1
        c = rng.normal(size=size)
        if (values * c**2).sum() < 0:
            values = -values[::-1]
        found = nearest_zero(torch.tensor(values), torch.tensor(c)[None])
        best = (
            min(
                minimize(
                    lambda z, c=c: ((z - c) ** 2).sum(),
                    rng.normal(size=size),
                    method="SLSQP",
                    constraints={"type": "eq", "fun": lambda z, v=values: (v * z**2).sum()},
                    options={"maxiter": 500, "ftol": 1e-14},
                ).fun
                for _ in range(20)
            )
            ** 0.5
        )
        expected = 0.0 if (values * c**2).sum() <= 0 else best
        assert float(found.distance) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("tiny", [0.0, 1e-14, 1e-9, 1e-6, 1e-3])
def test_the_hard_case_is_met_smoothly(tiny):
    """Hardly any weight on the lowest eigenvector: what is missing is added there."""
    values = torch.tensor([-1.0, 0.2, 1.0], dtype=torch.float64)
    c = torch.tensor([[tiny, 1.0, 0.05]], dtype=torch.float64)
    found = nearest_zero(values, c)
    limit = nearest_zero(values, torch.tensor([[0.0, 1.0, 0.05]], dtype=torch.float64))
    assert abs(float((values * found.coefficients**2).sum())) < 1e-9
    assert float(found.distance) == pytest.approx(float(limit.distance), abs=2 * tiny + 1e-9)


def test_complex_coefficients_keep_their_phases():
    values = torch.tensor([-0.5, 1.0], dtype=torch.float64)
    c = torch.tensor([[0.3 * 1j, -0.9 + 0.2j]], dtype=torch.complex128)
    found = nearest_zero(values, c)
    plain = nearest_zero(values, c.abs())
    assert float(found.distance) == pytest.approx(float(plain.distance), rel=1e-9)
    torch.testing.assert_close(found.coefficients.angle(), c.angle())


def test_a_difference_is_as_wrong_as_what_it_is_made_of(generator):
    own = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    offset = 1e6 * torch.eye(3, dtype=torch.float64)
    forms = 1e-6 * (own + own.mT)
    x = torch.rand(20, 3, generator=generator, dtype=torch.float64)
    y = torch.einsum("bi,kij,bj->bk", x, forms, x).argmax(1)
    true = Cones(forms).nearest(x, y).distance
    found = Cones(forms + offset).nearest(x, y)
    assert bool((found.proved <= true).all())  # of 1e6, 1e-10 is lost
    assert bool((Cones(forms).nearest(x, y).proved[torch.isfinite(true)] > 0).all())
