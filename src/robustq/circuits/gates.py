"""The gate table: every gate once, each fact stated twice.

A one-parameter gate is ``exp(-i t G)``; ``generator`` writes ``G`` as a real combination of
Pauli words, and ``matrix`` gives the same gate in closed form. A fixed gate is ``exp(-i G)``.
The engine exponentiates generators; the slow reference multiplies closed forms; the tests sweep
the table so that the two statements, the inverse and the OpenQASM name cannot disagree.
Three-angle gates are given by their ``parts``. Words and matrices are big-endian: the first
letter acts on the first qubit named.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robustq.errors import unknown_name

ComplexMatrix = NDArray[np.complex128]

PAULI: Mapping[str, ComplexMatrix] = {
    "I": np.array([[1, 0], [0, 1]], dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "Z": np.array([[1, 0], [0, -1]], dtype=complex),
}


def pauli_matrix(word: str) -> ComplexMatrix:
    """The matrix of a Pauli word, first letter most significant.

    >>> pauli_matrix("XI").shape
    (4, 4)
    """
    matrix = np.eye(1, dtype=complex)
    for letter in word:
        matrix = np.kron(matrix, PAULI[letter])
    return matrix


@dataclass(frozen=True)
class Gate:
    """One row of the table.

    Attributes:
        qubits: how many qubits it acts on.
        parameters: how many angles it takes.
        matrix: angles -> unitary in closed form.
        generator: Pauli word -> coefficient of ``G``; empty for gates made of ``parts``.
        inverse: the gate that undoes it (one-parameter gates: with the angle negated).
        qasm: its OpenQASM 3 name in ``stdgates.inc``, or the body of its definition.
        parts: ``(gate, angle index)`` in order of application, for three-angle gates.
        permutes: whether it only relabels basis states.
    """

    qubits: int
    parameters: int
    matrix: Callable[..., ComplexMatrix]
    generator: Mapping[str, float] = field(default_factory=dict)
    inverse: str = ""
    qasm: str = ""
    parts: tuple[tuple[str, int], ...] = ()
    permutes: bool = False

    @property
    def is_real(self) -> bool:
        """Whether its matrix is real at every angle, so that real states stay real."""
        if self.parts:
            return False
        if self.parameters:  # exp(-i t G) is real for every t where G is imaginary
            return bool(np.allclose(self.generator_matrix.real, 0))
        return bool(np.allclose(self.matrix().imag, 0))

    @property
    def generator_matrix(self) -> ComplexMatrix:
        """``G`` as a Hermitian matrix of side ``2**qubits``."""
        zero = np.zeros((2**self.qubits, 2**self.qubits), dtype=complex)
        return sum((c * pauli_matrix(word) for word, c in self.generator.items()), zero)


def _fixed(*rows: object) -> Callable[..., ComplexMatrix]:
    matrix = np.array(rows, dtype=complex)
    return lambda: matrix


def _permutation(*images: int) -> Callable[..., ComplexMatrix]:
    """The matrix that sends basis state ``j`` to ``images[j]``."""
    matrix = np.zeros((len(images), len(images)), dtype=complex)
    matrix[list(images), range(len(images))] = 1
    return lambda: matrix


def _controlled(inner: Callable[..., ComplexMatrix]) -> Callable[..., ComplexMatrix]:
    def matrix(*angles: float) -> ComplexMatrix:
        block = inner(*angles)
        full = np.eye(2 * len(block), dtype=complex)
        full[len(block) :, len(block) :] = block
        return full

    return matrix


def _rx(t: float) -> ComplexMatrix:
    c, s = math.cos(t / 2), math.sin(t / 2)
    return np.array([[c, -1j * s], [-1j * s, c]])


def _ry(t: float) -> ComplexMatrix:
    c, s = math.cos(t / 2), math.sin(t / 2)
    return np.array([[c, -s], [s, c]], dtype=complex)


def _rz(t: float) -> ComplexMatrix:
    return np.diag([cmath.exp(-0.5j * t), cmath.exp(0.5j * t)])


def _phase(t: float) -> ComplexMatrix:
    return np.diag([1, cmath.exp(1j * t)])


def _u3(t: float, phi: float, lam: float) -> ComplexMatrix:
    c, s = math.cos(t / 2), math.sin(t / 2)
    left, right = cmath.exp(1j * phi), cmath.exp(1j * lam)
    return np.array([[c, -right * s], [left * s, left * right * c]])


def _rot(phi: float, t: float, omega: float) -> ComplexMatrix:
    return _rz(omega) @ _ry(t) @ _rz(phi)


def _ising(word: str) -> Callable[..., ComplexMatrix]:
    square = pauli_matrix(word)
    return lambda t: math.cos(t / 2) * np.eye(4) - 1j * math.sin(t / 2) * square


PI = math.pi
_H = PI / (2 * math.sqrt(2))
_R = 1 / math.sqrt(2)
_hadamard = _fixed([_R, _R], [_R, -_R])
_X, _Y, _Z = (_fixed(*PAULI[p]) for p in "XYZ")
_SX = _fixed([(1 + 1j) / 2, (1 - 1j) / 2], [(1 - 1j) / 2, (1 + 1j) / 2])
_SXDG = _fixed([(1 - 1j) / 2, (1 + 1j) / 2], [(1 + 1j) / 2, (1 - 1j) / 2])


def _flip(axis: str) -> dict[str, float]:
    """Generator of the controlled Pauli gate: ``pi/4 (1 - Z)(1 - P)``."""
    return {"II": PI / 4, "ZI": -PI / 4, "I" + axis: -PI / 4, "Z" + axis: PI / 4}


_CH = {"II": PI / 4, "ZI": -PI / 4, "IX": -_H / 2, "IZ": -_H / 2, "ZX": _H / 2, "ZZ": _H / 2}
_SWAP = {"II": PI / 4, "XX": -PI / 4, "YY": -PI / 4, "ZZ": -PI / 4}
_CCX = {
    f"{a}{b}{c}": PI / 8 * (-1) ** sum(letter != "I" for letter in (a, b, c))
    for a in "IZ"
    for b in "IZ"
    for c in "IX"
}
_CSWAP = {
    control + word: sign * coefficient / 2
    for control, sign in (("I", 1), ("Z", -1))
    for word, coefficient in _SWAP.items()
}

# name: Gate(qubits, parameters, matrix, generator, inverse, qasm)
GATES: Mapping[str, Gate] = {
    "i": Gate(1, 0, _fixed([1, 0], [0, 1]), {"I": 0.0}, "i", "id", permutes=True),
    "x": Gate(1, 0, _X, {"X": PI / 2, "I": -PI / 2}, "x", "x", permutes=True),
    "y": Gate(1, 0, _Y, {"Y": PI / 2, "I": -PI / 2}, "y", "y"),
    "z": Gate(1, 0, _Z, {"Z": PI / 2, "I": -PI / 2}, "z", "z"),
    "h": Gate(1, 0, _hadamard, {"X": _H, "Z": _H, "I": -PI / 2}, "h", "h"),
    "s": Gate(1, 0, _fixed([1, 0], [0, 1j]), {"Z": PI / 4, "I": -PI / 4}, "sdg", "s"),
    "sdg": Gate(1, 0, _fixed([1, 0], [0, -1j]), {"Z": -PI / 4, "I": PI / 4}, "s", "sdg"),
    "t": Gate(1, 0, lambda: _phase(PI / 4), {"Z": PI / 8, "I": -PI / 8}, "tdg", "t"),
    "tdg": Gate(1, 0, lambda: _phase(-PI / 4), {"Z": -PI / 8, "I": PI / 8}, "t", "tdg"),
    "sx": Gate(1, 0, _SX, {"X": PI / 4, "I": -PI / 4}, "sxdg", "sx"),
    "sxdg": Gate(1, 0, _SXDG, {"X": -PI / 4, "I": PI / 4}, "sx", "gate sxdg a { inv @ sx a; }"),
    "rx": Gate(1, 1, _rx, {"X": 0.5}, "rx", "rx"),
    "ry": Gate(1, 1, _ry, {"Y": 0.5}, "ry", "ry"),
    "rz": Gate(1, 1, _rz, {"Z": 0.5}, "rz", "rz"),
    "p": Gate(1, 1, _phase, {"Z": 0.5, "I": -0.5}, "p", "p"),
    "rot": Gate(
        1, 3, _rot, {}, "rot", "gate rot(a, b, c) q { rz(a) q; ry(b) q; rz(c) q; }", (("rz", 0), ("ry", 1), ("rz", 2))
    ),
    "u3": Gate(
        1, 3, _u3, {}, "u3", "gate u3(t, a, b) q { p(b) q; ry(t) q; p(a) q; }", (("p", 2), ("ry", 0), ("p", 1))
    ),
    "cx": Gate(2, 0, _permutation(0, 1, 3, 2), _flip("X"), "cx", "cx", permutes=True),
    "cy": Gate(2, 0, _controlled(_Y), _flip("Y"), "cy", "cy"),
    "cz": Gate(2, 0, _controlled(_Z), _flip("Z"), "cz", "cz"),
    "ch": Gate(2, 0, _controlled(_hadamard), _CH, "ch", "ch"),
    "swap": Gate(2, 0, _permutation(0, 2, 1, 3), _SWAP, "swap", "swap", permutes=True),
    "iswap": Gate(
        2,
        0,
        _fixed([1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]),
        {"XX": -PI / 4, "YY": -PI / 4},
        "iswapdg",
        "gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }",
    ),
    "iswapdg": Gate(
        2,
        0,
        _fixed([1, 0, 0, 0], [0, 0, -1j, 0], [0, -1j, 0, 0], [0, 0, 0, 1]),
        {"XX": PI / 4, "YY": PI / 4},
        "iswap",
        "gate iswapdg a, b { h b; cx b, a; cx a, b; h a; sdg b; sdg a; }",
    ),
    "crx": Gate(2, 1, _controlled(_rx), {"IX": 0.25, "ZX": -0.25}, "crx", "crx"),
    "cry": Gate(2, 1, _controlled(_ry), {"IY": 0.25, "ZY": -0.25}, "cry", "cry"),
    "crz": Gate(2, 1, _controlled(_rz), {"IZ": 0.25, "ZZ": -0.25}, "crz", "crz"),
    "cp": Gate(2, 1, _controlled(_phase), {"II": -0.25, "ZI": 0.25, "IZ": 0.25, "ZZ": -0.25}, "cp", "cp"),
    "rxx": Gate(
        2, 1, _ising("XX"), {"XX": 0.5}, "rxx", "gate rxx(t) a, b { h a; h b; cx a, b; rz(t) b; cx a, b; h a; h b; }"
    ),
    "ryy": Gate(
        2,
        1,
        _ising("YY"),
        {"YY": 0.5},
        "ryy",
        "gate ryy(t) a, b { sx a; sx b; cx a, b; rz(t) b; cx a, b; inv @ sx a; inv @ sx b; }",
    ),
    "rzz": Gate(2, 1, _ising("ZZ"), {"ZZ": 0.5}, "rzz", "gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }"),
    "ccx": Gate(3, 0, _permutation(0, 1, 2, 3, 4, 5, 7, 6), _CCX, "ccx", "ccx", permutes=True),
    "cswap": Gate(3, 0, _permutation(0, 1, 2, 3, 4, 6, 5, 7), _CSWAP, "cswap", "cswap", permutes=True),
}


def gate(name: str) -> Gate:
    """The table's row for ``name``.

    Raises:
        SpecError: if no gate has that name; the message suggests the nearest.

    >>> gate("rx").generator
    {'X': 0.5}
    """
    if name not in GATES:
        raise unknown_name("gate", name, GATES)
    return GATES[name]
