"""``robustq show`` and ``robustq report``: a finished run again, on the terminal or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq.bench import read_results
from robustq.cli.console import notes, print_record
from robustq.cli.paths import check_writable
from robustq.report import summary, write_report


def show(
    run: Annotated[Path, typer.Argument(help="Run folder, or its results.json.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Print the results of a finished run."""
    results = read_results(run)
    print_record(results, summary(results), as_json=as_json)


def report(
    run: Annotated[Path, typer.Argument(help="Run folder, or its results.json.")],
    to: Annotated[Path | None, typer.Option("--out", help="Where to write the page.")] = None,
) -> None:
    """Write the report card of a finished run again."""
    results = read_results(run)
    path = to or (run if run.is_dir() else run.parent) / "report.html"
    check_writable(path, folder=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(results, path)
    notes().print(f"report: {path}", soft_wrap=True)
