"""OpenQASM 3 export: features and trainable parameters stay symbolic ``input`` variables."""

from __future__ import annotations

from robustq.circuits.angles import Angle, Slot
from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.errors import CircuitError


def to_qasm(circuit: Circuit) -> str:
    """The circuit as OpenQASM 3; slots become ``input float[64]`` variables.

    Raises:
        CircuitError: for amplitude loading, which has no gate to write.

    >>> from robustq.circuits import encodings
    >>> print(to_qasm(encodings.angle(1)))
    OPENQASM 3.0;
    include "stdgates.inc";
    input float[64] x_0;
    qubit[1] q;
    ry(3.141592653589793*x_0) q[0];
    <BLANKLINE>
    """
    if circuit.amplitudes:
        raise CircuitError("expected a circuit of gates, got amplitude loading")
    names = sorted(circuit.counts)
    bodies = [gate(name).qasm for name in names if gate(name).qasm.startswith("gate ")]
    slots = sorted({s for o in circuit.operations for a in o.angles for s in a.slots})
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', *bodies]
    lines += [f"input float[64] {_name(slot)};" for slot in slots]
    lines.append(f"qubit[{circuit.qubits}] q;")
    for o in circuit.operations:
        short = gate(o.gate).qasm
        word = o.gate if short.startswith("gate ") else short
        angles = f"({', '.join(map(_expression, o.angles))})" if o.angles else ""
        lines.append(f"{word}{angles} {', '.join(f'q[{q}]' for q in o.qubits)};")
    return "\n".join(lines) + "\n"


def _name(slot: Slot) -> str:
    return f"{slot.kind}_{slot.number}"


def _expression(angle: Angle) -> str:
    parts = ["*".join([repr(c), *map(_name, monomial)]) for monomial, c in angle.terms]
    return " + ".join(parts) or "0"
