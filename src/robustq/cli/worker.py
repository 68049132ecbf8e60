"""``robustq worker``: work at the units of a store, from anywhere that reaches it."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from robustq.cli.console import notes
from robustq.runs import Assignment, Worker
from robustq.runs.worker import single_thread


def worker(
    store: Annotated[str, typer.Option(help="SQLite file on this machine, or postgresql://... URL.")],
    run: Annotated[str | None, typer.Option(help="Only units of this run.")] = None,
    tags: Annotated[str, typer.Option(help="Hardware that units may ask for: 'gpu,large'.")] = "",
    idle: Annotated[float, typer.Option(min=0, help="Leave after so many seconds without work.")] = 60.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="Take no new units after so many.")] = None,
    allow: Annotated[str, typer.Option(help="Further packages whose functions may be called: 'mylab'.")] = "",
    lease: Annotated[float, typer.Option(min=1, help="Seconds of silence after which others take over.")] = 60.0,
) -> None:
    """Lease units, do them, hand in their results, until there are none: one process, one thread.

    Start one for every core, by hand, by ssh, as a Slurm array or in Kubernetes. It may be killed at any time.
    """
    single_thread()
    allowed = frozenset({"robustq"}) | _words(allow)
    at_work = Worker(Assignment(store, run, tags=_words(tags), lease=lease, allow=allowed))
    strangers = at_work.store.strangers(at_work.environment)
    if strangers:
        notes().print(
            f"{strangers} units wait for another version of the code or the kernel than {at_work.environment}"
        )
    signal.signal(signal.SIGTERM, _leave)
    done = at_work.work(seconds=seconds, wait=idle)
    notes().print(f"{at_work.owner}: {done} units", markup=False)


def _leave(*_: object) -> None:
    """Slurm and Kubernetes ask before they kill: what was leased is given back, and held against no unit."""
    sys.exit(143)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())
