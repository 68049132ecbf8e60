"""Noise channels: one literal table, each row the Kraus operators of one named channel.

A channel is ``E(rho) = sum_i K_i rho K_i^dagger`` with ``sum_i K_i^dagger K_i = 1`` (Nielsen &
Chuang, section 8.2). Matrices are big-endian: the first qubit named is the most significant bit.
Durations are in seconds, angles in radians.
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.gates import PAULI, pauli_matrix
from robustq.errors import CircuitError, unknown_name

ComplexMatrix = NDArray[np.complex128]
RealMatrix = NDArray[np.float64]
Kraus = tuple[ComplexMatrix, ...]
Frozen = tuple[tuple[complex, ...], ...]  # a matrix that can be hashed
Value = float | str | Frozen

TOLERANCE = 1e-8  # how far user matrices may be from trace preservation or unitarity


def _paulis(qubits: int, weights: Mapping[str, float]) -> Kraus:
    """Pauli words with their chances; the identity takes what is left."""
    left = 1 - sum(weights.values())
    if left < -1e-12:
        raise CircuitError(f"expected Pauli probabilities of sum <= 1, got {1 - left}")
    chances = {"I" * qubits: max(left, 0.0), **weights}
    return tuple(math.sqrt(p) * pauli_matrix(word) for word, p in chances.items() if p)


def _depolarising(qubits: int) -> Callable[[float], Kraus]:
    words = ["".join(letters) for letters in itertools.product("IXYZ", repeat=qubits)][1:]
    # the identity is one of the 4**n words that make the mixed state: all others get p / 4**n
    return lambda p: _paulis(qubits, dict.fromkeys(words, p / 4**qubits))


def _relaxation(decay: float, excited: float, coherence: float) -> Kraus:
    """Populations move towards ``(1 - excited, excited)`` by ``decay``; coherences are multiplied.

    The jumps take ``decay`` out of the populations; what is left is a diagonal channel, whose
    2 x 2 Choi block ``[[a, c], [c, b]]`` is factorised by Cholesky.
    """
    a, b, c = 1 - decay * excited, 1 - decay * (1 - excited), coherence
    first = c / math.sqrt(a) if a > 0 else 0.0
    operators = [
        np.diag([math.sqrt(a), first]),
        np.diag([0, math.sqrt(max(b - first**2, 0.0))]),
        math.sqrt(decay * (1 - excited)) * np.array([[0, 1], [0, 0]]),
        math.sqrt(decay * excited) * np.array([[0, 0], [1, 0]]),
    ]
    return tuple(k.astype(complex) for k in operators if k.any())


def _thermal_relaxation(t1: float, t2: float, time: float, excited: float) -> Kraus:
    if t2 > 2 * t1:
        raise CircuitError(f"expected t2 <= 2 * t1 = {2 * t1:g}, got t2 = {t2:g}")
    return _relaxation(-math.expm1(-time / t1), excited, math.exp(-time / t2))


def _over_rotation(axis: str, angle: float) -> Kraus:
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    return (c * PAULI["I"] - 1j * s * PAULI[axis.upper()],)


def _zz_crosstalk(angle: float) -> Kraus:
    near, far = cmath.exp(-0.5j * angle), cmath.exp(0.5j * angle)
    return (np.diag([near, far, far, near]),)


def _arrays(*matrices: Frozen) -> Kraus:
    return tuple(np.array(matrix, dtype=complex) for matrix in matrices)


def _probability(value: float) -> bool:
    return 0 <= value <= 1


# what a parameter may be: (test, in words)
DOMAINS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "probability": (_probability, "in [0, 1]"),
    "lifetime": (lambda value: value > 0, "> 0 seconds"),
    "duration": (lambda value: 0 <= value < math.inf, ">= 0 seconds"),
    "angle": (math.isfinite, "a finite number of radians"),
}


@dataclass(frozen=True)
class ChannelRow:
    """One row of the table.

    Attributes:
        qubits: how many qubits it acts on; 0 where the matrices say so.
        parameters: name -> its domain, a key of ``DOMAINS`` or ``"axis"``; none where the
            values are matrices.
        kraus: values -> Kraus operators.
        summary: one sentence.
        reference: where it is defined.
        defaults: name -> value of the trailing parameters that may be left out.
        most: how many matrices it takes at most.
    """

    qubits: int
    parameters: Mapping[str, str]
    kraus: Callable[..., Kraus]
    summary: str
    reference: str
    defaults: Mapping[str, float] | None = None
    most: int = 0


# Depolarising replaces the qubits by the maximally mixed state with probability p, so <Z> shrinks
# by exactly 1 - p (Qiskit's convention; PennyLane's p is the chance of a Pauli error).
CHANNELS: Mapping[str, ChannelRow] = {
    "depolarising": ChannelRow(
        1,
        {"p": "probability"},
        _depolarising(1),
        "one qubit replaced by the maximally mixed state",
        "Nielsen & Chuang, eq. 8.102",
    ),
    "depolarising-2": ChannelRow(
        2,
        {"p": "probability"},
        _depolarising(2),
        "two qubits replaced by the maximally mixed state",
        "Nielsen & Chuang, section 8.3.4",
    ),
    "bit-flip": ChannelRow(
        1,
        {"p": "probability"},
        lambda p: _paulis(1, {"X": p}),
        "X with probability p",
        "Nielsen & Chuang, section 8.3.3",
    ),
    "phase-flip": ChannelRow(
        1,
        {"p": "probability"},
        lambda p: _paulis(1, {"Z": p}),
        "Z with probability p",
        "Nielsen & Chuang, section 8.3.3",
    ),
    "pauli": ChannelRow(
        1,
        dict.fromkeys(("px", "py", "pz"), "probability"),
        lambda px, py, pz: _paulis(1, {"X": px, "Y": py, "Z": pz}),
        "X, Y or Z with probabilities of their own",
        "Wallman & Emerson, PRA 94, 052325 (2016)",
    ),
    "amplitude-damping": ChannelRow(
        1,
        {"p": "probability"},
        lambda p: _relaxation(p, 0.0, math.sqrt(1 - p)),
        "decay from 1 to 0 with probability p",
        "Nielsen & Chuang, eq. 8.108",
    ),
    "generalised-amplitude-damping": ChannelRow(
        1,
        {"p": "probability", "excited": "probability"},
        lambda p, excited: _relaxation(p, excited, math.sqrt(1 - p)),
        "decay towards a mixture that holds a 1 with probability excited",
        "Nielsen & Chuang, section 8.3.5",
    ),
    "phase-damping": ChannelRow(
        1,
        {"p": "probability"},
        lambda p: _relaxation(0.0, 0.0, math.sqrt(1 - p)),
        "coherences shrink by sqrt(1 - p)",
        "Nielsen & Chuang, section 8.3.6",
    ),
    "thermal-relaxation": ChannelRow(
        1,
        {"t1": "lifetime", "t2": "lifetime", "time": "duration", "excited": "probability"},
        _thermal_relaxation,
        "T1 decay and T2 dephasing for a time, in seconds",
        "Georgopoulos, Emary & Zuliani, PRA 104, 062432 (2021)",
        {"excited": 0.0},
    ),
    "over-rotation": ChannelRow(
        1,
        {"axis": "axis", "angle": "angle"},
        _over_rotation,
        "coherent rotation about x, y or z by too much",
        "Barnes et al., PRA 95, 062338 (2017)",
    ),
    "zz-crosstalk": ChannelRow(
        2,
        {"angle": "angle"},
        _zz_crosstalk,
        "coherent exp(-i angle/2 ZZ) of two neighbours",
        "Mundada et al., PR Applied 12, 054023 (2019)",
    ),
    "kraus": ChannelRow(
        0,
        {},
        _arrays,
        "your own Kraus operators, on one or two qubits",
        "Kraus, States, Effects and Operations (1983)",
        most=16,
    ),
    "unitary": ChannelRow(
        0, {}, _arrays, "your own unitary error, on one or two qubits", "Nielsen & Chuang, section 8.2.3", most=1
    ),
}


@dataclass(frozen=True, init=False, repr=False)
class Channel:
    """A named channel with its values: hashable, equal by value.

    Args:
        name: a row of ``CHANNELS``.
        values: its parameters in the table's order, or matrices for ``kraus`` and ``unitary``.
        named: the same parameters by name.

    Raises:
        CircuitError: on impossible values; the message says what was expected.
        SpecError: if no channel has that name.

    >>> Channel("thermal-relaxation", t1=120e-6, t2=80e-6, time=300e-9)
    Channel('thermal-relaxation', t1=0.00012, t2=8e-05, time=3e-07, excited=0.0)
    >>> Channel("depolarising", 0.1).ptm.diagonal().round(12).tolist()
    [1.0, 0.9, 0.9, 0.9]
    """

    name: str
    values: tuple[Value, ...]

    def __init__(self, name: str, *values: object, **named: object) -> None:
        if not isinstance(name, str) or name not in CHANNELS:
            raise unknown_name("channel", name, CHANNELS)
        object.__setattr__(self, "name", name)
        fill = _scalars if CHANNELS[name].parameters else _matrices
        object.__setattr__(self, "values", fill(name, values, named))
        _check(self)

    def __repr__(self) -> str:
        names = tuple(CHANNELS[self.name].parameters)
        if names:
            shown = [f"{k}={v!r}" for k, v in zip(names, self.values, strict=True)]
        else:
            shown = [f"{len(self.values)} of {2**self.qubits} x {2**self.qubits}"]
        return f"Channel({', '.join([repr(self.name), *shown])})"

    @property
    def p(self) -> float:
        """The first parameter, where it is a number: the strength of the one-parameter channels."""
        first = self.values[0]
        if not isinstance(first, float):
            raise CircuitError(f"channel {self.name!r}: expected a number as first parameter")
        return first

    @property
    def qubits(self) -> int:
        """How many qubits it acts on, 1 or 2."""
        return len(_kraus(self)[0]).bit_length() - 1

    @property
    def kraus(self) -> Kraus:
        """The Kraus operators ``K_i``, each ``(2**k, 2**k)``, with ``sum K_i^dagger K_i = 1``."""
        return tuple(operator.copy() for operator in _kraus(self))

    @property
    def superoperator(self) -> ComplexMatrix:
        """``sum K_i (x) conj(K_i)``: acts on the row bits, then the column bits, ``(4**k, 4**k)``."""
        return _superoperator(self).copy()

    @property
    def ptm(self) -> RealMatrix:
        """The Pauli transfer matrix ``R_ij = tr(P_i E(P_j)) / 2**k``, real, ``(4**k, 4**k)``.

        Pauli words are ordered I, X, Y, Z, first qubit slowest (Greenbaum, arXiv:1509.02921).
        """
        return _ptm(self).copy()

    @property
    def infidelity(self) -> float:
        """Average gate infidelity to the identity, ``1 - (d F + 1) / (d + 1)``, ``F = tr(R) / d**2``.

        >>> round(Channel("depolarising", 0.1).infidelity, 12)
        0.05
        """
        return average_infidelity(float(np.trace(_ptm(self))), self.qubits)


def average_infidelity(trace: float, qubits: int) -> float:
    """The average gate infidelity of a channel with this trace of its Pauli transfer matrix.

    Horodecki, Horodecki & Horodecki, PRA 60, 1888 (1999); Nielsen, PLA 303, 249 (2002).

    >>> average_infidelity(4.0, 1)
    0.0
    """
    d: int = 2**qubits
    return 1 - (trace / d + 1) / (d + 1)


@lru_cache(maxsize=8192)
def _kraus(channel: Channel) -> Kraus:
    return CHANNELS[channel.name].kraus(*channel.values)


@lru_cache(maxsize=8192)
def _superoperator(channel: Channel) -> ComplexMatrix:
    side = 4**channel.qubits
    total = np.zeros((side, side), dtype=complex)
    for operator in _kraus(channel):
        total += np.kron(operator, operator.conj())
    return total


@lru_cache(maxsize=8192)
def _ptm(channel: Channel) -> RealMatrix:
    k = channel.qubits
    words = ["".join(letters) for letters in itertools.product("IXYZ", repeat=k)]
    basis = np.array([pauli_matrix(word).ravel() for word in words])  # (4**k, 4**k)
    table: RealMatrix = (basis.conj() @ _superoperator(channel) @ basis.T).real / 2**k
    return table


def _scalars(name: str, values: tuple[object, ...], named: dict[str, object]) -> tuple[Value, ...]:
    """The parameters in the table's order, each checked against its domain."""
    row = CHANNELS[name]
    for key in named:
        if key not in row.parameters:
            raise unknown_name(f"parameter of channel {name!r}", key, row.parameters)
    arguments = dict(row.defaults or {}) | dict(zip(row.parameters, values, strict=False)) | named
    if len(values) > len(row.parameters) or len(arguments) < len(row.parameters):
        raise CircuitError(
            f"channel {name!r}: expected {', '.join(row.parameters)}, got {len(values)} value(s)"
            + (f" and {', '.join(named)}" if named else "")
        )
    return tuple(_scalar(name, key, kind, arguments[key]) for key, kind in row.parameters.items())


