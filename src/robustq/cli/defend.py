"""``robustq defend``: what each defence buys under attacks that know it, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.bench.recipes import RecipeSpec, StepSpec
from robustq.cli.specification import specification
from robustq.cli.study import Address, Executor, Insecure, StoreURL, Workers, page_of, print_study, run_study
from robustq.report import defence_table, write_defences
from robustq.runs import Compute


def defend(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Use this data set with the defaults.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    recipes: Annotated[
        str | None, typer.Option("--with", help="These defences: 'trades,feature-squeezing+trades'.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds to train.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    device: Annotated[
        str | None, typer.Option(help="For recipes that need one: `robustq list devices`, or a snapshot's .json.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Run folder.")] = None,
    workers: Workers = None,
    executor: Executor = "processes",
    store: StoreURL = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Train the model under every defence and attack each with full knowledge of it.

    Interrupted? Run the same command again: finished work is kept, and the results are the same.
    """
    asked = specification(spec, data, classes, seeds, seed, device)
    if recipes is not None:
        asked = bench.parse({**asked.model_dump(), "recipes": [r.model_dump() for r in _named(recipes)]})
    study = bench.DefenceStudy.of(asked)
    table, run = run_study(study, to, Compute(workers, executor, store, address, insecure), "defences")
    timing = bench.read_timing(run)
    write_defences(table, timing, page_of(study, run))
    print_study(table, run, defence_table(table, timing), "table", as_json=as_json)


def _named(text: str) -> list[RecipeSpec]:
    """Recipes separated by commas, their steps by plus signs."""
    return [
        RecipeSpec(steps=[StepSpec(name=name.strip()) for name in recipe.split("+")]) for recipe in text.split(",")
    ]
