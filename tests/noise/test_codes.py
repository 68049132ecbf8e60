"""The [[4,2,2]] code: against a dense simulation, closed forms and counting."""

import functools
import itertools

import numpy as np
import pytest

from robustq.circuits.gates import pauli_matrix
from robustq.errors import CircuitError
from robustq.noise import Channel
from robustq.noise.codes import LOGICAL_X, LOGICAL_Z, STABILISERS, commute, detected, logical

CHANCES = [(0.01, 0.02, 0.03), (0.2, 0.0, 0.0), (0.05, 0.15, 0.3), (0.25, 0.25, 0.25)]


def test_stabilisers_and_logical_words_obey_the_algebra_of_two_qubits():
    for word in (*LOGICAL_X, *LOGICAL_Z):
        assert all(commute(word, s) for s in STABILISERS)
    for i, j in itertools.product(range(2), repeat=2):
        assert commute(LOGICAL_X[i], LOGICAL_Z[j]) == (i != j)
        assert commute(LOGICAL_X[i], LOGICAL_X[j])
        assert commute(LOGICAL_Z[i], LOGICAL_Z[j])


def test_every_single_error_is_detected():
    for place, letter in itertools.product(range(4), "XYZ"):
        word = "I" * place + letter + "I" * (3 - place)
        assert not all(commute(word, s) for s in STABILISERS)


def test_stabilisers_amount_to_nothing():
    for word in ("IIII", "XXXX", "YYYY", "ZZZZ"):
        assert logical(word) == "II"


def encoder():
    """The isometry from two qubits into the code, ``(16, 4)``, columns by logical basis state."""
    ground = np.zeros(16, dtype=complex)
    ground[[0, 15]] = np.sqrt(0.5)
    x1, x2 = (pauli_matrix(word) for word in LOGICAL_X)
    return np.stack([ground, x2 @ ground, x1 @ ground, x1 @ x2 @ ground], 1)


def test_the_encoder_carries_logical_words_onto_the_code():
    v = encoder()
    for k, (x, z) in enumerate(zip(LOGICAL_X, LOGICAL_Z, strict=True)):
        for word, letter in ((x, "X"), (z, "Z")):
            expected = pauli_matrix("I" * k + letter + "I" * (1 - k))
            np.testing.assert_allclose(v.conj().T @ pauli_matrix(word) @ v, expected, atol=1e-12)


def physical(rho, chances):
    """Four qubits through the channel, one after the other, as a density matrix."""
    for place in range(4):
        kraus = [
            functools.reduce(np.kron, [k if q == place else np.eye(2) for q in range(4)])
            for k in Channel("pauli", *chances).kraus
        ]
        rho = sum(k @ rho @ k.conj().T for k in kraus)
    return rho


@pytest.mark.parametrize("chances", CHANCES)
def test_logical_channel_and_acceptance_are_those_of_a_dense_simulation(chances, rng):
    v, found = encoder(), detected(*chances)
    projector = np.eye(16)
    for word in STABILISERS:
        projector = projector @ (np.eye(16) + pauli_matrix(word)) / 2
    for _ in range(3):
        psi = rng.normal(size=4) + 1j * rng.normal(size=4)
        psi /= np.linalg.norm(psi)
        rho = np.outer(psi, psi.conj())
        kept = projector @ physical(v @ rho @ v.conj().T, chances) @ projector
        acceptance = float(np.trace(kept).real)
        assert acceptance == pytest.approx(found.acceptance, abs=1e-12)
        expected = v.conj().T @ kept @ v / acceptance
        ours = sum(k @ rho @ k.conj().T for k in found.channel.kraus)
        np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("chances", CHANCES)
def test_acceptance_is_the_mean_over_the_stabiliser_group(chances):
    """``(1 + sum_P (1 - 2 q_P)^4) / 4`` with ``q_P`` the chance of what anticommutes with P."""
    total = sum(chances)
    expected = (1 + sum((1 - 2 * (total - own)) ** 4 for own in chances)) / 4
    assert detected(*chances).acceptance == pytest.approx(expected, abs=1e-14)


def test_leading_orders():
    """Four qubits to alarm; 18 undetected pairs of equal letters, none of them harmless."""
    p = 1e-5
    found = detected(p / 3, p / 3, p / 3)
    assert (1 - found.acceptance) / (4 * p) == pytest.approx(1, rel=1e-3)
    assert found.error / (18 * (p / 3) ** 2) == pytest.approx(1, rel=1e-3)


def test_without_noise_nothing_happens():
    found = detected(0.0, 0.0, 0.0)
    assert found.acceptance == 1
    assert found.error == 0


def test_impossible_chances_are_refused():
    with pytest.raises(CircuitError, match="sum <= 1"):
        detected(0.5, 0.4, 0.3)
