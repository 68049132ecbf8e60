"""Do the units of a run, round after round: enter them in the store, have workers do them, gather the results."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robustq import errors
from robustq.errors import RobustQError, RunError
from robustq.runs import tables as t
from robustq.runs.compute import Compute
from robustq.runs.environment import environment
from robustq.runs.executors.contract import Executor
from robustq.runs.payloads import write_files
from robustq.runs.store import Failure, Store, unit_id
from robustq.runs.unit import Unit
from robustq.runs.worker import Assignment

Progress = Callable[[str, int, int], None]  # what was done, done so far, of how many
EMBEDDED = "run"  # the name of a run in a store of its own


@dataclass(frozen=True)
class Identity:
    """What others call a run.

    Attributes:
        name: in a store that several runs share; equal names share their units.
        command: that continues it.
    """

    name: str = EMBEDDED
    command: str = ""


def execute(
    rounds: Iterable[list[Unit]],
    run: Path,
    *,
    total: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
    identity: Identity | None = None,
) -> None:
    """Do the units of each round, one round after the other.

    ``rounds`` is asked for the next one when one is done, so that it may depend on what was made. Killed and called
    again it continues: what is done is done.

    Args:
        rounds: units; those of one round do not depend on each other.
        run: the run folder; a unit's files are in ``run / unit.name`` when it is done.
        total: how many units are expected, if more than the first round's.
        workers: as in :class:`Compute`, for callers that choose nothing else.
        progress: told after every unit.
        compute: with what; processes on this machine by default.
        identity: what the run is called in a store that several share, and how a person would continue it.

    Raises:
        RunError: if workers die again and again, or the store cannot be reached; what is done is kept.
        RobustQError: of a unit that failed, as it was raised there.
    """
    chosen = compute or Compute(workers)
    url = chosen.store or embedded(run)
    given = identity or Identity()
    name = given.name if chosen.store else EMBEDDED
    executor = chosen.start()
    store, command = Store.open(url), given.command
    if chosen.store is None:
        store.take_over(name, environment())  # the caller holds the folder: whoever had leases here is dead
    elif command:
        command += f" --store {shlex.quote(store.database.shown)}"
    driver = _Driver(store, executor, run, name, command, progress or (lambda *_: None), total)
    folder = str(run.absolute()) if executor.shares_disk else None
    allowed = None if chosen.store is None else chosen.allow | {"robustq"}  # others write to a store that is shared
    try:
        executor.start(Assignment(url, name, folder, lease=chosen.lease, allow=allowed))
        for units in rounds:
            driver.do(units)
    finally:
        executor.stop()


def embedded(run: Path) -> str:
    """The URL of the store within a run folder."""
    return f"sqlite:///{(run / 'store' / 'store.sqlite').absolute()}"


@dataclass
class _Driver:
    """What is known of a run while it lasts."""

    store: Store
    executor: Executor
    run: Path
    name: str
    command: str
    progress: Progress
    total: int
    environment: str = field(default_factory=environment)
    _reported: set[str] = field(default_factory=set)
    _latest: float = 0.0

    def do(self, units: Sequence[Unit]) -> None:
        """One round, until its files are in the run folder."""
        if not units:
            return
        names = [unit.name for unit in units]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise RunError(f"expected units of different names, got {twice!r} twice")
        folder = str(self.run.absolute())
        self.store.add(self.name, units, self.environment, command=self.command, folder=folder)
        self._begin()
        self._wait()
        lost = self._gather(units)
        if lost:  # payloads were damaged: once more, from nothing, and then it must hold
            for unit in lost:
                shutil.rmtree(self.run / unit.name, ignore_errors=True)
            self.store.forget(unit_id(unit, self.environment) for unit in lost)
            self._wait()
            if self._gather(lost):
                raise RunError(
                    f"{self.run}: {lost[0].label}: its result cannot be kept whole; see `robustq store check`"
                )

    def _begin(self) -> None:
        """Say what is known already."""
        counts = self.store.counts(self.name, self.environment)
        self.total = max(self.total, sum(counts.values()))
        if not self._reported:
            for unit, _, finished in self.store.finished(self.name, environment=self.environment):
                self._reported.add(unit)
                self._latest = max(self._latest, finished)
            self.progress("starting", len(self._reported), self.total)

    def _wait(self) -> None:
        """Until no unit of the run is left to do."""
        pause = 0.02
        while True:
            began = time.monotonic()
            counts = self.store.counts(self.name, self.environment)
            self._report()
            if counts.get(t.FAILED):
                failures = self.store.failures(self.name, self.environment)
                if failures:  # or another driver of this run has just had them tried again
                    raise _as_raised(failures[0])
            left = counts.get(t.WAITING, 0) + counts.get(t.LEASED, 0)
            if not left:
                self._latest = 0.0  # clocks step back and transactions overtake each other: miss none in the end
                self._report()
                return
            cost = time.monotonic() - began  # of asking, not of tending: the calling process may work there itself
            self.executor.tend(left)
            time.sleep(max(pause, 5 * cost if left > 1000 else pause))
            pause = min(1.2 * pause, 0.2)

    def _report(self) -> None:
        """Tell of every unit that was finished since."""
        for unit, label, finished in self.store.finished(self.name, self._latest, self.environment):
            self._latest = max(self._latest, finished)
            if unit not in self._reported:
                self._reported.add(unit)
                self.progress(label, len(self._reported), self.total)

    def _gather(self, units: Sequence[Unit]) -> list[Unit]:
        """Lay the results into the run folder; the units whose payloads are lost."""
        lost = []
        ids = {unit.name: unit_id(unit, self.environment) for unit in units}
        manifests = self.store.manifests(ids.values())
        for unit in units:
            try:
                write_files(self.store.payloads, manifests[ids[unit.name]], self.run / unit.name)
            except RunError:
                lost.append(unit)
        return lost


def _as_raised(failure: Failure) -> RobustQError:
    """A unit's error as the class it was there, with the unit's name where the message has no other place."""
    kind, _, message = failure.error.partition(": ")
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, RobustQError):
        return found(message)
    return RunError(f"{failure.label}: {failure.error}")
