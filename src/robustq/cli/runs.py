"""``robustq runs``: what is running or unfinished, and how to continue it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustq.cli.console import out, print_json
from robustq.cli.store import opened
from robustq.report.terminal import make_table
from robustq.runs.maintenance import RunState, run_states
from robustq.runs.store import Store

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("run", "began", "done", "running", "failed", "units an hour", "time left", "to continue")


def runs(
    place: Annotated[str, typer.Argument(help="Folder of run folders, or a store.")] = "runs",
    everything: Annotated[bool, typer.Option("--all", help="Finished ones too.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second until all are finished.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch a line every second.")] = False,
) -> None:
    """List runs, whoever works at them, with their rate and the time they still need."""
    if not watch:
        found = list(_states(place, everything))
        print_json([_row(*each) for each in found]) if as_json else out().print(_table(found))
        return
    from rich.live import Live

    with Live(console=out(), auto_refresh=False) as live:
        while True:
            found = list(_states(place, everything))
            if as_json:
                print(json.dumps([_row(*each) for each in found]), flush=True)
            else:
                live.update(_table(found), refresh=True)
            if all(state.finished for state, _ in found):
                return
            time.sleep(1.0)


def _states(place: str, everything: bool) -> Iterator[tuple[RunState, float]]:
    """Runs with their units an hour."""
    for store in _stores(place):
        for state in run_states(store):
            if everything or not state.finished:
                yield state, store.rate(state.name)


def _stores(place: str) -> Iterator[Store]:
    """One store, or those of all run folders in a folder."""
    inner = sorted(Path(place).glob("*/store/store.sqlite")) if "://" not in place else []
    if inner:
        yield from (opened(str(path)) for path in inner)
    elif "://" in place or Path(place).is_file() or (Path(place) / "store").is_dir():
        yield opened(place)


def _row(state: RunState, rate: float) -> dict[str, Any]:
    left = sum(count for name, count in state.units.items() if name in ("waiting", "leased"))
    return asdict(state) | {"units_an_hour": rate, "seconds_left": round(3600 * left / rate, 1) if rate else None}


def _table(found: list[tuple[RunState, float]]) -> Table:
    rows = []
    for state, rate in found:
        row, units = _row(state, rate), state.units
        left = f"{row['seconds_left']:.0f} s" if row["seconds_left"] else ""
        began = datetime.fromtimestamp(state.began).strftime("%Y-%m-%d %H:%M")
        name = state.name if state.name != "run" else Path(state.folder).name
        done = f"{units.get('done', 0)} of {sum(units.values())}"
        running, failed = str(units.get("leased", 0)), str(units.get("failed", 0))
        rows.append((name, began, done, running, failed, f"{rate:.0f}", left, state.command))
    return make_table("Runs", COLUMNS, rows)
