"""``robustq defend``: what each defence buys under attacks that know it, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.bench.defend import with_recipes
from robustq.bench.recipes import RecipeSpec, StepSpec
from robustq.cli.console import notes, out, print_json, progress_bar
from robustq.cli.paths import check_writable
from robustq.cli.specification import specification
from robustq.report import defence_table, write_defences


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
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Train the model under every defence and attack each with full knowledge of it.

    Interrupted? Run the same command again: finished work is kept, and the results are the same.
    """
    plan = specification(spec, data, classes, seeds, seed, device)
    if recipes is not None:
        content = {**plan.model_dump(), "recipes": [r.model_dump() for r in _named(recipes)]}
        plan = bench.parse(content)
    plan = with_recipes(bench.completed(plan, plan.raw()))
    run = to or Path("runs") / f"{plan.data.name}-defences-{plan.content_id[:8]}"
    check_writable(run)
    try:
        with progress_bar(1) as advance:
            table = bench.defend(plan, run, workers=workers, progress=advance)
    except KeyboardInterrupt:
        notes().print("interrupted; run the same command again to continue", markup=False)
        raise typer.Exit(130) from None
    timing = bench.read_timing(run)
    write_defences(table, timing, run / "defences.html")
    if as_json:
        print_json(table.model_dump())
    else:
        out().print(defence_table(table, timing))
    notes().print(f"table:   {run / 'defences.html'}\nresults: {run / 'defences.json'}", soft_wrap=True)


def _named(text: str) -> list[RecipeSpec]:
    """Recipes separated by commas, their steps by plus signs."""
    return [
        RecipeSpec(steps=[StepSpec(name=name.strip()) for name in recipe.split("+")]) for recipe in text.split(",")
    ]
