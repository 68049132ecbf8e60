"""Symmetry verification: against the projector, and what it can and cannot see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitigation.random_circuits import errors, problem_of
from robustq import engine
from robustq.circuits import Circuit, op, pauli, z
from robustq.engine.transfer import operators_of
from robustq.errors import CircuitError, DataError
from robustq.mitigation import ReadoutInversion, Run, Stack, SymmetryVerification
from robustq.mitigation.signed_shots import as_pauli_sum
from robustq.mitigation.symmetry import times
from robustq.noise import Channel, NoiseModel, Rule

# Excitations are exchanged, never made: parity is kept.
CONSERVING = Circuit.of(
    3,
    [
        op("x", 0),
        op("rxx", 0, 1, angles=[0.7]),
        op("ryy", 0, 1, angles=[0.7]),
        op("rzz", 1, 2, angles=[0.3]),
        op("rxx", 1, 2, angles=[0.9]),
        op("ryy", 1, 2, angles=[0.9]),
    ],
)


@pytest.mark.parametrize("channel", ["amplitude-damping", "depolarising", "bit-flip"])
def test_it_is_the_projected_state(channel):
    noise = NoiseModel((Rule(Channel(channel, 0.05)),))
    run = Run(CONSERVING, (z(0), z(1, 2)), noise)
    problem = problem_of(run)
    state = engine.pauli_states(CONSERVING, inputs=problem.inputs, noise=noise)
    rho = operators_of(state, 3)[0].numpy() / 8
    projector = (np.eye(8) - pauli("ZZZ", 0, 1, 2).matrix(3)) / 2
    kept = projector @ rho @ projector
    wanted = [np.trace(kept @ o.matrix(3)).real / np.trace(kept).real for o in run.observables]
    found = SymmetryVerification("ZZZ", -1).plan(problem).values(problem.inputs, problem.parameters)
    np.testing.assert_allclose(found[0], wanted, atol=1e-9)


def test_errors_that_leave_the_sector_are_gone_and_others_stay():
    flip = Circuit.of(2, [op("x", 0), op("i", 1)])
    leaving = NoiseModel((Rule(Channel("bit-flip", 0.1), gates=("x",)),))
    plain, left = errors(SymmetryVerification("ZZ", -1), problem_of(Run(flip, (z(0),), leaving)))
    assert abs(plain[0]) == pytest.approx(0.2)
    np.testing.assert_allclose(left, 0, atol=1e-12)
    swapped = NoiseModel((Rule(Channel("kraus", *_exchange(0.1)), gates=("x",), on=(0, 1)),))
    plain, left = errors(SymmetryVerification("ZZ", -1), problem_of(Run(flip, (z(0),), swapped)))
    np.testing.assert_allclose(left, plain)


def _exchange(p):
    swap = np.eye(4)[[0, 2, 1, 3]]
    return (1 - p) ** 0.5 * np.eye(4), p**0.5 * swap


WORDS = st.text("IXYZ", min_size=3, max_size=3)


@given(WORDS.filter(lambda w: set(w) != {"I"}), WORDS)
def test_products_of_words_are_those_of_matrices(first, second):
    a, b = pauli(first, 0, 1, 2), pauli(second, 0, 1, 2)
    left, right = a.matrix(3) @ b.matrix(3), b.matrix(3) @ a.matrix(3)
    if np.allclose(left, right):
        np.testing.assert_allclose(times(a, b).matrix(3), left, atol=1e-12)
    else:
        with pytest.raises(CircuitError, match="commute"):
            times(a, b)


def test_what_is_refused():
    with pytest.raises(CircuitError, match="obey it, got one whose mean is -1"):
        SymmetryVerification("ZZZ", 1).plan(problem_of(Run(CONSERVING, (z(0),))))
    with pytest.raises(CircuitError, match="a letter for each of 3 qubits"):
        SymmetryVerification("ZZ", -1).plan(problem_of(Run(CONSERVING, (z(0),))))
    with pytest.raises(CircuitError, match="commute"):
        SymmetryVerification("ZZZ", -1).plan(problem_of(Run(CONSERVING, (pauli("X", 0),))))
    stack = Stack(ReadoutInversion(), SymmetryVerification("ZZZ", -1))
    with pytest.raises(CircuitError, match="read as they are"):
        stack.plan(problem_of(Run(CONSERVING, (z(0),), NoiseModel.uniform(readout_error=0.1))))
    with pytest.raises(DataError, match="a sector of"):
        SymmetryVerification("ZZ", 0)
    assert str(as_pauli_sum(z(0))) == "1*Z0"
