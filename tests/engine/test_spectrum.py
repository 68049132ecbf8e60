"""Extreme eigenvalues without a matrix, against matrices and against known spectra."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustq.certify import spreads
from robustq.circuits import ansaetze, encodings, parity, pauli, per_qubit_z, z
from robustq.engine import FrozenModel, extreme_values
from robustq.errors import CircuitError
from robustq.noise import NoiseModel


@st.composite
def sums(draw, qubits):
    """Weighted Pauli words, one of them repeated, and now and then a projector."""
    letters = st.text("IXYZ", min_size=qubits, max_size=qubits)
    words = draw(st.lists(st.tuples(st.floats(-2, 2), letters), min_size=1, max_size=5))
    words.append(words[0])
    terms = [(c, pauli(word, *range(qubits))) for c, word in words]
    if qubits > 1 and draw(st.booleans()):
        terms.append((draw(st.floats(-2, 2)), parity(2, qubits)[0]))
    return terms


@given(st.integers(1, 8), st.data())
def test_lanczos_finds_what_a_matrix_has(qubits, data):
    terms = data.draw(sums(qubits))
    found = extreme_values(terms, qubits, generator=np.random.default_rng(0))
    values = np.linalg.eigvalsh(sum(c * o.matrix(qubits) for c, o in terms))
    assert found.low == pytest.approx(values[0], abs=1e-8)
    assert found.high == pytest.approx(values[-1], abs=1e-8)
    assert found.below <= values[0] + 1e-9
    assert found.above >= values[-1] - 1e-9
    assert found.spread <= found.proved


def test_known_spectra(rng):
    """A field across each qubit adds up; an open Ising chain at its critical field (Pfeuty, 1970)."""
    n = 14
    field = [(0.5, pauli("X", q)) for q in range(n)] + [(0.5, z(q)) for q in range(n)]
    found = extreme_values(field, n, generator=rng)
    assert found.high == pytest.approx(n * math.sqrt(0.5), abs=1e-9)
    assert found.low == pytest.approx(-n * math.sqrt(0.5), abs=1e-9)
    assert (found.below, found.above) == pytest.approx((-n, n))  # each part's own extremes, summed
    chain = [(-1.0, z(q, q + 1)) for q in range(n - 1)] + [(-1.0, pauli("X", q)) for q in range(n)]
    ground = 1 - 1 / math.sin(math.pi / (2 * (2 * n + 1)))
    assert extreme_values(chain, n, generator=rng).low == pytest.approx(ground, abs=1e-8)


def test_a_diagonal_sum_is_scanned(rng):
    found = extreme_values([(1.0, z(0)), (-1.0, z(1)), (3.0, parity(2, 4)[1])], 4, generator=rng)
    assert (found.low, found.high) == (found.below, found.above) == (-2.0, 5.0)


@pytest.mark.parametrize("noise", [None, NoiseModel.uniform(gate_error=0.02, readout_error=0.05)])
def test_the_circuit_does_not_matter_and_noise_only_helps(noise, rng):
    observables = (*per_qubit_z(2, 3), pauli("XY", 1, 2))
    circuit = encodings.amplitude(8).then(ansaetze.brickwork(3, layers=2))
    angles = torch.as_tensor(rng.normal(0, 1.5, circuit.parameters))
    dense = spreads(FrozenModel(circuit, observables, angles, noise=noise).state_forms())
    for one in range(3):
        for other in range(one):
            pair = ((1.0, observables[one]), (-1.0, observables[other]))
            found = extreme_values(pair, 3, generator=rng)
            if noise is None:
                assert float(dense[one, other]) == pytest.approx(found.spread, abs=1e-9)
            assert float(dense[one, other]) <= found.proved * (1 if noise is None else 0.95) + 1e-9


def test_what_cannot_be_is_refused(rng):
    with pytest.raises(CircuitError, match="expected 1 to"):
        extreme_values([(1.0, z(0))], 40, generator=rng)
    with pytest.raises(CircuitError, match=r"qubits 0\.\.1"):
        extreme_values([(1.0, z(2))], 2, generator=rng)


@pytest.mark.parametrize("qubits", [3, 6])
def test_terms_that_cancel_leave_what_is_diagonal(qubits, rng):
    """The same read-out in two classes: there is nothing for Lanczos to find."""
    gone = [(1.0, pauli("X", 0)), (-1.0, pauli("X", 0))]
    assert extreme_values(gone, qubits, generator=rng).proved == 0.0
    assert extreme_values([(0.0, pauli("Y", 1))], qubits, generator=rng).proved == 0.0
    found = extreme_values([*gone, (2.0, z(1))], qubits, generator=rng)
    assert (found.low, found.high, found.proved) == (-2.0, 2.0, 4.0)
