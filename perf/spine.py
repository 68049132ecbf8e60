"""What the spine costs by itself: units that do nothing, through a store and two worker processes."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from robustq.runs import Compute, Identity, Unit, execute


def overhead(units: int, store: str | None, workers: int = 2) -> dict[str, float]:
    """Seconds for so many empty units, entering and gathering included, and milliseconds a unit."""
    todo = [Unit("robustq.runs.unit:idle", {"number": k}, f"units/{k}", "nothing") for k in range(units)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        compute = Compute(workers=workers, store=store)
        execute([todo], Path(folder), compute=compute, identity=Identity(f"idle-{units}-{time.time_ns()}"))
        seconds = time.perf_counter() - began
    return {"units": units, "seconds": round(seconds, 2), "ms a unit": round(1000 * seconds / units, 4)}


def main(arguments: Sequence[str]) -> None:
    """``python -m perf.spine [UNITS [URL]]``; SQLite in a new folder without a URL."""
    units = int(arguments[0]) if arguments else 100_000
    print(overhead(units, arguments[1] if len(arguments) > 1 else None))


if __name__ == "__main__":
    main(sys.argv[1:])
