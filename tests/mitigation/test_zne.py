"""Folding and extrapolation: identities, closed forms, and perturbation theory on devices."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mitigation.random_circuits import errors, problem_of, problem_on, random_circuit, rms
from mitigation.scaled_noise import derivatives
from robustq import engine
from robustq.circuits import Circuit, op, z
from robustq.errors import SpecError
from robustq.mitigation import ZNE, ReadoutInversion, Run, Stack
from robustq.mitigation.extrapolation import coefficients, exponential
from robustq.mitigation.folding import FOLDINGS, fold_global, reached
from robustq.noise import NoiseModel


@pytest.mark.parametrize("folding", FOLDINGS)
@given(st.integers(0, 2**16), st.floats(1, 6))
def test_a_folded_circuit_does_the_same_and_is_as_long_as_it_says(folding, seed, scale):
    circuit = random_circuit(np.random.default_rng(seed), qubits=3, layers=2)
    folded = FOLDINGS[folding](circuit, scale)
    observables = [z(0), z(1, 2)]
    blank = torch.zeros(1, 0, dtype=torch.float64)
    np.testing.assert_allclose(
        engine.expectations(folded, observables, inputs=blank),
        engine.expectations(circuit, observables, inputs=blank),
        atol=1e-10,
    )
    assert len(folded.operations) == round(len(circuit.operations) * reached(circuit, scale))
    assert abs(reached(circuit, scale) - scale) <= 1 / len(circuit.operations) + 1e-9


def test_folding_multiplies_the_noise():
    circuit = Circuit.of(1, [op("x", 0)] * 2)
    noise = NoiseModel.uniform(gate_error=0.1)
    for scale in (1, 2, 3, 5):
        run = Run(fold_global(circuit, scale), (z(0),), noise)
        problem = problem_of(run)
        found = float(run.values(problem.inputs, problem.parameters))
        assert found == pytest.approx(0.9 ** (2 * scale))


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=4))
def test_richardson_is_exact_on_polynomials(polynomial):
    scales = [1.0, 2.0, 3.0, 5.0][: len(polynomial)]
    values = np.polynomial.polynomial.polyval(scales, polynomial)
    weights = coefficients(scales, len(scales) - 1)
    assert weights @ values == pytest.approx(polynomial[0], abs=1e-7)
    lagrange = [math.prod(b / (b - a) for b in scales if b != a) for a in scales]
    np.testing.assert_allclose(weights, lagrange, atol=1e-9)


def test_a_line_by_least_squares_is_numpys():
    scales, values = [1.0, 3.0, 5.0], np.array([0.7, 0.4, 0.3])
    assert coefficients(scales, 1) @ values == pytest.approx(np.polyfit(scales, values, 1)[1])


@given(st.floats(-0.99, 0.99).filter(lambda a: abs(a) > 0.05), st.floats(0.5, 0.99))
def test_the_exponential_is_exact_on_exponentials(start, decay):
    values = [torch.tensor([[start * decay**s]], dtype=torch.float64) for s in (1, 2, 3)]
    assert float(exponential(values, [1, 2, 3])) == pytest.approx(start, abs=1e-9)


def test_the_exponential_falls_back_to_a_line_where_signs_change():
    values = [torch.tensor([[0.2]]), torch.tensor([[-0.1]])]
    assert float(exponential(values, [1, 3])) == pytest.approx(0.35)


@pytest.mark.parametrize("device", ["manila", "guadalupe", "melbourne"])
@pytest.mark.parametrize("folding", FOLDINGS)
def test_the_error_left_is_what_perturbation_theory_says(device, folding, rng):
    """Richardson at 1 and 3 leaves ``-3/2 E''(0)`` of ``E'(0) + E''(0)/2``, ``E`` over the channels' strength.

    Folding puts a gate's second and third error elsewhere than scaled channels would: hence the tolerance.
    """
    measured, predicted = [], []
    for _ in range(8):
        problem = problem_on(device, random_circuit(rng))
        _, left = errors(Stack(ReadoutInversion(), ZNE(folding=folding)), problem)
        _, second = derivatives(problem)
        measured.append([rms(left)])
        predicted.append([rms(1.5 * second)])
    assert 0.5 < rms(measured) / rms(predicted) < 1.6


@pytest.mark.parametrize("device", ["manila", "melbourne"])
def test_more_scales_leave_less(device, rng):
    few, many, none = [], [], []
    for _ in range(6):
        problem = problem_on(device, random_circuit(rng))
        none.append(errors(ReadoutInversion(), problem)[1])
        few.append(errors(Stack(ReadoutInversion(), ZNE((1, 3))), problem)[1])
        many.append(errors(Stack(ReadoutInversion(), ZNE((1, 3, 5))), problem)[1])
    assert rms(many) < rms(few) < rms(none)


def test_gradients_from_shots_are_unbiased(generator):
    from robustq.circuits import encodings

    run = Run(encodings.angle(1), (z(0),), NoiseModel.uniform(gate_error=0.1))
    plan = ZNE((1, 3)).plan(problem_of(run))
    x = torch.full((800, 1), 0.3, dtype=torch.float64, requires_grad=True)
    plan.sampled(torch.zeros(0).double(), 200, generator)(x).sum().backward()
    one = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    plan.values(one, torch.zeros(0).double()).sum().backward()
    assert x.grad is not None
    assert one.grad is not None
    away = float(x.grad.mean() - one.grad)
    assert abs(away) < 4 * float(x.grad.std()) / 800**0.5
    assert plan.linear


def test_what_is_refused():
    with pytest.raises(SpecError, match="did you mean 'local'"):
        ZNE(folding="locl")
    with pytest.raises(SpecError, match="richardson"):
        ZNE(fit="quadratic")
    with pytest.raises(SpecError, match="two or more different scales"):
        ZNE((1.0,))
    with pytest.raises(SpecError, match="scales >= 1"):
        ZNE((0.5, 1.0))
    with pytest.raises(SpecError, match="a scale >= 1"):
        fold_global(random_circuit(np.random.default_rng(0)), 0.9)
    with pytest.raises(SpecError, match="with gates"):
        fold_global(Circuit.of(1, []), 3)
    with pytest.raises(SpecError, match="a degree from 1 to 1"):
        coefficients([1, 3], 2)
    with pytest.raises(SpecError, match="tell apart"):
        ZNE((1.0, 1.1)).plan(problem_of(Run(Circuit.of(1, [op("x", 0)]), (z(0),))))
