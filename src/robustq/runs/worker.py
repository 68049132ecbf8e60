"""A worker: lease units, do them, hand in what they made, until there are none left."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustq.errors import RobustQError, RunError
from robustq.outsiders import is_outside, package_of
from robustq.runs.environment import environment
from robustq.runs.payloads import inside
from robustq.runs.store import Outcome, Store, Task
from robustq.runs.unit import Workspace

BATCH = 30.0  # seconds of work that are leased at once
MOST = 2000  # units that are leased at once
FLUSH = 1.0  # seconds for which results of short units are gathered before they are handed in
RETRIES = 2  # of a unit whose error may be the machine's


@dataclass(frozen=True)
class Assignment:
    """What a worker is to work at; plain data, for it travels.

    Attributes:
        store: URL of the store.
        run: units of this run only; of any if absent.
        folder: the run folder, where it is on a disk that the worker shares with whoever reads the results;
            units then work in place there, and one that was killed goes on where it was.
        tags: the hardware that the worker has; a GPU is seen without being named.
        lease: seconds after which a silent worker's units are given to others.
        patience: seconds for which a lost connection is tried again.
        allow: packages whose functions units may call; any if absent. Who can write to a store that is shared could
            otherwise have its workers call whatever is installed.
    """

    store: str
    run: str | None = None
    folder: str | None = None
    tags: frozenset[str] = frozenset()
    lease: float = 60.0
    patience: float = 300.0
    allow: frozenset[str] | None = None


def new_owner() -> str:
    """A name for a worker that no other has: host, process, and chance."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def single_thread() -> None:
    """Fix the process's thread count, so that results do not depend on how many cores are in use."""
    import torch

    torch.set_num_threads(1)


def hardware() -> frozenset[str]:
    """What this process can offer to units that need it."""
    import torch

    return frozenset({"gpu"} if torch.cuda.is_available() else ())


@dataclass
class Worker:
    """One worker's state.

    Attributes:
        assignment: what it works at.
        owner: its name in the store.
    """

    assignment: Assignment
    owner: str = field(default_factory=new_owner)
    _pace: float = BATCH  # seconds a unit, so far; begin with one
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.store = Store.open(self.assignment.store, patience=self.assignment.patience)
        self.environment = environment()
        self.tags = self.assignment.tags | hardware()

    def work(self, *, seconds: float | None = None, wait: float = 0.0) -> int:
        """Do units until none waits (for ``wait`` seconds), or for so many seconds; how many were done."""
        began, idle_since, done = time.monotonic(), time.monotonic(), 0
        pause = 0.02
        with self._heartbeat():
            while seconds is None or time.monotonic() - began < seconds:
                tasks = self._lease()
                if tasks:
                    done += self._do(tasks)
                    idle_since, pause = time.monotonic(), 0.02
                elif time.monotonic() - idle_since >= wait:
                    break
                else:
                    time.sleep(pause)
                    pause = min(1.5 * pause, 0.5)
        return done

    def _lease(self) -> list[Task]:
        a = self.assignment
        limit = max(1, min(MOST, int(BATCH / max(self._pace, 1e-6))))
        return self.store.lease(self.owner, self.environment, run=a.run, tags=self.tags, limit=limit, seconds=a.lease)

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Renew the leases from a thread of its own: a unit may take longer than a lease."""
        stopped = threading.Event()

        def beat() -> None:
            while not stopped.wait(self.assignment.lease / 4):
                # Nobody to tell: if the store stays away, the main thread meets the same failure and says so; if it
                # comes back in the middle of a long unit, the lease must be renewed again.
                with suppress(RunError):
                    self.store.renew(self.owner, self.assignment.lease)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            stopped.set()
            self.store.release(self.owner, died=False)
            raise
        finally:
            stopped.set()
            thread.join()

    def _do(self, tasks: list[Task]) -> int:
        """Do a batch; results of short units are handed in together."""
        ready: list[Outcome] = []
        flushed = time.monotonic()
        for task in tasks:
            if self._pace > FLUSH / 10:
                self.store.start(task.id, self.owner)
            outcome = self._attempt(task)
            ready += [outcome] if outcome is not None else []
            if ready and time.monotonic() - flushed > FLUSH:
                self.store.finish(self.owner, ready)
                ready, flushed = [], time.monotonic()
        if ready:
            self.store.finish(self.owner, ready)
        return len(tasks)

    def _attempt(self, task: Task) -> Outcome | None:
        """One unit; None if it failed, which the store then knows."""
        began = time.monotonic()
        try:
            with self._workspace(task) as workspace:
                self._check_allowed(task)
                task.do(workspace)
                seconds = time.monotonic() - began
                self._pace = seconds if self._pace == BATCH else 0.8 * self._pace + 0.2 * seconds
                return self.store.keep(workspace.folder, task.id, round(seconds, 6))
        except RobustQError as failure:  # the input's fault: another attempt would end alike
            self.store.fail(task.id, self.owner, f"{type(failure).__name__}: {failure}")
        except (OSError, MemoryError) as failure:  # perhaps the machine's fault
            self.store.fail(task.id, self.owner, f"{type(failure).__name__}: {failure}", retries=RETRIES)
        except Exception as failure:
            import traceback

            place = traceback.extract_tb(failure.__traceback__)[-1]
            told = f"{type(failure).__name__}: {failure} ({Path(place.filename).name}:{place.lineno})"
            self.store.fail(task.id, self.owner, told)
        return None

    def _check_allowed(self, task: Task) -> None:
        allowed = self.assignment.allow
        if allowed is None:
            return
        for name in (task.function, *_outside(task.arguments)):
            if package_of(name) not in allowed:
                raise RunError(f"expected names of {', '.join(sorted(allowed))} only, got {name!r}; see --allow")

    @contextmanager
    def _workspace(self, task: Task) -> Iterator[Workspace]:
        """The unit's folder with its inputs laid out: in the run folder, or in one that is thrown away."""
        if self.assignment.folder is not None and task.name is not None:
            root = Path(self.assignment.folder)
            with _claimed(inside(root, task.name), task.id) as place:
                yield Workspace(place, self._inputs(task, root))
            return
        scratch = Path(tempfile.mkdtemp(prefix="robustq-"))
        try:
            place = scratch / "unit"
            place.mkdir()
            yield Workspace(place, self._inputs(task, scratch / "inputs"))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _inputs(self, task: Task, root: Path) -> dict[str, Path]:
        for name, unit in task.inputs.items():
            self.store.write(unit, inside(root, name))
        return {name: root / name for name in task.inputs}


def _outside(content: Any) -> Iterator[str]:
    """Every text in plain data that has the form of a name to import."""
    if isinstance(content, Mapping):
        content = [*content, *content.values()]
    if isinstance(content, list):
        for part in content:
            yield from _outside(part)
    elif is_outside(content):
        yield content


@contextmanager
def _claimed(place: Path, unit: str) -> Iterator[Path]:
    """A folder for one unit: what another unit (of other code, perhaps) left there is not taken for its own.

    Only one process writes there: whoever lost its lease while the machine slept may be at it still.
    """
    place.mkdir(parents=True, exist_ok=True)
    with open(place / ".unit", "a+") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.seek(0)
        if mark.read() != unit:
            for path in place.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != ".unit":
                    path.unlink()
            mark.truncate(0)
            mark.write(unit)
            mark.flush()
        yield place
