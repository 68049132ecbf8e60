"""mitiq, where it is installed: the same folds, extrapolations, quasi-probabilities and inverses."""

import numpy as np
import pytest
import torch

from mitigation.random_circuits import random_circuit
from robustq.mitigation.extrapolation import coefficients, exponential
from robustq.mitigation.folding import FOLDINGS
from robustq.mitigation.histograms import confusion, inversion
from robustq.mitigation.quasi import inverse
from robustq.noise import Channel, Readout

mitiq = pytest.importorskip("mitiq", reason="mitiq is GPL-3.0 and optional")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_extrapolations_agree(rng):
    from mitiq import zne

    scales, values = [1.0, 2.0, 3.0], [0.7, 0.52, 0.41]
    richardson = zne.RichardsonFactory.extrapolate(scales, values)
    assert coefficients(scales, 2) @ values == pytest.approx(richardson)
    assert coefficients(scales, 1) @ values == pytest.approx(zne.LinearFactory.extrapolate(scales, values))
    ours = exponential([torch.tensor([[v]]).double() for v in values], scales)
    theirs = zne.ExpFactory.extrapolate(scales, values, asymptote=0.0)
    assert float(ours) == pytest.approx(theirs, abs=0.01)  # theirs is a non-linear fit of the values


def test_folded_circuits_have_as_many_gates(rng):
    import cirq
    from mitiq.zne import scaling

    circuit = random_circuit(rng, qubits=3)
    qubits = cirq.LineQubit.range(3)
    twin = cirq.Circuit([cirq.H(q) for q in qubits] * (len(circuit.operations) // 3))
    count = len(list(twin.all_operations()))
    for scale in (1, 3, 5):
        folded = scaling.fold_global(twin, scale)
        ours = FOLDINGS["global"](circuit, scale)
        assert len(list(folded.all_operations())) / count == len(ours.operations) / len(circuit.operations)


@pytest.mark.parametrize("p", [0.01, 0.1])
def test_quasi_probabilities_agree(p):
    """Their depolarising ``p`` is the chance of a Pauli error: 3/4 (one qubit) and 15/16 (two) of ours."""
    import cirq
    from mitiq.pec.representations import represent_operation_with_global_depolarizing_noise as represent
    from mitiq.pec.representations.damping import _represent_operation_with_amplitude_damping_noise as damped

    first, second = cirq.LineQubit.range(2)
    one = represent(cirq.Circuit(cirq.X(first)), 0.75 * p)
    assert inverse(Channel("depolarising", p)).cost == pytest.approx(one.norm)
    two = represent(cirq.Circuit(cirq.CNOT(first, second)), 15 / 16 * p)
    assert inverse(Channel("depolarising-2", p)).cost == pytest.approx(two.norm)
    lost = damped(cirq.Circuit(cirq.X(first)), p)
    assert inverse(Channel("amplitude-damping", p)).cost == pytest.approx(lost.norm)


def test_inverse_confusions_agree():
    from mitiq.rem import generate_inverse_confusion_matrix

    theirs = generate_inverse_confusion_matrix(2, p0=0.1, p1=0.2)
    readouts = [Readout(0.1, 0.2)] * 2
    np.testing.assert_allclose(theirs, np.linalg.inv(confusion(readouts)), atol=1e-9)
    seen = np.array([0.4, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(theirs @ seen, inversion(seen, readouts), atol=1e-9)


def test_the_line_of_clifford_data_is_theirs(rng):
    from mitiq.cdr import linear_fit_function
    from scipy.optimize import curve_fit

    from robustq.mitigation.cdr import line
    from robustq.mitigation.near_clifford import TrainingCircuits

    noisy = torch.as_tensor(rng.uniform(-1, 1, (20, 1)))
    ideal = 1.3 * noisy + 0.05 + 0.02 * torch.as_tensor(rng.standard_normal((20, 1)))
    theirs, _ = curve_fit(
        lambda x, *params: linear_fit_function(x, params), noisy.T.numpy(), ideal[:, 0].numpy(), p0=[1, 0]
    )
    ours = line(TrainingCircuits(noisy, noisy, ideal))
    np.testing.assert_allclose([float(v) for v in ours], theirs, atol=1e-6)


def test_distilled_values_agree():
    import cirq
    from mitiq import MeasurementResult
    from mitiq.experimental.vd import execute_with_vd

    from mitigation.random_circuits import problem_of
    from robustq.circuits import Circuit, op, z
    from robustq.mitigation import Run, VirtualDistillation
    from robustq.noise import NoiseModel, Rule

    p, shots, turn = 0.15, 40_001, 1.1
    a, b = cirq.LineQubit.range(2)
    noisy = cirq.Circuit(
        cirq.ry(turn)(a), cirq.depolarize(0.75 * p)(a), cirq.CNOT(a, b), cirq.depolarize(15 / 16 * p, 2)(a, b)
    )

    def executor(circuit):
        drawn = cirq.DensityMatrixSimulator(seed=5).run(circuit, repetitions=shots)
        (bits,) = drawn.measurements.values()
        return MeasurementResult(bits.tolist())

    theirs = execute_with_vd(noisy, executor)
    circuit = Circuit.of(2, [op("ry", 0, angles=[turn]), op("cx", 0, 1)])
    rules = (Rule(Channel("depolarising", p), width=1), Rule(Channel("depolarising-2", p), width=2))
    problem = problem_of(Run(circuit, (z(0), z(1)), NoiseModel(rules)))
    ours = VirtualDistillation().plan(problem).values(problem.inputs, problem.parameters)[0]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=5 * 2 / shots**0.5)
