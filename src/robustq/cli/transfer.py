"""``robustq transfer``: whose adversarial inputs fool whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.bench.transfer import chosen
from robustq.cli.console import notes, out, print_json, progress_bar
from robustq.cli.paths import check_writable
from robustq.cli.specification import specification
from robustq.errors import SpecError
from robustq.report import transfer_table, write_transfer


def transfer(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Use this data set with the defaults.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    models: Annotated[str | None, typer.Option(help="These models: 'qnn,mlp,logistic'.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds to train.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Add the model's noisy twin: `robustq list devices`, or a snapshot's .json.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the matrix as JSON.")] = False,
) -> None:
    """Attack every model and try its adversarial inputs on every other one.

    Interrupted? Run the same command again: finished work is kept, and the results are the same.
    """
    plan = specification(spec, data, classes, seeds, seed, device)
    if models is not None:
        names = [name.strip() for name in models.split(",")]
        plan = bench.parse({**plan.model_dump(), "transfer": {"models": names}})
    raw = plan.raw()
    plan = chosen(bench.completed(plan, raw), raw)
    if device is not None and plan.model.name not in (plan.transfer.models or []):
        raise SpecError(f"--device: expected {plan.model.name} in --models, got {models!r}")
    run = to or Path("runs") / f"{plan.data.name}-transfer-{plan.content_id[:8]}"
    check_writable(run)
    try:
        with progress_bar(1) as advance:
            matrix = bench.transfer(plan, run, workers=workers, progress=advance)
    except KeyboardInterrupt:
        notes().print("interrupted; run the same command again to continue", markup=False)
        raise typer.Exit(130) from None
    write_transfer(matrix, run / "transfer.html")
    if as_json:
        print_json(matrix.model_dump())
    else:
        out().print(transfer_table(matrix))
    notes().print(f"matrix: {run / 'transfer.html'}\nresults: {run / 'transfer.json'}", soft_wrap=True)
