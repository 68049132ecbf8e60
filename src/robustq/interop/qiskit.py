"""Qiskit back ends as device snapshots. Qiskit itself is optional and never imported here.

Only the public attributes of a ``BackendV2`` are read, so any back end will do: a real one, a
fake one of qiskit-ibm-runtime, or ``GenericBackendV2``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from robustq.errors import DataError
from robustq.noise import Coupling, Device, Qubit

PULSE_NAMES = ("sx", "x")
LEFT_OUT = ("swap", "rzz")  # not the calibrated entangler of a device


def device_from_backend(backend: Any) -> Device:
    """The calibration snapshot of a Qiskit ``BackendV2``.

    T1, T2, gate errors and durations come from its ``Target``; the two kinds of read-out error
    from ``backend.properties()`` where the back end has them, else both are the measurement's
    error. T2 is cut to 2 T1 and lifetimes that are not known are taken as one second; a pair
    takes its best two-qubit gate in either direction.

    Raises:
        DataError: if the back end has no target or no coupled qubits that work.
    """
    target = getattr(backend, "target", None)
    if target is None or not target.num_qubits:
        raise DataError(f"expected a Qiskit BackendV2 with a target, got {type(backend).__name__}")
    properties = _properties(backend)
    qubits = tuple(_qubit(target, properties, q) for q in range(target.num_qubits))
    date = str(getattr(properties, "last_update_date", ""))[:10]
    source = f"Qiskit back end {backend.name}"
    return Device(str(backend.name), date, source, qubits, tuple(_couplings(target)))


def _properties(backend: Any) -> Any:
    read = getattr(backend, "properties", None)
    return read() if callable(read) else None


def _qubit(target: Any, properties: Any, index: int) -> Qubit:
    own = target.qubit_properties[index] if target.qubit_properties else None
    t1 = _number(getattr(own, "t1", None), 1.0)
    t2 = min(_number(getattr(own, "t2", None), 2 * t1), 2 * t1)
    names = [name for name in PULSE_NAMES if name in target.operation_names]
    pulse = target[names[0]].get((index,)) if names else None
    read = target["measure"].get((index,)) if "measure" in target.operation_names else None
    p01, p10 = _confusion(properties, index, _number(getattr(read, "error", None), 0.0))
    return Qubit(
        t1,
        t2,
        p01,
        p10,
        _number(getattr(read, "duration", None), 0.0),
        _number(getattr(pulse, "error", None), 0.0),
        _number(getattr(pulse, "duration", None), 0.0),
    )


def _confusion(properties: Any, index: int, both: float) -> tuple[float, float]:
    if properties is None:
        return both, both
    seen = properties.qubit_property(index)
    pair = (seen.get(key, (both,))[0] for key in ("prob_meas1_prep0", "prob_meas0_prep1"))
    p01, p10 = pair
    return float(p01), float(p10)


def _couplings(target: Any) -> list[Coupling]:
    best: dict[tuple[int, int], Coupling] = {}
    for name in target.operation_names:
        entries = target[name] if name not in LEFT_OUT else {}
        for places, entry in _pairs(entries):
            pair = (min(places), max(places))
            error = min(_number(getattr(entry, "error", None), 0.0), 1.0)
            new = Coupling(pair, error, _number(getattr(entry, "duration", None), 0.0))
            if pair not in best or new.gate_error < best[pair].gate_error:
                best[pair] = new
    return [best[pair] for pair in sorted(best)]


def _pairs(entries: Mapping[Any, Any]) -> list[tuple[tuple[int, int], Any]]:
    return [(places, entry) for places, entry in entries.items() if places and len(places) == 2]


def _number(value: object, default: float) -> float:
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable else default  # type: ignore[arg-type]
