"""``robustq assess``: train, attack, disturb and report, in one resumable run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.cli.console import notes, out, print_json, progress_bar
from robustq.cli.paths import check_writable
from robustq.cli.specification import specification
from robustq.report import summary, write_report


def assess(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Assess this data set with the defaults.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds to train.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Also on this device: `robustq list devices`, or a snapshot's .json.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train the quantum model, its defended twin and the classical baselines; report robustness.

    Interrupted? Run the same command again: finished work is kept, and the results are the same.
    """
    chosen = specification(spec, data, classes, seeds, seed, device)
    chosen = bench.completed(chosen, chosen.raw())
    run = to or Path("runs") / f"{chosen.data.name}-{chosen.content_id[:8]}"
    check_writable(run)
    try:
        with progress_bar(1) as advance:
            results = bench.assess(chosen, run, workers=workers, progress=advance)
    except KeyboardInterrupt:
        notes().print("interrupted; run the same command again to continue", markup=False)
        raise typer.Exit(130) from None
    write_report(results, run / "report.html")
    if as_json:
        print_json(results.model_dump())
    else:
        out().print(summary(results))
    notes().print(f"report:  {run / 'report.html'}\nresults: {run / 'results.json'}", soft_wrap=True)
