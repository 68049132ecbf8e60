"""``robustq store``: look into a store, check it, tidy it, export it, take another's results in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from robustq.cli.console import notes, out, print_json
from robustq.report.terminal import make_table
from robustq.runs import Store, embedded, environment
from robustq.runs import maintenance as m

app = typer.Typer(help="Look into a store of results, check it, tidy it, exchange results.", no_args_is_help=True)
Place = Annotated[str, typer.Argument(help="Run folder, SQLite file, or postgresql://... URL.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def opened(place: str) -> Store:
    """The store of a run folder, a file or a URL, which must exist."""
    folder = Path(place)
    return Store.open(embedded(folder) if folder.is_dir() else place, create=False, patience=10.0)


@app.command("ls")
def listing(store: Place, as_json: AsJson = False) -> None:
    """List the runs of a store and how far they are."""
    states = m.run_states(opened(store))
    if as_json:
        print_json([asdict(state) for state in states])
        return
    rows = [
        (s.name, *(str(s.units.get(k, 0)) for k in ("done", "leased", "waiting", "failed")), s.folder) for s in states
    ]
    out().print(make_table("Runs", ("run", "done", "running", "waiting", "failed", "folder"), rows))


@app.command("show")
def show(
    store: Place, run: Annotated[str | None, typer.Option(help="One run's.")] = None, as_json: AsJson = False
) -> None:
    """List units that failed or gave two different results."""
    kept = opened(store)
    names = [run] if run is not None else [state.name for state in m.run_states(kept)]
    failures = [asdict(failure) for name in names for failure in kept.failures(name)]
    conflicts = [{"unit": unit, "label": label} for label, unit in kept.conflicts(run)]
    if as_json:
        print_json({"failures": failures, "conflicts": conflicts})
        return
    rows = [(f["label"], f["unit"][:12], f["error"] or "") for f in failures]
    rows += [(c["label"], c["unit"][:12], "two different results: not deterministic") for c in conflicts]
    if rows:
        out().print(make_table("Units that need a look", ("unit", "id", "why"), rows, names=3))
    else:
        out().print("no unit failed, and none gave two different results")


@app.command("check")
def check(store: Place, as_json: AsJson = False) -> None:
    """Read every result and compare it with its hash; exit code 1 if any differs, is lost, or contradicts another."""
    health = m.check(opened(store))
    if as_json:
        print_json(asdict(health))
    else:
        out().print(f"{health.results} results, {len(health.lost)} lost, {len(health.conflicts)} contradicted")
        for label, unit in health.conflicts:
            notes().print(f"red: {label} ({unit[:12]}): two different results", style="red", markup=False)
        for unit in health.lost:
            notes().print(f"lost: {unit[:12]}: run the command of its run again", style="red", markup=False)
    if not health.is_sound:
        raise typer.Exit(1)


@app.command("export")
def export(store: Place, to: Annotated[Path, typer.Argument(help="File ending in .parquet or .csv.")]) -> None:
    """Write one row a unit: what it was, how often it was tried, what it took."""
    rows = m.export(opened(store), to)
    notes().print(f"{rows} units: {to}", markup=False)


@app.command("import")
def absorb(store: Place, other: Annotated[str, typer.Argument(help="The store whose results are taken in.")]) -> None:
    """Take in another store's results: set union; exit code 1 if a unit has different results in the two."""
    new, differing = m.absorb(Store.open(store), opened(other))
    out().print(f"{new} new results, {len(differing)} contradicted")
    if differing:
        raise typer.Exit(1)


@app.command("gc")
def collect(
    store: Place,
    old: Annotated[bool, typer.Option("--old", help="Also drop units of other versions of the code.")] = False,
) -> None:
    """Delete files that no result names."""
    units, payloads = m.collect_garbage(opened(store), environment=environment() if old else None)
    out().print(f"{units} units and {payloads} files deleted")
