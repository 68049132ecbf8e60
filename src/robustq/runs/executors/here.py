"""No workers of our own: the calling process does the units itself, or leaves them to others."""

from __future__ import annotations

from dataclasses import dataclass, field

from robustq.runs.worker import Assignment, Worker

SECONDS = 5.0


@dataclass
class Here:
    """Works when it is tended."""

    shares_disk: bool = True
    _worker: list[Worker] = field(default_factory=list)

    def start(self, assignment: Assignment) -> None:
        """Take the assignment."""
        self._worker = [Worker(assignment)]

    def tend(self, waiting: int) -> None:
        """Do what waits, for a few seconds: whoever waits wants to be told."""
        self._worker[0].work(seconds=SECONDS)

    def stop(self) -> None:
        """Nothing runs between two calls."""


@dataclass(frozen=True)
class Nobody:
    """Waits for workers that others start: ``robustq worker --store URL``."""

    shares_disk: bool = False

    def start(self, assignment: Assignment) -> None:
        """Nothing to start."""

    def tend(self, waiting: int) -> None:
        """Others work."""

    def stop(self) -> None:
        """Others stop by themselves."""
