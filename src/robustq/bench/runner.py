"""The run folder: claim it, do the units that are missing, write the results."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from robustq.atomic import write_atomically
from robustq.bench.device import check_fits
from robustq.bench.entrants import Entrant, build, entrants
from robustq.bench.outside import outsiders, packages
from robustq.bench.results import Results, read_results
from robustq.bench.spec import Spec, completed
from robustq.bench.summary import summarise, unit_folder, versions
from robustq.bench.unit import run_unit, single_thread
from robustq.contracts import check_logits
from robustq.defences.saved import load, save
from robustq.errors import RunError

Progress = Callable[[str, int, int], None]  # what was done, done so far, of how many


def assess(spec: Spec, run: Path, *, workers: int | None = None, progress: Progress | None = None) -> Results:
    """Run an assessment in the folder ``run`` and return its results.

    Everything that can be wrong is checked before the folder is touched. The same call on an
    unfinished folder continues it; on a finished one it returns the stored results' equal. Units run
    in worker processes of one thread each, so the numbers do not depend on ``workers``.

    Args:
        spec: what to assess.
        run: the run folder, created if needed; must be empty or belong to this specification.
        workers: processes; the number of cores by default.
        progress: told after every unit.
    """
    spec = completed(spec, spec.raw())
    data = spec.dataset()
    units = [(entrant, seed) for seed in range(spec.seeds) for entrant in entrants(spec)]
    _try_out(spec, data.x_train.shape[1], len(data.classes), {entrant for entrant, _ in units})
    with claimed(run, spec, "assess"):
        started = time.monotonic()
        _run_units(spec, run, units, workers, progress or (lambda *_: None))
        results = summarise(run, spec, data)
        _publish_models(run, spec)
        write_atomically(run / "results.json", results.to_bytes())
        _add_timing(run, time.monotonic() - started)
    return read_results(run)


def _try_out(spec: Spec, features: int, classes: int, everyone: set[Entrant]) -> None:
    """Build every model once and run it on one row: wrong options fail here, before any work."""
    for entrant in sorted(everyone, key=lambda e: e.key):
        if entrant.model == "svm-rbf":
            continue
        model = build(entrant, spec, features, classes, 0)
        with torch.no_grad():
            check_logits(model(torch.full((1, features), 0.5)), 1)
        check_fits(model, spec.noise.calibrated())


@contextmanager
def claimed(run: Path, spec: Spec, command: str) -> Iterator[None]:
    """Hold the folder for this process, this command and this specification."""
    content = {"command": command, "spec": spec.model_dump(), "versions": versions(*outsiders(spec))}
    mine = (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
    path = run / "spec.json"
    if path.is_file():
        if path.read_bytes() != mine:
            raise RunError(
                f"{run}: expected the specification and the versions this folder was started with "
                "(see its spec.json), got others; choose a new --out"
            )
    elif run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise RunError(f"{run}: expected a new folder or one of ours, got something else")
    run.mkdir(parents=True, exist_ok=True)
    with open(run / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            raise RunError(f"{run}: another process is working in this folder") from failure
        if not path.exists():
            write_atomically(path, mine)
        yield


def _run_units(
    spec: Spec, run: Path, units: list[tuple[Entrant, int]], workers: int | None, progress: Progress
) -> None:
    text = spec.model_dump_json()
    jobs = [
        Job(f"{entrant.label}, seed {seed}", run_unit, (text, entrant, seed, unit_folder(run, entrant, seed)))
        for entrant, seed in units
    ]
    in_processes([jobs], workers, progress)


@dataclass(frozen=True)
class Job:
    """A call for a worker process, and what to tell when it is done."""

    label: str
    work: Callable[..., str]
    arguments: tuple[Any, ...]


def in_processes(rounds: list[list[Job]], workers: int | None, progress: Progress) -> None:
    """Do the jobs of each round, one round after the other, in worker processes of one thread each.

    Raises:
        RunError: if a worker died; what is done is kept.
    """
    count = min(max(map(len, rounds)), workers or os.cpu_count() or 1)
    in_rounds(rounds, count, sum(map(len, rounds)), progress)


def in_rounds(rounds: Iterable[list[Job]], workers: int, total: int, progress: Progress) -> None:
    """As :func:`in_processes`, of rounds that may depend on what the rounds before them made.

    ``total`` is how many jobs are expected; ``rounds`` is asked for the next one when one is done.
    """
    done = 0
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),)
    )
    try:
        for jobs in rounds:
            futures: dict[Future[str], str] = {}
            for job in jobs:
                futures[pool.submit(job.work, *job.arguments)] = job.label
            total = max(total, done + len(jobs))
            if not done:
                progress("starting", 0, total)
            for done, future in enumerate(as_completed(futures), start=done + 1):  # noqa: B020
                future.result()
                progress(futures[future], done, total)
    except BrokenProcessPool as failure:
        raise RunError(
            "a worker process died (killed, or out of memory); what is done is kept: run the same "
            "command again, perhaps with fewer --workers"
        ) from failure
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _start_worker(parent: int) -> None:
    """One thread for arithmetic, and no life after the parent's (it may be killed outright)."""
    single_thread()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _publish_models(run: Path, spec: Spec) -> None:
    """Copy the quantum models of the first seed to ``model/`` and ``model-defended/``."""
    names = {"quantum": "model", "quantum-defended": "model-defended"}
    for entrant in entrants(spec):
        if entrant.key in names:
            source = unit_folder(run, entrant, 0)
            content = json.loads((source / "model.json").read_bytes())
            save(load(source, allow=packages(spec)), run / names[entrant.key], metadata=content["metadata"])


def _add_timing(run: Path, seconds: float) -> None:
    """Wall time, kept out of the results so that they can be compared byte for byte."""
    path = run / "timing.json"
    sessions = json.loads(path.read_bytes())["sessions"] if path.exists() else []
    sessions.append({"seconds": round(seconds, 2), "cpus": os.cpu_count(), "platform": sys.platform})
    write_atomically(path, (json.dumps({"sessions": sessions}) + "\n").encode())