def _scalar(name: str, key: str, kind: str, value: object) -> float | str:
    if kind == "axis":
        if value not in ("x", "y", "z"):
            raise CircuitError(f"channel {name!r}: expected {key} x, y or z, got {value!r}")
        return str(value)
    test, words = DOMAINS[kind]
    number = value if isinstance(value, int | float | np.number) else math.nan
    if not test(float(number)):
        raise CircuitError(f"channel {name!r}: expected {key} {words}, got {value!r}")
    return float(number)


def _matrices(name: str, values: tuple[object, ...], named: dict[str, object]) -> tuple[Value, ...]:
    most = CHANNELS[name].most
    if named or not 1 <= len(values) <= most:
        raise CircuitError(f"channel {name!r}: expected 1 to {most} matrices, got {len(values)}")
    return tuple(_frozen(name, value) for value in values)


def _frozen(name: str, value: object) -> Frozen:
    try:
        matrix = np.asarray(value, dtype=complex)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape not in ((2, 2), (4, 4)) or not np.isfinite(matrix).all():
        raise CircuitError(f"channel {name!r}: expected finite 2 x 2 or 4 x 4 matrices, got shape {matrix.shape}")
    return tuple(tuple(complex(entry) for entry in line) for line in matrix)


def _check(channel: Channel) -> None:
    """Trace preservation; complete positivity is what a Kraus form has by construction."""
    try:
        operators = _kraus(channel)
    except CircuitError as failure:
        raise CircuitError(f"channel {channel.name!r}: {failure}") from None
    if len({k.shape for k in operators}) > 1:
        raise CircuitError(f"channel {channel.name!r}: expected matrices of one size, got several")
    total = sum((k.conj().T @ k for k in operators), np.zeros_like(operators[0]))
    off = float(np.abs(total - np.eye(len(total))).max())
    if off > TOLERANCE:
        kind = "a unitary" if channel.name == "unitary" else "sum K^dagger K = 1"
        raise CircuitError(f"channel {channel.name!r}: expected {kind} to {TOLERANCE:g}, got off by {off:.3g}")
