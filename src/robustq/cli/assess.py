"""``robustq assess``: train, attack, disturb and report, in one resumable run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.cli.specification import specification
from robustq.cli.study import Address, Executor, Insecure, StoreURL, Workers, page_of, print_study, run_study
from robustq.report import summary, write_report
from robustq.runs import Compute


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
    workers: Workers = None,
    executor: Executor = "processes",
    store: StoreURL = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train the quantum model, its defended twin and the classical baselines; report robustness.

    Interrupted? Run the same command again: finished work is kept, and the results are the same.
    """
    study = bench.Assessment.of(specification(spec, data, classes, seeds, seed, device))
    results, run = run_study(study, to, Compute(workers, executor, store, address, insecure))
    write_report(results, page_of(study, run))
    print_study(results, run, summary(results), "report", as_json=as_json)
