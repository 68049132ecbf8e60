"""What a measurement would cost on a device, in circuits; shots multiply it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustq.bench.spec import Spec
from robustq.catalogue import resolve
from robustq.defences.catalogue import DEFENCES


def attack_circuits(facts: Mapping[str, Any], queries: int, gradients: int) -> int:
    """Circuits for an attack's forward passes and its input gradients by parameter shift.

    Amplitude loading has no angles: its gradient is counted as two circuits a feature, the central
    difference a device would need.

    >>> attack_circuits({"settings": 1, "input_shifts": 8, "amplitude_inputs": 0}, 10, 2)
    26
    """
    if "settings" not in facts:
        return 0
    shifts = facts["input_shifts"] + 2 * facts["amplitude_inputs"]
    return int(facts["settings"] * (queries + gradients * shifts))


def training_circuits(facts: Mapping[str, Any], spec: Spec, defended: bool) -> int:
    """Circuits to train by parameter shift: every trained angle, for every row of every epoch.

    A hybrid's circuit also passes gradients to the layer in front of it; an adversarial step also pays for
    the inner attack's input gradients. Held-back rows are not counted.

    >>> training_circuits({}, None, False)
    0
    """
    if "settings" not in facts or "rows" not in facts:
        return 0
    inner = attack_circuits(facts, facts["rows"], facts["rows"]) * spec.defence.steps
    own = int(facts["settings"] * facts["rows"] * (1 + facts["trained_shifts"]))
    attacked = defended and resolve("defence", spec.defence.name, DEFENCES).searches
    return own + (inner if attacked else 0)
