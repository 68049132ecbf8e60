"""Circuits and observables as JSON-able data, and back, with every error named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustq.circuits.angles import Angle, Slot
from robustq.circuits.circuit import Circuit, Operation
from robustq.circuits.observables import Observable, PauliSum, Projector
from robustq.errors import CircuitError


def circuit_to_data(circuit: Circuit) -> dict[str, Any]:
    """The circuit as dictionaries, lists, strings and numbers.

    >>> from robustq.circuits import encodings
    >>> circuit_to_data(encodings.angle(1))["operations"]
    [['ry', [0], [[[3.141592653589793, 'x0']]]]]
    """
    return {
        "qubits": circuit.qubits,
        "inputs": circuit.inputs,
        "parameters": circuit.parameters,
        "amplitudes": circuit.amplitudes,
        "operations": [[o.gate, list(o.qubits), [_angle_to_data(a) for a in o.angles]] for o in circuit.operations],
    }


def circuit_from_data(data: Mapping[str, Any]) -> Circuit:
    """The inverse of :func:`circuit_to_data`.

    Raises:
        CircuitError: if the data is not a well-formed circuit.
    """
    try:
        operations = tuple(
            Operation(str(name), tuple(map(int, qubits)), tuple(map(_angle_from_data, angles)))
            for name, qubits, angles in data["operations"]
        )
        sizes = (int(data[key]) for key in ("inputs", "parameters", "amplitudes"))
        return Circuit(int(data["qubits"]), operations, *sizes)
    except (KeyError, TypeError, ValueError, IndexError) as failure:
        raise CircuitError(f"expected a circuit as data, got something else: {failure}") from failure


def _angle_to_data(angle: Angle) -> list[list[Any]]:
    letters = {"x": "x", "theta": "t"}
    return [[c, *(f"{letters[s.kind]}{s.number}" for s in monomial)] for monomial, c in angle.terms]


def _angle_from_data(terms: Any) -> Angle:
    kinds = {"x": "x", "t": "theta"}
    total = Angle()
    for c, *slots in terms:
        product = Angle.of(float(c))
        for slot in slots:
            if int(slot[1:]) < 0:
                raise CircuitError(f"expected slots >= 0, got {slot!r}")
            product = product * Angle((((Slot(kinds[slot[0]], int(slot[1:])),), 1.0),))
        total = total + product
    return total


def observable_to_data(observable: Observable) -> dict[str, Any]:
    """A Pauli sum or projector as JSON-able data.

    >>> from robustq.circuits import z
    >>> observable_to_data(z(0))
    {'pauli': [[1.0, 'Z0']]}
    """
    if isinstance(observable, PauliSum):
        words = [[c, " ".join(f"{p}{q}" for q, p in word)] for c, word in observable.terms]
        return {"pauli": words}
    if isinstance(observable, Projector):
        return {"projector": list(observable.states), "on": list(observable.on)}
    raise CircuitError(f"expected a Pauli sum or a projector, got {type(observable).__name__}")


def observable_from_data(data: Mapping[str, Any]) -> Observable:
    """The inverse of :func:`observable_to_data`."""
    try:
        if "projector" in data:
            return Projector(tuple(data["projector"]), tuple(map(int, data["on"])))
        return PauliSum(
            tuple((float(c), tuple((int(w[1:]), w[0]) for w in str(text).split())) for c, text in data["pauli"])
        )
    except (KeyError, TypeError, ValueError) as failure:
        raise CircuitError(f"expected an observable as data, got {dict(data)!r}") from failure
