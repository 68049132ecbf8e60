"""Our gates under PennyLane's names, for the tests that compare with it."""

import pennylane as qml

PENNYLANE = {
    "i": qml.Identity,
    "x": qml.PauliX,
    "y": qml.PauliY,
    "z": qml.PauliZ,
    "h": qml.Hadamard,
    "s": qml.S,
    "t": qml.T,
    "sx": qml.SX,
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "p": qml.PhaseShift,
    "rot": qml.Rot,
    "u3": qml.U3,
    "cx": qml.CNOT,
    "cy": qml.CY,
    "cz": qml.CZ,
    "ch": qml.CH,
    "swap": qml.SWAP,
    "iswap": qml.ISWAP,
    "crx": qml.CRX,
    "cry": qml.CRY,
    "crz": qml.CRZ,
    "cp": qml.ControlledPhaseShift,
    "rxx": qml.IsingXX,
    "ryy": qml.IsingYY,
    "rzz": qml.IsingZZ,
    "ccx": qml.Toffoli,
    "cswap": qml.CSWAP,
}


def pennylane_gate(operation, angles):
    """Queue one of our operations, its angles given as numbers."""
    if operation.gate in ("sdg", "tdg", "sxdg", "iswapdg"):
        return qml.adjoint(PENNYLANE[operation.gate.removesuffix("dg")](wires=operation.qubits))
    return PENNYLANE[operation.gate](*angles, wires=operation.qubits)
