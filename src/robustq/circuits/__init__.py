"""Circuits as frozen data: gates, angles, encodings, ansaetze, observables, drawing, OpenQASM."""

from robustq.circuits import ansaetze, encodings, preparation
from robustq.circuits.angles import Angle, theta, x
from robustq.circuits.circuit import Circuit, Operation, op
from robustq.circuits.drawing import to_svg, to_text
from robustq.circuits.gates import GATES, Gate, gate
from robustq.circuits.observables import Observable, PauliSum, Projector, basis_groups, parity, pauli, per_qubit_z, z
from robustq.circuits.qasm import to_qasm

__all__ = [
    "GATES",
    "Angle",
    "Circuit",
    "Gate",
    "Observable",
    "Operation",
    "PauliSum",
    "Projector",
    "ansaetze",
    "basis_groups",
    "encodings",
    "gate",
    "op",
    "parity",
    "pauli",
    "per_qubit_z",
    "preparation",
    "theta",
    "to_qasm",
    "to_svg",
    "to_text",
    "x",
    "z",
]
