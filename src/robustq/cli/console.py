"""Where the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from robustq.stats import Interval


def out() -> Console:
    """The console for results; wide enough for tables when it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=150)


def notes() -> Console:
    """The console for progress and remarks."""
    return Console(stderr=True)


def print_json(content: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, indent=1))


def print_record(record: BaseModel, table: Any, *, as_json: bool) -> None:
    """A record as JSON, or the ``table`` made of it."""
    if as_json:
        print_json(record.model_dump())
    else:
        out().print(table)


def as_rate(interval: Interval) -> list[float]:
    """A rate with its interval, as verdicts hold it: value, lower and upper end."""
    return [round(v, 6) for v in (interval.value, interval.low, interval.high)]


def print_lines(content: Mapping[str, Any]) -> None:
    """One line a key on standard output; a list of three numbers is a rate with its interval."""
    lines = (f"{key.replace('_', ' ')}: {in_words(value)}" for key, value in content.items())
    out().print("\n".join(lines), highlight=False, markup=False)


def in_words(value: Any) -> str:
    """A value for a reader; a list of three numbers is a rate with its interval."""
    if isinstance(value, list):
        return f"{100 * value[0]:.1f} % [{100 * value[1]:.1f}, {100 * value[2]:.1f}]"
    if isinstance(value, dict):
        return ", ".join(f"{name} {change:+.4g}" for name, change in value.items()) or "nothing"
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def progress_bar(total: int) -> Iterator[Any]:
    """A bar on standard error; yields ``advance(description, done, total)``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes()) as bar:
        task = bar.add_task("starting", total=total)

        def advance(description: str, done: int, count: int) -> None:
            bar.update(task, description=description, completed=done, total=count)

        yield advance
