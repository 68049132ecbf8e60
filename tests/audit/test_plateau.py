"""Gradient variance over widths against closed forms: 2 ** -n for a global read-out, constant for a local one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from robustq.audit import Evidence, gradient_variance, judge
from robustq.audit.checks import fall
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, theta, z
from robustq.errors import DataError, ModelError
from robustq.models import QuantumNet


def family(ansatz, observable):
    """Angle encoding and an ansatz with uniformly random angles, one random input."""

    def build(width, generator):
        circuit = encodings.angle(width).then(ansatz(width))
        seen = observable(width)
        model = QuantumNet(circuit, [seen, -seen], generator=generator)
        with torch.no_grad():
            model.theta.copy_(2 * math.pi * torch.rand(model.theta.shape, generator=generator))
        return model, torch.rand(1, width, generator=generator)

    return build


def product(width):
    return Circuit.of(width, [op("ry", q, angles=[theta(q)]) for q in range(width)])


def everywhere(width):
    return pauli("Z" * width, *range(width))


def flagged(plateau):
    return [flag.id for flag in judge(Evidence(plateau=plateau))]


def test_a_global_read_out_halves_the_variance_with_every_qubit(generator):
    """<Z...Z> of a product of RY is a product of cosines: variance 2 ** -n, times the scales squared."""
    found = gradient_variance(family(product, everywhere), range(1, 7), draws=300, generator=generator)
    exact = 9 * 0.5 ** np.arange(1, 7)
    np.testing.assert_allclose(found.parameters, exact, rtol=0.5)
    np.testing.assert_allclose(found.inputs, np.pi**2 * exact, rtol=0.5)
    for variances in (found.parameters, found.inputs):
        low, rate, high = fall(found, variances)
        assert low < rate < high
        assert rate == pytest.approx(1, abs=0.15)
    assert flagged(found) == ["barren-plateau"]


def test_a_local_read_out_of_a_shallow_circuit_does_not(generator):
    """<Z> of one qubit does not see the others: variance one half, times the scales squared."""
    found = gradient_variance(family(product, lambda _: z(0)), (2, 4, 6, 8), draws=200, generator=generator)
    np.testing.assert_allclose(found.parameters, 9 / 2, rtol=0.25)
    assert abs(fall(found, found.parameters)[1]) < 0.1
    assert flagged(found) == []


def test_a_few_entangling_layers_with_a_local_read_out_are_no_plateau(generator):
    shallow = family(lambda n: ansaetze.brickwork(n, layers=2), lambda _: z(0))
    found = gradient_variance(shallow, (2, 4, 6, 8), draws=100, generator=generator)
    assert flagged(found) == []


def test_a_deep_random_circuit_is_a_plateau(generator):
    """McClean et al. 2018: deep enough to look Haar random, even a local read-out has no gradient left."""
    deep = family(lambda n: ansaetze.strongly_entangling(n, layers=3 * n), lambda _: z(0))
    found = gradient_variance(deep, (2, 3, 4, 5, 6), draws=60, generator=generator)
    assert found.parameters[-1] < found.parameters[0] / 8
    assert flagged(found) == ["barren-plateau"]
    assert "from 2 to 6 qubits" in judge(Evidence(plateau=found))[0].message


def test_inputs_alone_can_be_barren(generator):
    found = gradient_variance(family(product, everywhere), range(1, 6), draws=200, generator=generator)
    steady = replace(found, parameters=(0.5, 0.52, 0.49, 0.5, 0.51))
    assert "input gradients" in judge(Evidence(plateau=steady))[0].message


@pytest.mark.parametrize(
    ("widths", "draws", "message"),
    [((2, 3), 5, "three rising widths"), ((2, 4, 3), 5, "rising"), ((2, 3, 4), 1, "draws >= 2")],
)
def test_too_little_is_refused(widths, draws, message, generator):
    with pytest.raises(DataError, match=message):
        gradient_variance(family(product, everywhere), widths, draws=draws, generator=generator)


def test_models_without_angles_or_gradients_are_named(generator):
    class Fixed(torch.nn.Module):
        def __init__(self, parameters):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(parameters)) if parameters else None

        def forward(self, x):
            return torch.zeros(len(x), 2)

    for parameters, message in ((0, "trainable angles"), (2, "with gradients")):
        with pytest.raises(ModelError, match=message):
            gradient_variance(
                lambda n, g, count=parameters: (Fixed(count), torch.rand(1, n, generator=g)),
                (2, 3, 4),
                draws=2,
                generator=generator,
            )
