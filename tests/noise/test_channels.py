"""Channels: physical for every value, three statements of each that agree, and two outside opinions."""

import itertools
import math
import pickle

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.circuits.gates import pauli_matrix
from robustq.errors import CircuitError, SpecError
from robustq.noise import CHANNELS, Channel
from strategies import VALUES, any_channel, channels, isometry

X = pauli_matrix("X")


def choi(channel):
    """``sum_ij |i><j| (x) E(|i><j|)``, from the superoperator."""
    d = 2**channel.qubits
    blocks = channel.superoperator.reshape(d, d, d, d)  # [row out, column out, row in, column in]
    return blocks.transpose(2, 0, 3, 1).reshape(d * d, d * d)


@given(any_channel())
@settings(max_examples=150, deadline=None)
def test_every_channel_is_completely_positive_and_preserves_the_trace(channel):
    d = 2**channel.qubits
    matrix = choi(channel)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    reduced = np.einsum("iaja->ij", matrix.reshape(d, d, d, d))
    np.testing.assert_allclose(reduced, np.eye(d), atol=1e-9)


@given(any_channel())
@settings(max_examples=100, deadline=None)
def test_transfer_matrix_superoperator_and_kraus_agree(channel):
    words = ["".join(w) for w in itertools.product("IXYZ", repeat=channel.qubits)]
    paulis = [pauli_matrix(word) for word in words]
    images = [sum(k @ p @ k.conj().T for k in channel.kraus) for p in paulis]
    slow = [[np.trace(p @ image) / len(p) for image in images] for p in paulis]
    np.testing.assert_allclose(channel.ptm, slow, atol=1e-12)
    flat = np.array([image.ravel() for image in images]).T
    stacked = np.array([p.ravel() for p in paulis]).T
    np.testing.assert_allclose(channel.superoperator @ stacked, flat, atol=1e-12)
    assert channel.ptm[0, 0] == pytest.approx(1)


@given(any_channel())
@settings(max_examples=20, deadline=None)
def test_average_infidelity_is_the_average_over_states(channel):
    """Against a Monte-Carlo average over random pure states."""
    rng = np.random.default_rng(0)
    d = 2**channel.qubits
    states = rng.normal(size=(4000, d)) + 1j * rng.normal(size=(4000, d))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    overlaps = [abs(np.einsum("bi,ij,bj->b", states.conj(), k, states)) ** 2 for k in channel.kraus]
    fidelities = sum(overlaps)
    error = fidelities.std() / math.sqrt(len(states))
    assert abs(1 - fidelities.mean() - channel.infidelity) < 5 * error + 1e-9


@pytest.mark.parametrize("channel", channels(), ids=lambda channel: channel.name)
def test_channels_are_values(channel):
    again = Channel(channel.name, *channel.values)
    assert again == channel
    assert hash(again) == hash(channel)
    assert pickle.loads(pickle.dumps(channel)) == channel
    assert channel.name in repr(channel)
    channel.kraus[0][:] = 0  # a caller's copy
    assert np.array_equal(again.ptm, Channel(channel.name, *channel.values).ptm)


@pytest.mark.parametrize("name", [n for n, row in CHANNELS.items() if row.parameters])
def test_names_and_positions_say_the_same(name):
    row = CHANNELS[name]
    middle = {"probability": 0.2, "lifetime": 1e-4, "duration": 1e-5, "angle": 0.3, "axis": "x"}
    assert set(row.parameters.values()) <= set(VALUES) == set(middle)
    values = {key: middle[kind] for key, kind in row.parameters.items()}
    assert Channel(name, **values) == Channel(name, *values.values())


