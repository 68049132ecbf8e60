"""What a measurement would cost on a device, in circuits; shots multiply it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustq.bench.spec import Spec


def attack_circuits(facts: Mapping[str, Any], queries: int, gradients: int) -> int:
    """Circuits for an attack's forward passes and its input gradients by parameter shift.

    A gradient shifts every input-dependent angle twice. Amplitude loading has no such angles: its
    gradient is counted as two circuits a feature, the central difference a device would need.

    >>> attack_circuits({"settings": 1, "input_angles": 4, "amplitude_inputs": 0}, 10, 2)
    26
    """
    if "settings" not in facts:
        return 0
    shifts = 2 * (facts["input_angles"] + facts["amplitude_inputs"])
    return int(facts["settings"] * (queries + gradients * shifts))


def training_circuits(facts: Mapping[str, Any], spec: Spec, defended: bool) -> int:
    """Circuits to train by parameter shift: two a trained angle, for every row of every step.

    A defended step also pays for the inner attack's input gradients.

    >>> training_circuits({}, None, False)
    0
    """
    if "settings" not in facts or "steps" not in facts:
        return 0
    angles = facts["trained_angles"] + (
        facts["input_angles"] if facts["trained_angles"] == 0 else 0
    )
    rows = facts["steps"] * spec.training.batch_size
    inner = attack_circuits(facts, rows, rows) * spec.defence.steps if defended else 0
    return int(facts["settings"] * rows * (1 + 2 * angles)) + inner
