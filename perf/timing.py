"""Time in turns: one burst of each contender a round, so that a slow minute slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

BURST_S = 0.02


def timed(step: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - start)


def burst(step: Callable[[], object]) -> float:
    """Median milliseconds of the calls that fit in a fiftieth of a second, at least one.

    A call of a tenth of a millisecond is thus timed warm, and a call of a second once.
    """
    end = time.perf_counter() + BURST_S
    times = [timed(step)]
    while time.perf_counter() < end:
        times.append(timed(step))
    return statistics.median(times)


def in_turns(steps: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """``repeats`` bursts of each step, alternating, after one call of each that is not counted."""
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(burst(step))
    return times


def quartiles(times: Sequence[float]) -> tuple[float, float]:
    """Lower and upper quartile; both the value itself when there is only one."""
    if len(times) == 1:
        return times[0], times[0]
    lower, _, upper = statistics.quantiles(times, n=4, method="inclusive")
    return lower, upper
