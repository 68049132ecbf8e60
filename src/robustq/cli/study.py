"""How every study is run from the command line: in a folder of its own, with a bar, to be continued after Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from robustq import bench
from robustq.bench.estimates import StudyRecord
from robustq.bench.records import FILES, PAGES
from robustq.cli.console import notes, print_record, progress_bar
from robustq.cli.paths import check_writable
from robustq.runs import Compute, Store, embedded

CONTRADICTED = "two different results of the same computation; see `robustq store check`"

R = TypeVar("R", bound=StudyRecord)


# Options of every study: where its work is done. No choice changes a byte of the results.
Workers = Annotated[int | None, typer.Option(min=0, help="Processes; 0 works in this one.")]
Executor = Annotated[str, typer.Option(help="processes, ray, or none: wait for `robustq worker`s.")]
StoreURL = Annotated[str | None, typer.Option("--store", help="A store that others share: postgresql://...")]
Address = Annotated[str | None, typer.Option(help="Of a running Ray cluster, HOST:PORT.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Join a Ray cluster that asks for no token.")]


def run_study(study: bench.Study[R], to: Path | None, compute: Compute, word: str = "") -> tuple[R, Path]:
    """The record and the run folder: ``to``, or one named by the data, a ``word`` and the content id.

    Raises:
        typer.Exit: if it was interrupted.
    """
    spec = study.spec
    run = to or Path("runs") / "-".join(part for part in (spec.data.name, word, spec.content_id[:8]) if part)
    check_writable(run)
    try:
        with progress_bar(1) as advance:
            record = bench.perform(study, run, progress=advance, compute=compute)
    except KeyboardInterrupt:
        notes().print("interrupted; run the same command again to continue", markup=False)
        raise typer.Exit(130) from None
    for label in contradicted(compute.store or embedded(run)):
        notes().print(f"red: {label}: {CONTRADICTED}", style="red", markup=False)
    return record, run


def contradicted(url: str) -> list[str]:
    """The units of a store that gave two different results: a number that rests on them must not be trusted."""
    return [label for label, _ in Store.open(url).conflicts()]


def page_of(study: bench.Study[R], run: Path) -> Path:
    """Where the page of a record is written."""
    return run / PAGES[study.kind.command]


def print_study(record: StudyRecord, run: Path, table: Any, word: str, *, as_json: bool) -> None:
    """The record as JSON, or its ``table``; then where to find the page, called ``word``, and the record."""
    print_record(record, table, as_json=as_json)
    page, file = run / PAGES[record.command], run / FILES[record.command]
    notes().print(f"{word + ':':<9}{page}\nresults: {file}", soft_wrap=True)
