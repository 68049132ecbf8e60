"""With what a run is done: how many workers, of which kind, and over which store."""

from __future__ import annotations

from dataclasses import dataclass

from robustq.errors import RunError, unknown_name
from robustq.runs.executors.contract import Executor
from robustq.runs.executors.here import Here, Nobody
from robustq.runs.executors.processes import Processes

EXECUTORS = ("processes", "ray", "none")


@dataclass(frozen=True)
class Compute:
    """Where the units of a run are done; no choice here changes a byte of the result.

    Attributes:
        workers: how many; the number of cores by default; 0 works in the calling process.
        executor: ``processes`` on this machine, ``ray``, or ``none``: others work (``robustq worker``).
        store: URL of a store that others share; a SQLite file in the run folder by default.
        address: of a running Ray cluster; one of its own on this machine by default.
        insecure: join a Ray cluster that asks for no token.
        lease: seconds after which a silent worker's units are given to others.
        allow: packages besides ours whose functions the units of a shared store may call.

    >>> Compute(executor="rya")
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: unknown executor 'rya': did you mean 'ray'? Known: none, processes, ray
    """

    workers: int | None = None
    executor: str = "processes"
    store: str | None = None
    address: str | None = None
    insecure: bool = False
    lease: float = 60.0
    allow: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise unknown_name("executor", self.executor, EXECUTORS)
        if self.workers is not None and self.workers < 0:
            raise RunError(f"workers: expected 0 or more, got {self.workers}")
        if self.executor == "none" and self.store is None:
            raise RunError("executor 'none': expected a --store that other workers share, got none")
        if self.address is not None and self.executor != "ray":
            raise RunError(f"address: expected the executor 'ray', got {self.executor!r}")

    def start(self) -> Executor:
        """The executor."""
        if self.executor == "ray":
            from robustq.runs.executors.ray import Ray

            return Ray(self.workers, self.address, self.insecure)
        if self.executor == "none":
            return Nobody()
        return Here() if self.workers == 0 else Processes(self.workers)
