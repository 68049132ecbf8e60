"""Loss and gradient beside the peers: first they must agree, then they take turns."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import numpy as np

from perf.options import Options
from perf.peers import OURS, PEERS
from perf.timing import quartiles
from perf.worker import First, Stopped, Worker
from perf.workload import Answer, Workload

TOLERANCE = 1e-3
SLOW_MS, SLOW_ROUNDS = 2000.0, 3
# A row of results: plain JSON, one per workload.
Row = dict[str, Any]


class Disagreement(Exception):
    """A peer computed something else, so its time would mean nothing."""


def compare(subject: str, works: Sequence[Workload], options: Options) -> list[Row]:
    """One row per workload."""
    return [_row(subject, work, options) for work in options.resize(works)]


def _row(subject: str, work: Workload, options: Options) -> Row:
    names = options.contenders(noisy=work.noise > 0)
    print(f"{subject}: {work}", file=sys.stderr)
    contenders = _measure(work, names, options)
    row: Row = {"subject": subject, **asdict(work), "contenders": contenders}
    ours = contenders[OURS]
    if ours["status"] != "measured":
        raise RuntimeError(f"{OURS}: {ours['status']}")
    measured = {name: c for name, c in contenders.items() if c["status"] == "measured"}
    for contender in measured.values():
        contender["ratio"] = contender["median_ms"] / ours["median_ms"]
    rivals = [n for n in measured if n != OURS and not PEERS[n].forward_only]
    fastest = min(rivals, key=lambda name: measured[name]["median_ms"], default=None)
    ratio = measured[fastest]["ratio"] if fastest else None
    return row | {"fastest_peer": fastest, "ratio": ratio, "first_s": ours["first_s"]}


def _measure(work: Workload, names: Sequence[str], options: Options) -> dict[str, Row]:
    found: dict[str, Row] = {}
    running: dict[str, Worker] = {}
    times: dict[str, list[float]] = {}
    try:
        for name in names:
            if PEERS[name].missing:
                found[name] = {"status": "not installed", "needs": PEERS[name].missing}
                continue
            reduced = replace(work, batch=min(work.batch, PEERS[name].samples or work.batch))
            running[name], times[name] = Worker(name, reduced, options.limit_s), []
            found[name] = _started(name, running[name], reduced)
            if found[name]["status"] != "measured":
                running.pop(name).stop()
        _take_turns(running, times, found, options.repeats)
    finally:
        for worker in running.values():
            worker.stop()
    for name, values in times.items():
        if values:
            found[name] |= _summary(values, found[name]["samples"], work.batch)
    return found


def _started(name: str, worker: Worker, work: Workload) -> Row:
    try:
        first = worker.first()
    except Stopped as reason:
        print(f"  {name}: {reason}", file=sys.stderr)
        return {"status": str(reason)}
    print(f"  {name}: first call {first.milliseconds / 1000:.3f} s", file=sys.stderr)
    check(name, first.answer, reference(work))
    return _first_row(name, first, work)


def _first_row(name: str, first: First, work: Workload) -> Row:
    return {
        "status": "measured",
        "make_s": first.made_s,
        "first_s": first.milliseconds / 1000,
        "samples": work.batch,
        "forward_only": PEERS[name].forward_only,
    }


def _take_turns(
    running: dict[str, Worker], times: dict[str, list[float]], found: dict[str, Row], repeats: int
) -> None:
    for done in range(repeats):
        for name in list(running):
            if done >= SLOW_ROUNDS and times[name][-1] > SLOW_MS:
                continue
            try:
                times[name].append(running[name].turn())
            except Stopped as reason:
                running.pop(name).stop()
                if times[name]:
                    found[name]["note"] = str(reason)
                else:
                    found[name]["status"] = str(reason)


def _summary(times: Sequence[float], samples: int, batch: int) -> Row:
    """Median and quartiles in milliseconds for the whole batch, scaled where only a part was run."""
    scale = batch / samples
    return {
        "median_ms": scale * statistics.median(times),
        "quartiles_ms": [scale * value for value in quartiles(times)],
        "repeats": len(times),
    }


@lru_cache(maxsize=8)
def reference(work: Workload) -> Answer:
    """What everybody has to compute."""
    return PEERS[OURS].make(work)()


def check(name: str, answer: Answer, expected: Answer) -> None:
    """Raise unless loss and gradients agree to 1e-3 of the largest entry."""
    for what, mine, theirs in zip(("loss", "input gradient", "parameter gradient"), expected, answer, strict=True):
        if mine is None or theirs is None:
            continue
        a, b = np.asarray(mine), np.asarray(theirs)
        error = np.abs(a - b).max() / np.abs(a).max() if a.shape == b.shape else np.inf
        if not error <= TOLERANCE:
            raise Disagreement(f"{name}: {what} differs by {error:.2e}, expected <= {TOLERANCE}")
