"""``robustq codesign``: search architectures and defences for several goals at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.cli.console import notes, out, print_json, progress_bar
from robustq.cli.paths import check_writable
from robustq.cli.specification import specification
from robustq.report import codesign_table, write_codesign


def codesign(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Use this data set with the defaults.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Architectures to try.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of the finalists.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the front as JSON.")] = False,
) -> None:
    """Search encoding, ansatz, depth, read-out, defence and its eps; print the Pareto front.

    Interrupted? Run the same command again: finished trainings are kept, and the front is the same.
    """
    plan = specification(spec, data, classes, seeds, seed)
    if trials is not None:
        content = plan.model_dump()
        plan = bench.parse({**content, "codesign": {**content["codesign"], "trials": trials}})
    plan = bench.completed(plan, plan.raw())
    run = to or Path("runs") / f"{plan.data.name}-codesign-{plan.content_id[:8]}"
    check_writable(run)
    try:
        with progress_bar(1) as advance:
            front = bench.codesign(plan, run, workers=workers, progress=advance)
    except KeyboardInterrupt:
        notes().print("interrupted; run the same command again to continue", markup=False)
        raise typer.Exit(130) from None
    write_codesign(front, run / "codesign.html")
    if as_json:
        print_json(front.model_dump())
    else:
        out().print(codesign_table(front))
    notes().print(f"front: {run / 'codesign.html'}\nresults: {run / 'codesign.json'}", soft_wrap=True)
