"""Every gate as turns, phases and relabellings, up to a global phase.

A *turn* is a real rotation of one qubit (RY), a *phase* is diagonal, a *relabelling* permutes the basis.
The native kernel knows nothing else: a turn costs a quarter of a general one-qubit gate, all phases side
by side are one product, and a relabelling moves no data at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from robustq.circuits.angles import Angle
from robustq.circuits.circuit import Operation, op
from robustq.circuits.gates import gate

HALF, QUARTER = math.pi / 2, math.pi / 4
Rewrite = Callable[..., list[Operation]]


def _rx(t: Angle | float, a: int) -> list[Operation]:
    return [op("rz", a, angles=[HALF]), op("ry", a, angles=[t]), op("rz", a, angles=[-HALF])]


def _cry(t: Angle, a: int, b: int) -> list[Operation]:
    return [op("cx", a, b), op("ry", b, angles=[-0.5 * t]), op("cx", a, b), op("ry", b, angles=[0.5 * t])]


# gate: (angles..., qubits...) -> gates nearer to the primitives.
REWRITES: Mapping[str, Rewrite] = {
    "y": lambda a: [op("z", a), op("x", a)],
    "h": lambda a: [op("z", a), op("ry", a, angles=[HALF])],
    "sx": lambda a: _rx(HALF, a),
    "sxdg": lambda a: _rx(-HALF, a),
    "rx": _rx,
    "cy": lambda a, b: [op("sdg", b), op("cx", a, b), op("s", b)],
    "ch": lambda a, b: [op("ry", b, angles=[-QUARTER]), op("cz", a, b), op("ry", b, angles=[QUARTER])],
    "iswap": lambda a, b: [op("s", a), op("s", b), op("cz", a, b), op("swap", a, b)],
    "iswapdg": lambda a, b: [op("sdg", a), op("sdg", b), op("cz", a, b), op("swap", a, b)],
    "cry": _cry,
    "crx": lambda t, a, b: [op("rz", b, angles=[HALF]), *_cry(t, a, b), op("rz", b, angles=[-HALF])],
    "rxx": lambda t, a, b: [op("h", a), op("h", b), op("rzz", a, b, angles=[t]), op("h", a), op("h", b)],
    "ryy": lambda t, a, b: [op("sx", a), op("sx", b), op("rzz", a, b, angles=[t]), op("sxdg", a), op("sxdg", b)],
}


@dataclass(frozen=True)
class Turn:
    """``[[cos, -sin], [sin, cos]]`` of ``angle`` on one qubit."""

    qubit: int
    angle: Angle


@dataclass(frozen=True)
class Phase:
    """``exp(-i angle Z...)`` on one or two qubits."""

    qubits: tuple[int, ...]
    angle: Angle


@dataclass(frozen=True)
class Relabelling:
    """A gate that permutes the basis."""

    operation: Operation


Primitive = Turn | Phase | Relabelling


def primitives(operation: Operation) -> Iterator[Primitive]:
    """The operation as primitives, in order of application.

    >>> [type(p).__name__ for p in primitives(op("h", 0))]
    ['Phase', 'Turn']
    """
    row = gate(operation.gate)
    if row.permutes:
        if operation.gate != "i":
            yield Relabelling(operation)
    elif operation.gate == "ry":
        yield Turn(operation.qubits[0], 0.5 * operation.angles[0])
    elif row.parts:
        for part, index in row.parts:
            yield from primitives(op(part, *operation.qubits, angles=[operation.angles[index]]))
    elif operation.gate in REWRITES:
        for simpler in REWRITES[operation.gate](*operation.angles, *operation.qubits):
            yield from primitives(simpler)
    else:
        yield from _phases(operation)


def _phases(operation: Operation) -> Iterator[Phase]:
    """A diagonal gate: a phase for each word of its generator; the identity is a global phase."""
    angle = operation.angles[0] if operation.angles else Angle.of(1.0)
    for word, coefficient in gate(operation.gate).generator.items():
        pairs = zip(operation.qubits, word, strict=True)
        on = tuple(q for q, letter in pairs if letter == "Z")
        if on:
            yield Phase(on, coefficient * angle)
