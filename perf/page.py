"""A run as Markdown tables and a figure, and their place in the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perf.chart import Series, figure
from perf.compare import Row
from perf.markers import inject, markers
from perf.peers import PEERS

BEGIN, END = markers("perf")
COMPARISONS = ("gradient", "frozen", "noisy", "noisy-frozen")


def write(results: dict[str, Any], page: Path) -> None:
    """Put the tables between the page's markers and the figure beside the page."""
    panels = _panels(results["rows"])
    block = markdown(results)
    if panels:
        picture = page.with_suffix(".svg")
        picture.write_text(figure(panels), encoding="utf-8")
        block += f"\n![Time of a call against qubits]({picture.name})\n"
    page.write_text(inject(page.read_text(encoding="utf-8"), block), encoding="utf-8")


def markdown(results: dict[str, Any]) -> str:
    """The whole run: machine, targets, then one table per subject."""
    rows: list[Row] = results["rows"]
    parts = [machine_line(results["machine"])] if results.get("machine") else []
    if results.get("targets"):
        parts.append("### Targets\n\n" + table(list(results["targets"])))
    for subject in dict.fromkeys(row["subject"] for row in rows):
        mine = [row for row in rows if row["subject"] == subject]
        lines = [line for row in mine for line in _contenders(row)] if "contenders" in mine[0] else mine
        shown = [{k: v for k, v in line.items() if k != "subject"} for line in lines]
        parts.append(f"### {subject.capitalize()}\n\n" + table(shown))
    return "\n\n".join(parts) + "\n"


def machine_line(found: dict[str, Any]) -> str:
    """Where, when and with what, as a sentence."""
    versions = ", ".join(f"{name} {v or 'not installed'}" for name, v in found["versions"].items())
    return (
        f"Measured {found['date']} on {found['processor']}, {found['cores']} cores, "
        f"{found['threads']} threads, {found['engine']}, Python {found['python']}: {versions}."
    )


def _contenders(row: Row) -> list[Row]:
    """One line per contender of a comparison."""
    head = {name: row[name] for name in ("qubits", "layers", "batch")}
    return [head | _line(name, found, row) for name, found in row["contenders"].items()]


def _line(name: str, found: Row, row: Row) -> Row:
    if found["status"] != "measured":
        return {"contender": name, "note": found["status"]}
    lower, upper = found["quartiles_ms"]
    return {
        "contender": f"**{name}**" if name == row["fastest_peer"] else name,
        "build s": found["make_s"],
        "first call s": found["first_s"],
        "median ms": found["median_ms"],
        "quartiles ms": f"{_cell(lower)} to {_cell(upper)}",
        "times ours": found["ratio"],
        "note": "; ".join(_notes(found, row)),
    }


def _notes(found: Row, row: Row) -> list[str]:
    notes = [found["note"]] if "note" in found else []
    if found["forward_only"]:
        notes.append("forward only")
    if found["samples"] != row["batch"]:
        notes.append(f"{found['samples']} samples, scaled to {row['batch']}")
    return notes


def table(lines: Sequence[Row]) -> str:
    """Rows as a Markdown table, the notes last."""
    columns = list(dict.fromkeys(name for line in lines for name in line))
    if "note" in columns:
        columns.append(columns.pop(columns.index("note")))
    head = " | ".join(column.replace("_", " ") for column in columns)
    body = [" | ".join(_cell(line.get(column)) for column in columns) for line in lines]
    return "\n".join([f"| {head} |", "|---" * len(columns) + "|", *(f"| {line} |" for line in body)])


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, list):
        return ", ".join(_cell(entry) for entry in value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def _panels(rows: Sequence[Row]) -> dict[str, Series]:
    """Medians of every comparison, by subject and contender."""
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        for name in PEERS if row["subject"] in COMPARISONS else ():
            found = row["contenders"].get(name, {})
            if "median_ms" in found:
                lines = panels.setdefault(row["subject"], {})
                shown = f"{name} (forward)" if PEERS[name].forward_only else name
                lines.setdefault(shown, []).append((row["qubits"], found["median_ms"]))
    return dict(panels)