def test_closed_forms():
    np.testing.assert_allclose(Channel("depolarising", 0.3).ptm, np.diag([1, 0.7, 0.7, 0.7]), atol=1e-15)
    expected = np.diag([1, *[0.6] * 15])
    np.testing.assert_allclose(Channel("depolarising-2", 0.4).ptm, expected, atol=1e-14)
    t = Channel("thermal-relaxation", 2.0, 3.0, 0.5, 0.2).ptm
    expected = np.diag([1, math.exp(-0.5 / 3), math.exp(-0.5 / 3), math.exp(-0.25)])
    expected[3, 0] = (1 - math.exp(-0.25)) * 0.6  # towards <Z> = 1 - 2 * 0.2
    np.testing.assert_allclose(t, expected, atol=1e-15)
    turned = Channel("over-rotation", "x", 0.4).ptm[2:, 2:]
    np.testing.assert_allclose(turned, [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    zz = Channel("zz-crosstalk", math.pi).kraus[0]
    np.testing.assert_allclose(zz, -1j * pauli_matrix("ZZ"), atol=1e-15)


def test_relaxation_that_never_ends_or_never_starts():
    settled = Channel("thermal-relaxation", 1e-9, 1e-9, 1.0, 1.0)
    np.testing.assert_allclose(settled.ptm[:, 0], [1, 0, 0, -1], atol=1e-15)
    assert Channel("thermal-relaxation", math.inf, math.inf, 1.0).infidelity == pytest.approx(0)
    assert Channel("thermal-relaxation", 1e-4, 2e-4, 0.0).infidelity == pytest.approx(0)


PENNYLANE = [
    (Channel("depolarising", 0.2), qml.DepolarizingChannel(0.15, wires=0)),
    (Channel("bit-flip", 0.2), qml.BitFlip(0.2, wires=0)),
    (Channel("phase-flip", 0.2), qml.PhaseFlip(0.2, wires=0)),
    (Channel("amplitude-damping", 0.2), qml.AmplitudeDamping(0.2, wires=0)),
    (Channel("generalised-amplitude-damping", 0.2, 0.3), qml.GeneralizedAmplitudeDamping(0.2, 0.3, wires=0)),
    (Channel("phase-damping", 0.2), qml.PhaseDamping(0.2, wires=0)),
    (Channel("thermal-relaxation", 1e-4, 8e-5, 3e-5), qml.ThermalRelaxationError(0, 1e-4, 8e-5, 3e-5, wires=0)),
    (
        Channel("thermal-relaxation", 1e-4, 1.7e-4, 3e-5, 0.2),
        qml.ThermalRelaxationError(0.2, 1e-4, 1.7e-4, 3e-5, wires=0),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), PENNYLANE, ids=lambda c: c.name)
def test_agrees_with_pennylane(ours, theirs):
    both = Channel("kraus", *theirs.kraus_matrices())
    np.testing.assert_allclose(ours.ptm, both.ptm, atol=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("bit-flip", 1.5), r"expected p in \[0, 1\], got 1.5"),
        (("bit-flip", math.nan), r"expected p in \[0, 1\], got nan"),
        (("bit-flip", "0.1"), r"expected p in \[0, 1\], got '0.1'"),
        (("bit-flip",), "expected p, got 0 value"),
        (("bit-flip", 0.1, 0.2), "expected p, got 2 value"),
        (("pauli", 0.5, 0.4, 0.3), "sum <= 1, got 1.2"),
        (("thermal-relaxation", 1.0, 2.5, 0.1), "t2 <= 2"),
        (("thermal-relaxation", 0.0, 1.0, 0.1), "t1 > 0 seconds"),
        (("thermal-relaxation", 1.0, 1.0, -0.1), "time >= 0 seconds"),
        (("over-rotation", "w", 0.1), "axis x, y or z, got 'w'"),
        (("zz-crosstalk", math.inf), "finite number of radians"),
        (("kraus", np.sqrt(1.1) * np.eye(2)), "off by 0.1"),
        (("kraus", np.eye(2), np.eye(4)), "matrices of one size"),
        (("kraus", np.eye(3)), r"2 x 2 or 4 x 4 matrices, got shape \(3, 3\)"),
        (("kraus", "matrix"), "2 x 2 or 4 x 4"),
        (("kraus",), "1 to 16 matrices, got 0"),
        (("unitary", X, X), "1 to 1 matrices, got 2"),
        (("unitary", np.diag([1, 0.9])), "a unitary to 1e-08, got off by 0.19"),
    ],
)
def test_impossible_values_are_named(values, message):
    with pytest.raises(CircuitError, match=message):
        Channel(*values)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'depolarising'"):
        Channel("depolarizing", 0.1)
    with pytest.raises(SpecError, match="did you mean 'time'"):
        Channel("thermal-relaxation", t1=1.0, t2=1.0, tim=0.1)


@given(st.integers(1, 2), st.integers(1, 16), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_kraus_channels_of_any_size_are_accepted(qubits, operators, seed):
    channel = Channel("kraus", *isometry(np.random.default_rng(seed), qubits, operators))
    assert channel.qubits == qubits
    assert len(channel.kraus) == operators
