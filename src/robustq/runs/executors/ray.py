"""Workers as Ray tasks: on a cluster of our own on this machine, or on one that is running.

A task pulls units for less than a minute and ends, so a node that joins gets work at once and one that is lost
takes at most that with it. Ray moves pickles and runs what it is sent, so a cluster of our own listens on
loopback only and asks for a token, and one that asks for none is not joined unless that is wished.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from dataclasses import dataclass, field
from typing import Any

from robustq.errors import RunError
from robustq.runs.store import Store
from robustq.runs.worker import Assignment, Worker, new_owner, single_thread

SLICE = 45.0  # seconds that a task pulls units
DEATHS = 20  # tasks lost in a row, with nothing done between them
# Ray binds to loopback only where it believes that no cluster is possible; it reads this when it is imported.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


@dataclass
class Ray:
    """Tasks of one core each.

    Attributes:
        count: how many at once; the cluster's cores by default.
        address: of a running cluster; None starts one on this machine.
        insecure: join a cluster that asks for no token.
    """

    count: int | None = None
    address: str | None = None
    insecure: bool = False
    _tasks: dict[Any, str] = field(default_factory=dict)
    _assignment: list[Assignment] = field(default_factory=list)
    _losses: int = 0
    _waiting: int = 0

    def __post_init__(self) -> None:
        if self.address is not None and not self.insecure and not _has_token():
            raise RunError(
                f"ray: expected a token for {self.address} (RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH), got none: a "
                "cluster without one runs anybody's code; --insecure joins it nevertheless"
            )

    @property
    def shares_disk(self) -> bool:
        """Only tasks of a cluster on this machine see the run folder for certain."""
        return self.address is None

    def start(self, assignment: Assignment) -> None:
        """Start or join the cluster.

        Raises:
            RunError: if Ray is not installed, does not answer, or would listen beyond this machine.
        """
        self._assignment = [assignment]
        if self.address is None:
            self._start_own()
        else:
            self._join(self.address)
        self._work = _imported().remote(_serve).options(num_cpus=1, max_retries=0)

    def _start_own(self) -> None:
        os.environ.update(LOOPBACK)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray = _imported()
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        try:  # "local": without it Ray would join whatever cluster its own files name, dead or somebody else's
            ray.init(address="local", num_cpus=self.count or os.cpu_count() or 1, **quiet)
        except Exception as failure:  # Ray raises many kinds, some of them private
            raise RunError(f"ray: expected to start a cluster on this machine: {_first_line(failure)}") from failure
        place = ray.util.get_node_ip_address()
        if place != "127.0.0.1":
            ray.shutdown()
            raise RunError(
                f"ray: expected a cluster that listens on 127.0.0.1, got {place}: Ray was imported before; start a "
                "fresh Python"
            )

    def _join(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not self.insecure:
            os.environ["RAY_AUTH_MODE"] = "token"
        ray = _imported()
        _knock(address)  # Ray itself would try for minutes
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except Exception as failure:  # Ray raises many kinds, some of them private
            raise RunError(f"ray: expected a cluster at {address}: {_first_line(failure)}") from failure

    def tend(self, waiting: int) -> None:
        """Take note of ended tasks, give back what lost ones had, and keep every core busy."""
        ray = _imported()

        self._losses = 0 if waiting != self._waiting else self._losses
        self._waiting = waiting
        if self._tasks:
            ended, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
            for task in ended:
                self._note(task, self._tasks.pop(task))
        if self._losses >= DEATHS:
            raise RunError(f"ray: {self._losses} tasks were lost and nothing got done; what is done is kept")
        cores = int(ray.cluster_resources().get("CPU", 0))
        while len(self._tasks) < min(waiting, self.count or cores):
            owner = new_owner()
            self._tasks[self._work.remote(self._assignment[0], owner)] = owner

    def _note(self, task: Any, owner: str) -> None:
        """How a task ended: as it should, by an error of ours, or with its node."""
        ray = _imported()

        try:
            ray.get(task)
        except ray.exceptions.RayTaskError as failure:
            raise RunError(f"ray: {str(failure.cause) or failure}") from failure
        except ray.exceptions.RayError:
            self._losses += 1
            Store.open(self._assignment[0].store).release(owner)

    def stop(self) -> None:
        """Leave the cluster, or end our own."""
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return
        for task in self._tasks:
            ray.cancel(task, force=True)
        ray.shutdown()
        for owner in self._tasks.values():
            Store.open(self._assignment[0].store).release(owner, died=False)
        self._tasks.clear()


def _knock(address: str) -> None:
    """Refuse an address at which nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as failure:
        raise RunError(f"ray: expected a cluster at {address}, HOST:PORT: {failure}") from failure


def _first_line(failure: Exception) -> str:
    return str(failure).strip().partition("\n")[0] or type(failure).__name__


def _has_token() -> bool:
    places = (os.environ.get("RAY_AUTH_TOKEN_PATH"), os.path.expanduser("~/.ray/auth_token"))
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or any(place and os.path.isfile(place) for place in places)


def _imported() -> Any:
    try:
        import ray
        import ray.util
    except ImportError:
        raise RunError("expected Ray for this executor: pip install 'robustq[ray]'") from None
    return ray


def _serve(assignment: Assignment, owner: str) -> int:
    """What a task does, in a process that Ray keeps for the next one."""
    single_thread()
    return Worker(assignment, owner).work(seconds=SLICE, wait=2.0)
