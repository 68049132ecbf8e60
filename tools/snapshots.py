"""The bundled device snapshots, made from the calibrations that ship with qiskit-ibm-runtime.

    python tools/snapshots.py FOLDER

where ``FOLDER`` is ``qiskit_ibm_runtime/fake_provider/backends`` of an installed or unpacked
qiskit-ibm-runtime. Nothing has to be importable from it: its JSON files are read as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robustq.noise.calibration import Coupling, Qubit
from robustq.noise.device import Device
from robustq.noise.routing import regions

TARGET = Path(__file__).resolve().parent.parent / "src" / "robustq" / "noise" / "devices"
# name of the calibration: how many qubits to keep (None: all)
SNAPSHOTS: Mapping[str, int | None] = {
    "manila": None,
    "melbourne": None,
    "guadalupe": None,
    "kolkata": None,
    "sherbrooke": 20,
    "boston": 20,
}
UNITS = {"us": 1e-6, "ns": 1e-9, "s": 1.0, "GHz": 1e9, "": 1.0}
DEAD = 0.5  # a gate of this error is out of order


def snapshot(folder: Path, name: str, keep: int | None) -> Device:
    """One calibration as a device; of a large one a connected region of low errors."""
    text = (folder / name / f"props_{name}.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    qubits = [_qubit(raw, k, entries) for k, entries in enumerate(raw["qubits"])]
    couplings = list(_couplings(raw))
    note = (
        f"IBM Quantum calibration of {raw['backend_name']}, as published in qiskit-ibm-runtime's "
        f"fake_provider (Apache-2.0, (C) IBM and its contributors); converted: T2 cut to 2 T1, "
        f"the better direction of every gate"
    )
    date = raw["last_update_date"][:10]
    kept = _working(qubits, couplings)
    whole = Device(name, date, note, *_restricted(qubits, couplings, kept))
    if keep is None:
        return whole
    best = min(regions(whole, keep), key=lambda region: _cost(whole, region))
    note = f"{note}; {keep} of {len(qubits)} qubits, a connected region of low errors, grown greedily"
    return Device(name, date, note, *_restricted(whole.qubits, whole.couplings, best))


def _values(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    return {e["name"]: _rounded(float(e["value"]) * UNITS.get(e["unit"], 1.0)) for e in entries}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _qubit(raw: Mapping[str, Any], index: int, entries: Sequence[Mapping[str, Any]]) -> Qubit:
    seen = _values(entries)
    pulse = next(_values(g["parameters"]) for g in raw["gates"] if g["gate"] == "sx" and g["qubits"] == [index])
    t1 = seen.get("T1", 0.0) or 1e-9  # a qubit without a T1 is out of order, and left out below
    return Qubit(
        t1=t1,
        t2=min(seen.get("T2", t1) or t1, 2 * t1),
        p01=seen["prob_meas1_prep0"],
        p10=seen["prob_meas0_prep1"],
        readout_duration=seen["readout_length"],
        gate_error=pulse["gate_error"],
        gate_duration=pulse["gate_length"],
    )


def _couplings(raw: Mapping[str, Any]) -> Iterable[Coupling]:
    """The better direction of every pair that works; fractional gates are left out."""
    shifts = _values(raw.get("general", ()))
    best: dict[tuple[int, int], Coupling] = {}
    for gate in raw["gates"]:
        if gate["gate"] not in ("cx", "ecr", "cz"):
            continue
        seen, (a, b) = _values(gate["parameters"]), sorted(gate["qubits"])
        zz = shifts.get(f"zz_{a}{b}", 0.0)
        new = Coupling((a, b), seen["gate_error"], seen["gate_length"], zz)
        if new.gate_error < min(DEAD, best[a, b].gate_error if (a, b) in best else 1.0):
            best[a, b] = new
    return (best[pair] for pair in sorted(best))


def _working(qubits: Sequence[Qubit], couplings: Sequence[Coupling]) -> list[int]:
    """The largest connected part of what works."""
    working = {q for q, c in enumerate(qubits) if c.t1 > 1e-6 and c.gate_error < DEAD}
    parts: list[set[int]] = []
    for start in sorted(working):
        part, frontier = {start}, [start]
        while frontier:
            here = frontier.pop()
            near = {q for c in couplings if here in c.qubits for q in c.qubits}
            new = (near & working) - part
            part |= new
            frontier += sorted(new)
        parts.append(part)
    return max((sorted(part) for part in parts), key=len)


def _restricted(
    qubits: Sequence[Qubit], couplings: Sequence[Coupling], kept: Sequence[int]
) -> tuple[tuple[Qubit, ...], tuple[Coupling, ...]]:
    index = {q: k for k, q in enumerate(kept)}
    inside = tuple(
        replace(c, qubits=(index[c.qubits[0]], index[c.qubits[1]])) for c in couplings if set(c.qubits) <= set(kept)
    )
    return tuple(qubits[q] for q in kept), inside


def _cost(device: Device, region: Sequence[int]) -> float:
    qubits, couplings = _restricted(device.qubits, device.couplings, region)
    gates = sum(c.gate_error for c in couplings) / len(couplings)
    return gates + sum(q.p01 + q.p10 for q in qubits) / (2 * len(qubits))


def main() -> int:
    """Write every snapshot."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    for name, keep in SNAPSHOTS.items():
        device = snapshot(Path(sys.argv[1]), name, keep)
        device.save(TARGET / f"{name}.json")
        print(name, device.date, len(device.qubits), "qubits,", len(device.couplings), "couplings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
