"""What an executor promises."""

from __future__ import annotations

from typing import Protocol

from robustq.runs.worker import Assignment


class Executor(Protocol):
    """Starts workers and replaces those that die; what is done and what is not, the store knows."""

    @property
    def shares_disk(self) -> bool:
        """Whether its workers see the run folder of whoever starts it."""
        ...

    def start(self, assignment: Assignment) -> None:
        """Begin; called once."""
        ...

    def tend(self, waiting: int) -> None:
        """Called again and again while ``waiting`` units are not done: start, replace, work.

        Raises:
            RunError: if workers die and nothing gets done.
        """
        ...

    def stop(self) -> None:
        """End all workers at once; what they were at is given back to the store."""
        ...
