"""``robustq transfer``: whose adversarial inputs fool whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.cli.specification import specification
from robustq.cli.study import Address, Executor, Insecure, StoreURL, Workers, page_of, print_study, run_study
from robustq.errors import SpecError
from robustq.report import transfer_table, write_transfer
from robustq.runs import Compute


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
    workers: Workers = None,
    executor: Executor = "processes",
    store: StoreURL = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the matrix as JSON.")] = False,
) -> None:
    """Attack every model and try its adversarial inputs on every other one.

    Interrupted? Run the same command again: finished work is kept, and the results are the same.
    """
    asked = specification(spec, data, classes, seeds, seed, device)
    if models is not None:
        names = [name.strip() for name in models.split(",")]
        asked = bench.parse({**asked.model_dump(), "transfer": {"models": names}})
    study = bench.TransferStudy.of(asked)
    if device is not None and study.spec.model.name not in (study.spec.transfer.models or []):
        raise SpecError(f"--device: expected {study.spec.model.name} in --models, got {models!r}")
    matrix, run = run_study(study, to, Compute(workers, executor, store, address, insecure), "transfer")
    write_transfer(matrix, page_of(study, run))
    print_study(matrix, run, transfer_table(matrix), "matrix", as_json=as_json)
