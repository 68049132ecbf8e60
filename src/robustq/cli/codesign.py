"""``robustq codesign``: search architectures and defences for several goals at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.cli.specification import specification
from robustq.cli.study import Address, Executor, Insecure, StoreURL, Workers, page_of, print_study, run_study
from robustq.report import codesign_table, write_codesign
from robustq.runs import Compute


def codesign(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Use this data set with the defaults.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Architectures to try.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of the finalists.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None,
    workers: Workers = None,
    executor: Executor = "processes",
    store: StoreURL = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the front as JSON.")] = False,
) -> None:
    """Search encoding, ansatz, depth, read-out, defence and its eps; print the Pareto front.

    Interrupted? Run the same command again: finished trainings are kept, and the front is the same.
    """
    asked = specification(spec, data, classes, seeds, seed)
    if trials is not None:
        content = asked.model_dump()
        asked = bench.parse({**content, "codesign": {**content["codesign"], "trials": trials}})
    study = bench.Search.of(asked)
    front, run = run_study(study, to, Compute(workers, executor, store, address, insecure), "codesign")
    write_codesign(front, page_of(study, run))
    print_study(front, run, codesign_table(front), "front", as_json=as_json)
