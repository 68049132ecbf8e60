"""Worker processes on this machine, of one thread each."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess

from robustq.errors import RunError
from robustq.runs.store import Store
from robustq.runs.worker import Assignment, Worker, new_owner, single_thread

DEATHS = 5  # in a row, with nothing done between them


@dataclass
class Processes:
    """As many processes as there are units to do, up to a limit.

    Attributes:
        count: the limit; the number of cores by default.
    """

    count: int | None = None
    shares_disk: bool = True
    _living: dict[str, SpawnProcess] = field(default_factory=dict)
    _assignment: list[Assignment] = field(default_factory=list)
    _deaths: int = 0
    _waiting: int = 0

    def start(self, assignment: Assignment) -> None:
        """Take the assignment; processes are started when there is work."""
        self._assignment = [assignment]

    def tend(self, waiting: int) -> None:
        """Replace the dead, whose units are given back at once, and start what is missing."""
        dead = [owner for owner, process in self._living.items() if not process.is_alive()]
        self._deaths = self._deaths + len(dead) if waiting == self._waiting else len(dead)
        self._waiting = waiting
        for owner in dead:
            self._living.pop(owner).join()
            self._store().release(owner)
        if self._deaths >= DEATHS:
            raise RunError(
                f"{self._deaths} worker processes died and nothing got done (killed, or out of memory); what is done "
                "is kept: run the same command again, perhaps with fewer --workers"
            )
        while len(self._living) < min(waiting, self.count or os.cpu_count() or 1):
            owner = new_owner()
            arguments = (self._assignment[0], owner, os.getpid())
            self._living[owner] = get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
            # Ctrl-C is the parent's to deal with, from the child's first instruction on: it inherits the mask.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._living[owner].start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """End the processes."""
        for process in self._living.values():
            process.terminate()
        for owner, process in self._living.items():
            process.join()
            self._store().release(owner, died=False)
        self._living.clear()

    def _store(self) -> Store:
        return Store.open(self._assignment[0].store)


def _serve(assignment: Assignment, owner: str, parent: int) -> None:
    """A process's life: one thread for arithmetic, and none after the parent's (it may be killed outright)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    single_thread()
    Worker(assignment, owner).work(wait=float("inf"))
