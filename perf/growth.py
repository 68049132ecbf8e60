"""How our time grows with qubits, with depth and with the batch, the others held fixed.

Depth and batch are fitted by ``time ~ size**exponent`` (1 is linear, less is overhead that the larger sizes
share); qubits by ``time ~ factor**qubits`` from eight qubits on, where the arithmetic outweighs the
overhead, beside the largest step from one size to the next. A frozen model should not grow with depth.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from perf.compare import Row
from perf.options import Options
from perf.peers import ours
from perf.timing import in_turns
from perf.workload import Step, Workload

SETTLED = 8  # qubits from which the factor is fitted


@dataclass(frozen=True)
class Axis:
    """One quantity that grows."""

    field: str
    sizes: tuple[int, ...]
    base: Workload
    make: Callable[[Workload], Step] = ours.trained


AXES: Mapping[str, Axis] = {
    "qubits": Axis("qubits", tuple(range(4, 15)), Workload(4, 6, 256)),
    "layers": Axis("layers", (3, 6, 12, 24, 48), Workload(8, 6, 256)),
    "batch": Axis("batch", (128, 256, 512, 1024, 2048), Workload(8, 6, 256)),
    "layers, frozen": Axis("layers", (6, 60), Workload(8, 6, 256, trains=False), ours.frozen),
}


def growth(options: Options) -> list[Row]:
    """One row per axis; an axis's own sizes are cut off at the value given for it, if any."""
    return [_row(name, axis, options) for name, axis in AXES.items()]


def _row(name: str, axis: Axis, options: Options) -> Row:
    most = getattr(options, axis.field)
    sizes = [size for size in axis.sizes if most is None or size <= most] or [most]
    (base,) = options.resize([axis.base])
    changes: list[dict[str, Any]] = [{axis.field: size} for size in sizes]
    steps = {str(*change.values()): axis.make(replace(base, **change)) for change in changes}
    times = in_turns(steps, options.repeats)
    medians = [statistics.median(times[str(size)]) for size in sizes]
    others = {f: getattr(base, f) for f in ("qubits", "layers", "batch") if f != axis.field}
    head = {"subject": "growth", "axis": name, **others, "sizes": sizes, "median_ms": medians}
    return head | fit(axis.field, sizes, medians)


def fit(field: str, sizes: Sequence[int], times: Sequence[float]) -> Row:
    """Exponent or factor, and the largest and the total growth; None where there are too few sizes.

    >>> fit("layers", [2, 4, 8], [3.0, 6.0, 12.0])["exponent"]
    1.0
    """
    steps = [later / earlier for earlier, later in pairwise(times)]
    found: Row = {"largest_step": max(steps, default=None), "total": times[-1] / times[0]}
    if field == "qubits":
        settled = [(n, t) for n, t in zip(sizes, times, strict=True) if n >= SETTLED]
        slope = _slope([n for n, _ in settled], [t for _, t in settled])
        return found | {"factor": None if slope is None else float(np.exp(slope))}
    return found | {"exponent": _slope([float(np.log(size)) for size in sizes], times)}


def _slope(sizes: Sequence[float], times: Sequence[float]) -> float | None:
    if len(sizes) < 2:
        return None
    return round(float(np.polyfit(sizes, np.log(times), 1)[0]), 6)
