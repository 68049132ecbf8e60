"""A contender in a process of its own: made on demand, timed on demand, killed at its limit.

The processes take turns, so only one of them computes at a time; the others wait on a pipe. A
process each keeps thread pools, memory and compilers apart, makes a first call truly the first, and is the
one way to stop a compiler that would not end.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perf.peers import PEERS
from perf.timing import burst, timed
from perf.workload import Answer, Workload


class Stopped(Exception):
    """The contender ended: over its limit, or with an error of its own."""


class First(NamedTuple):
    """What is known after the first call.

    Attributes:
        made_s: seconds to import the library and to build what is built once.
        milliseconds: of the first call, with tracing and compiling, without imports.
        peak_mib: how far the process's peak memory rose above its memory before the call; None where
            the system does not say.
        answer: what was computed.
    """

    made_s: float
    milliseconds: float
    peak_mib: float | None
    answer: Answer


class Worker:
    """The parent's end of one contender.

    Args:
        name: a key of ``PEERS``.
        work: what to compute.
        limit_s: seconds it may use in all, imports and compiling included; its waiting is free.
    """

    def __init__(self, name: str, work: Workload, limit_s: float) -> None:
        self.left = limit_s
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, work), daemon=True)
        self._process.start()
        theirs.close()

    def first(self) -> First:
        """The first call; to be asked for once, before any turn."""
        return First(*self._await())

    def turn(self) -> float:
        """Milliseconds a call, measured over one burst."""
        self._pipe.send("turn")
        return float(self._await())

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _await(self) -> Any:
        start = time.perf_counter()
        if not self._pipe.poll(max(0.0, self.left)):
            raise Stopped("over limit")
        self.left -= time.perf_counter() - start
        try:
            kind, content = self._pipe.recv()
        except EOFError:
            raise Stopped("failed: the process died") from None
        if kind == "error":
            raise Stopped(f"failed: {content}")
        return content


def _serve(pipe: Connection, name: str, work: Workload) -> None:
    """The child's end: make, call once, then one burst for every message."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    warnings.simplefilter("ignore")
    try:
        start = time.perf_counter()
        step = PEERS[name].make(work)
        made = time.perf_counter() - start
        before, answers = memory_mib("VmRSS"), []
        first = timed(lambda: answers.append(step()))
        peak, answer = memory_mib("VmHWM"), answers[0]
        growth = None if peak is None or before is None else peak - before
        arrays = tuple(None if part is None else np.asarray(part) for part in answer)
        pipe.send(("done", (made, first, growth, arrays)))
        while pipe.recv() == "turn":
            pipe.send(("done", burst(step)))
    except EOFError:
        return
    except Exception as error:  # any library may fail in any way; the parent says so
        pipe.send(("error", f"{type(error).__name__}: {error}"[:200]))


def memory_mib(field: str) -> float | None:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process in MiB, where the system says."""
    status = Path("/proc/self/status")
    found = re.search(rf"{field}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else None
