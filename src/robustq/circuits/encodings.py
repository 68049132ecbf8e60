"""Encodings: circuits that load a feature vector.

Features are expected in [0, 1] unless an encoding says otherwise; ``scale`` turns them into
radians (the default, pi, maps the unit interval onto half a turn, where the angle can still be
read back).
"""

from __future__ import annotations

import math
from itertools import combinations

from robustq.circuits.angles import theta, x
from robustq.circuits.circuit import Circuit, Operation, op
from robustq.errors import CircuitError


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise CircuitError(f"expected {name} >= 1, got {value}")


def basis(features: int) -> Circuit:
    """One bit a qubit: ``RX(pi x)``, which is |x> up to a phase for x in {0, 1}.

    >>> basis(3).qubits
    3
    """
    return angle(features, axis="x")


def angle(features: int, *, axis: str = "y", scale: float = math.pi) -> Circuit:
    """One feature a qubit, as a rotation about ``axis`` by ``scale * x``.

    An RZ encoding starts with a Hadamard, because RZ leaves |0> where it is.

    >>> angle(2).counts
    {'ry': 2}
    """
    _positive("features", features)
    if axis not in ("x", "y", "z"):
        raise CircuitError(f"expected axis 'x', 'y' or 'z', got {axis!r}")
    first = [op("h", q) for q in range(features)] if axis == "z" else []
    turns = [op("r" + axis, q, angles=[scale * x(q)]) for q in range(features)]
    return Circuit.of(features, first + turns)


def dense_angle(features: int, *, scale: float = math.pi) -> Circuit:
    """Two features a qubit: ``RZ(scale x_2j+1) RY(scale x_2j)`` (LaRose & Coyle 2020).

    >>> dense_angle(5).qubits
    3
    """
    _positive("features", features)
    operations = []
    for feature in range(features):
        gate = "rz" if feature % 2 else "ry"
        operations.append(op(gate, feature // 2, angles=[scale * x(feature)]))
    return Circuit.of((features + 1) // 2, operations)


def amplitude(features: int) -> Circuit:
    """Features as the amplitudes of ``ceil(log2 features)`` qubits, padded with zeros.

    The vector is normalised; a zero vector is refused when the circuit is run.

    >>> amplitude(200).qubits
    8
    """
    _positive("features", features)
    qubits = max(1, (features - 1).bit_length())
    return Circuit(qubits, (), inputs=features, amplitudes=features)


def iqp(features: int, *, repeats: int = 2, scale: float = 1.0) -> Circuit:
    """Hadamards, ``RZ(s x_i)`` and ``RZZ(s^2 x_i x_j)``, repeated (Havlicek et al. 2019).

    >>> iqp(3, repeats=1).two_qubit_gates
    3
    """
    _positive("features", features)
    _positive("repeats", repeats)
    layer = [op("h", q) for q in range(features)]
    layer += [op("rz", q, angles=[scale * x(q)]) for q in range(features)]
    layer += [op("rzz", i, j, angles=[scale**2 * (x(i) * x(j))]) for i, j in combinations(range(features), 2)]
    return Circuit.of(features, layer * repeats)


def zz_feature_map(features: int, *, repeats: int = 2, scale: float = 1.0) -> Circuit:
    """Qiskit's ``ZZFeatureMap``: ``P(2 s x_i)`` and ``P(2 (pi - s x_i)(pi - s x_j))``.

    >>> zz_feature_map(2, repeats=1).counts
    {'h': 2, 'p': 3, 'cx': 2}
    """
    _positive("features", features)
    _positive("repeats", repeats)
    layer = [op("h", q) for q in range(features)]
    layer += [op("p", q, angles=[2 * scale * x(q)]) for q in range(features)]
    for i, j in combinations(range(features), 2):
        product = (math.pi - scale * x(i)) * (math.pi - scale * x(j))
        layer += [op("cx", i, j), op("p", j, angles=[2 * product]), op("cx", i, j)]
    return Circuit.of(features, layer * repeats)


def reuploading(features: int, *, qubits: int | None = None, layers: int = 3, scale: float = math.pi) -> Circuit:
    """Data re-uploading with trainable scale and shift (Perez-Salinas et al. 2020).

    Every layer applies, on every qubit, rotations by ``(1 + theta_w) s x_i + theta_b`` that run
    through all features three at a time, then a ring of CNOTs. All trainable slots start near
    zero, where the layer is the plain encoding.

    >>> reuploading(4, qubits=2, layers=1).parameters
    24
    """
    _positive("features", features)
    _positive("layers", layers)
    width = features if qubits is None else qubits
    _positive("qubits", width)
    operations: list[Operation] = []
    slot = 0
    for _ in range(layers):
        for q in range(width):
            for start in range(0, features, 3):
                angles = []
                for k in range(start, start + 3):
                    feature = x(k % features)
                    angles.append(scale * feature + scale * (theta(slot) * feature) + theta(slot + 1))
                    slot += 2
                operations.append(op("rot", q, angles=angles))
        operations += ring(width)
    return Circuit.of(width, operations)


def ring(qubits: int, step: int = 1) -> list[Operation]:
    """CNOTs from each qubit to the one ``step`` further round; none on a single qubit.

    >>> [o.qubits for o in ring(3)]
    [(0, 1), (1, 2), (2, 0)]
    """
    if qubits == 1:
        return []
    if qubits == 2:
        return [op("cx", 0, 1)]
    return [op("cx", q, (q + step) % qubits) for q in range(qubits)]
