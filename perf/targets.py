"""What we set out to reach, as a table, and whether a run reached it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perf.compare import Row
from perf.growth import AXES

BETTER: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Target:
    """One target: a field of a row of results, and a bound.

    Attributes:
        name: what is asked, in words.
        subject: the subject whose rows hold it; empty where the harness does not measure it.
        where: fields that pick the row.
        field: the measured field.
        sense: a key of ``BETTER``.
        bound: what it is compared with.
    """

    name: str
    subject: str
    where: Mapping[str, Any] = field(default_factory=dict)
    field: str = "ratio"
    sense: str = ">="
    bound: float = 0.0


def _sizes(qubits: int, layers: int = 6, batch: int = 256) -> dict[str, int]:
    return {"qubits": qubits, "layers": layers, "batch": batch}


def _axis(name: str) -> dict[str, Any]:
    return {"axis": name, "sizes": list(AXES[name].sizes)}


_DEEP = _sizes(10, 100, 4096) | {"contender": "robustq"}

TARGETS: Sequence[Target] = (
    Target("gradient, n = 4, times the fastest peer", "gradient", _sizes(4), bound=10),
    Target("gradient, n = 8, times the fastest peer", "gradient", _sizes(8), bound=10),
    Target("gradient, n = 10, times the fastest peer", "gradient", _sizes(10), bound=10),
    Target("gradient, n = 4, first call (s)", "gradient", _sizes(4), "first_s", "<", 0.2),
    Target("gradient, n = 8, first call (s)", "gradient", _sizes(8), "first_s", "<", 0.2),
    Target("gradient, n = 10, first call (s)", "gradient", _sizes(10), "first_s", "<", 0.2),
    Target("gradient, n = 8, share of matmul FLOP/s", "flops", _sizes(8), "executed_gradient_share", bound=0.6),
    Target("gradient, n = 10, share of matmul FLOP/s", "flops", _sizes(10), "executed_gradient_share", bound=0.6),
    Target("frozen, n = 8, times the fastest peer", "frozen", _sizes(8), bound=40),
    Target("frozen, n = 10, times the fastest peer", "frozen", _sizes(10), bound=60),
    Target("frozen, n = 8, time at L = 60 over L = 6", "growth", _axis("layers, frozen"), "total", "<=", 1.15),
    Target("noisy frozen, n = 6, times the fastest peer", "noisy-frozen", _sizes(6, 4, 64), bound=300),
    Target("noisy gradient, n = 6, times the fastest peer", "noisy", _sizes(6, 4, 64), bound=20),
    Target("memory, n = 10, batch 4096, L = 100 (MiB)", "memory", _DEEP, "peak_mib", "<", 1024),
    Target("memory, L = 100 over L = 10", "memory", _DEEP, "over_shallow", "<=", 1.1),
    Target("fidelity kernel 1000 x 1000, n = 10 (s)", "kernel", _sizes(10, 2, 1000), "seconds", "<", 1),
    Target("growth in depth, exponent", "growth", _axis("layers"), "exponent", "<=", 1.1),
    Target("growth in batch, exponent", "growth", _axis("batch"), "exponent", "<=", 1.1),
    Target("growth per qubit from n = 8 to 14, fitted", "growth", _axis("qubits"), "factor", "<=", 2.3),
    Target("growth per qubit to n = 14, largest step", "growth", _axis("qubits"), "largest_step", "<=", 2.3),
)


def judge(rows: Sequence[Row]) -> list[Row]:
    """Every target with what was measured and whether it is met; None for both when nothing was."""
    return [_judged(target, rows) for target in TARGETS]


def _judged(target: Target, rows: Sequence[Row]) -> Row:
    found = [
        row.get(target.field)
        for row in rows
        if row["subject"] == target.subject and all(row.get(name) == value for name, value in target.where.items())
    ]
    measured = next((value for value in found if value is not None), None)
    return {
        "target": target.name,
        "required": f"{target.sense} {target.bound:g}",
        "measured": measured,
        "met": None if measured is None else BETTER[target.sense](measured, target.bound),
    }
