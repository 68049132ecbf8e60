"""``python -m perf [--qubits N --layers L --batch B] [--repeats R] [--json]``: times and ratios.

The contenders take turns, so that a machine that slows down slows all of them; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from perf.rows import CONTENDERS, ROWS, Row


def measure(row: Row, repeats: int) -> dict[str, Any]:
    """Median milliseconds of each contender, in turn, after a first call that is timed apart."""
    steps = {name: make(row) for name, make in CONTENDERS.items()}
    first = {name: _timed(step) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(_timed(step))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "qubits": row.qubits,
        "layers": row.layers,
        "batch": row.batch,
        "first_ms": {name: round(value, 3) for name, value in first.items()},
        "median_ms": {name: round(value, 3) for name, value in medians.items()},
        "pennylane_over": {
            name: round(medians["pennylane"] / value, 2) for name, value in medians.items()
        },
    }


def _timed(step: Any) -> float:
    start = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    parser.add_argument("--qubits", type=int)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = [Row(chosen.qubits, chosen.layers, chosen.batch)] if chosen.qubits else list(ROWS)
    measured = [measure(row, chosen.repeats) for row in rows]
    if chosen.json:
        print(json.dumps(measured, indent=1))
        return
    print(
        "| qubits | layers | batch | robustq ms | frozen ms | PennyLane ms | ratio | frozen ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for found in measured:
        times, ratio = found["median_ms"], found["pennylane_over"]
        print(
            f"| {found['qubits']} | {found['layers']} | {found['batch']} | {times['robustq']} | "
            f"{times['robustq-frozen']} | {times['pennylane']} | {ratio['robustq']} | "
            f"{ratio['robustq-frozen']} |"
        )


if __name__ == "__main__":
    main()
