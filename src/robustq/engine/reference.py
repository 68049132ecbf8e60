"""The oracle: a slow, obvious NumPy simulator, used by tests and never by users.

Nothing is shared with the fast engine but the circuit data: matrices come from the closed forms
of the gate table (the engine exponentiates generators), every gate is a full ``2^n x 2^n`` matrix
built entry by entry, one sample at a time, one gate at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.angles import Angle
from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.circuits.observables import Observable, PauliSum
from robustq.noise.model import NoiseModel

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def angle_value(angle: Angle, x: Array, theta: Array) -> float:
    """The angle in radians for one feature vector and one parameter vector."""
    values = {"x": x, "theta": theta}
    return float(sum(c * np.prod([values[s.kind][s.number] for s in monomial]) for monomial, c in angle.terms))


def embed(matrix: ComplexArray, qubits: Sequence[int], n: int) -> ComplexArray:
    """The gate as a matrix on the whole register, entry by entry."""
    full = np.zeros((2**n, 2**n), dtype=complex)
    for column in range(2**n):
        bits = [column >> (n - 1 - q) & 1 for q in range(n)]
        local = int("".join(str(bits[q]) for q in qubits), 2)
        for row_local in range(len(matrix)):
            image = list(bits)
            for k, q in enumerate(qubits):
                image[q] = row_local >> (len(qubits) - 1 - k) & 1
            full[int("".join(map(str, image)), 2), column] = matrix[row_local, local]
    return full


def start(circuit: Circuit, x: Array) -> ComplexArray:
    """The state before the first gate."""
    state = np.zeros(2**circuit.qubits, dtype=complex)
    if circuit.amplitudes:
        loaded = x[: circuit.amplitudes]
        state[: circuit.amplitudes] = loaded / np.linalg.norm(loaded)
    else:
        state[0] = 1
    return state


def statevector(circuit: Circuit, x: Array, theta: Array) -> ComplexArray:
    """The final state of one sample."""
    state = start(circuit, x)
    for o in circuit.operations:
        angles = [angle_value(a, x, theta) for a in o.angles]
        state = embed(gate(o.gate).matrix(*angles), o.qubits, circuit.qubits) @ state
    return state


def density(circuit: Circuit, x: Array, theta: Array, noise: NoiseModel) -> ComplexArray:
    """The final density matrix of one sample, channels applied after every gate."""
    n = circuit.qubits
    state = start(circuit, x)
    rho = np.outer(state, state.conj())
    for o in circuit.operations:
        angles = [angle_value(a, x, theta) for a in o.angles]
        unitary = embed(gate(o.gate).matrix(*angles), o.qubits, n)
        rho = unitary @ rho @ unitary.conj().T
        for channel, on in noise.after(o):
            kraus = [embed(k, on, n) for k in channel.kraus]
            rho = sum((k @ rho @ k.conj().T for k in kraus), np.zeros_like(rho))
    return rho


def read_out(observable: Observable, n: int, noise: NoiseModel) -> ComplexArray:
    """The operator whose exact expectation is the observable's mean under read-out error.

    A Pauli word is measured by rotating each of its qubits to Z, so read-out error turns each
    letter ``P`` into ``a P + b``; an outcome group is smeared over the outcomes it is confused with.
    """
    readouts = noise.readouts_of(n)
    if isinstance(observable, PauliSum):
        total = np.zeros((2**n, 2**n), dtype=complex)
        for c, word in observable.terms:
            term = np.eye(2**n, dtype=complex)
            for q, letter in word:
                p01, p10 = readouts[q].p01, readouts[q].p10
                single = (1 - p01 - p10) * gate(letter.lower()).matrix() + (p10 - p01) * np.eye(2)
                term = term @ embed(single, [q], n)
            total += c * term
        return total
    ideal = observable.matrix(n).diagonal().real
    seen = np.zeros(2**n)
    for prepared in range(2**n):
        for observed in range(2**n):
            chance = 1.0
            for q in range(n):
                i, j = observed >> (n - 1 - q) & 1, prepared >> (n - 1 - q) & 1
                chance *= readouts[q].confusion[i][j]
            seen[prepared] += chance * ideal[observed]
    return np.diag(seen).astype(complex)


def expectations(
    circuit: Circuit, observables: Sequence[Observable], inputs: Array, theta: Array, noise: NoiseModel | None = None
) -> Array:
    """Exact expectations ``(batch, observables)``, one sample at a time."""
    model = noise or NoiseModel()
    operators = [read_out(o, circuit.qubits, model) for o in observables]
    rows = []
    for x in inputs:
        if noise is None:
            state = statevector(circuit, x, theta)
            rows.append([float((state.conj() @ m @ state).real) for m in operators])
        else:
            rho = density(circuit, x, theta, model)
            rows.append([float(np.trace(m @ rho).real) for m in operators])
    return np.array(rows)
