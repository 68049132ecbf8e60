"""What a measurement would cost on a device, in circuits; shots multiply it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from robustq import engine
from robustq.bench.spec import DefenceSpec
from robustq.catalogue import resolve
from robustq.circuits import Circuit, to_svg
from robustq.defences.catalogue import DEFENCES
from robustq.models import QuantumNet


def facts(model: nn.Module) -> dict[str, Any]:
    """What a device would need to run the model; empty for a classical one."""
    core = quantum_core(model)
    if core is None:
        return {}
    circuit = core.circuit
    return {
        "qubits": circuit.qubits,
        "depth": circuit.depth,
        "gates": len(circuit.operations),
        "two_qubit_gates": circuit.two_qubit_gates,
        "settings": engine.settings(circuit, core.observables),
        "input_shifts": _shifts(circuit, "x"),
        "trained_shifts": _shifts(circuit, "x" if core is not model else "") + _shifts(circuit, "theta"),
        "amplitude_inputs": circuit.amplitudes,
        "circuit_svg": to_svg(circuit),
    }


def quantum_core(model: nn.Module) -> QuantumNet | None:
    """The circuit within a model, whatever stands around it; None if there is none."""
    return next((part for part in model.modules() if isinstance(part, QuantumNet)), None)


def _shifts(circuit: Circuit, kind: str) -> int:
    """Circuits for the derivatives in all angles that hold a slot of this kind, by parameter shift.

    Two an angle; four for a controlled rotation, whose generator has three eigenvalues (Anselmetti et
    al. 2021).
    """
    return sum(
        4 if o.gate in ("crx", "cry", "crz") else 2
        for o in circuit.operations
        for angle in o.angles
        if any(slot.kind == kind for slot in angle.slots)
    )


def attack_circuits(known: Mapping[str, Any], queries: int, gradients: int) -> int:
    """Circuits for an attack's forward passes and its input gradients by parameter shift.

    Amplitude loading has no angles: its gradient is counted as two circuits a feature, the central
    difference a device would need.

    >>> attack_circuits({"settings": 1, "input_shifts": 8, "amplitude_inputs": 0}, 10, 2)
    26
    """
    if "settings" not in known:
        return 0
    shifts = known["input_shifts"] + 2 * known["amplitude_inputs"]
    return int(known["settings"] * (queries + gradients * shifts))


def training_circuits(known: Mapping[str, Any], defence: DefenceSpec, defended: bool) -> int:
    """Circuits to train by parameter shift: every trained angle, for every row of every epoch.

    A hybrid's circuit also passes gradients to the layer in front of it; an adversarial step also pays for
    the inner attack's input gradients. Held-back rows are not counted.

    >>> training_circuits({}, None, False)
    0
    """
    if "settings" not in known or "rows" not in known:
        return 0
    inner = attack_circuits(known, known["rows"], known["rows"]) * defence.steps
    own = int(known["settings"] * known["rows"] * (1 + known["trained_shifts"]))
    attacked = defended and resolve("defence", defence.name, DEFENCES).searches
    return own + (inner if attacked else 0)
