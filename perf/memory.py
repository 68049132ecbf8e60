"""Peak memory of one gradient call: its rise above what a fresh process held just before it.

The rise is the process's peak after its first call less its resident memory before, so it includes
thread stacks, pages of code first touched and, for the peers that compile, the compiler.
"""

from __future__ import annotations

from perf.compare import Row
from perf.options import Options
from perf.peers import OURS, PEERS
from perf.worker import Stopped, Worker
from perf.workload import Workload

WORKS = (Workload(10, 10, 4096), Workload(10, 100, 4096))


def memory(options: Options) -> list[Row]:
    """One row per contender and size, the shallow one first; only ours unless peers are named."""
    rows = []
    for name in dict.fromkeys((OURS, *options.against)):
        found = [_row(work, name, options) for work in options.resize(WORKS)]
        shallow = found[0].get("peak_mib")
        for row in found[1:]:
            if shallow and row.get("peak_mib"):
                row["over_shallow"] = row["peak_mib"] / shallow
        rows += found
    return rows


def _row(work: Workload, name: str, options: Options) -> Row:
    head: Row = {
        "subject": "memory",
        "qubits": work.qubits,
        "layers": work.layers,
        "batch": work.batch,
        "contender": name,
    }
    if PEERS[name].missing:
        return head | {"note": "not installed"}
    worker = Worker(name, work, options.limit_s)
    try:
        return head | {"peak_mib": worker.first().peak_mib}
    except Stopped as reason:
        return head | {"note": str(reason)}
    finally:
        worker.stop()
