"""Reads the little of OpenQASM 2 that published circuits are written in: one register, gates, numbers."""

from __future__ import annotations

import re

from robustq.circuits import Circuit, Operation, op
from robustq.errors import CircuitError

HEADER = re.compile(r"(OPENQASM 2\.0|include .*|creg .*|measure .*|barrier .*|//.*)?;?")
REGISTER = re.compile(r"qreg q\[(\d+)\];")
GATE = re.compile(r"(\w+)(?:\(([^()]*)\))? (q\[\d+\](?:, ?q\[\d+\])*);")


def read(text: str) -> Circuit:
    """The circuit, its qubit 0 read as the least significant bit.

    Ours is the most significant one, so that the order of the qubits is reversed. Measurements are left out.

    Raises:
        CircuitError: at the first line that is not understood.

    >>> circuit = read('OPENQASM 2.0;' + chr(10) + 'qreg q[2];' + chr(10) + 'rx(0.5) q[0];')
    >>> circuit.operations[0].qubits
    (1,)
    """
    qubits, found = 0, []
    for line in map(str.strip, text.splitlines()):
        register = REGISTER.fullmatch(line)
        if register:
            qubits = int(register[1])
        elif not HEADER.fullmatch(line):
            found.append(_operation(line, qubits))
    return Circuit.of(qubits, found)


def _operation(line: str, qubits: int) -> Operation:
    parts = GATE.fullmatch(line)
    if parts is None:
        raise CircuitError(f"expected a gate on qubits of register q, got {line!r}")
    places = [qubits - 1 - int(q) for q in re.findall(r"\d+", parts[3])]
    try:
        angles = [float(number) for number in (parts[2] or "").split(",") if number]
    except ValueError as failure:
        raise CircuitError(f"expected numbers as angles, got {line!r}") from failure
    return op(parts[1], *places, angles=angles)
