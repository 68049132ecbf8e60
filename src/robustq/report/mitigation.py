"""The mitigation table as a self-contained page, and for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.mitigation_table import MitigationRow, Mitigations
from robustq.report.canvas import COLOURS, draw_axes, error_bars
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_table
from robustq.report.words import gain

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType


def write_mitigation(found: Mitigations, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_mitigation(found).encode())


def render_mitigation(found: Mitigations) -> str:
    """The page as text."""
    return render_page("mitigation", "error mitigation", found, {"errors": errors(found.rows)})


def errors(rows: list[MitigationRow]) -> go.Figure:
    """Bias, scatter and whole error of every technique that applies, side by side."""
    figure = draw_axes("", "Distance from the ideal expectation", unit="amount")
    applied = [row for row in rows if not row.refused]
    for key, name, colour in (
        ("bias", "bias, exact values", COLOURS[0]),
        ("spread", "scatter of the shots", COLOURS[4]),
        ("error", "whole error", COLOURS[1]),
    ):
        estimates = [getattr(row, key) for row in applied]
        figure.add_bar(
            x=[row.name for row in applied],
            y=[e.value for e in estimates],
            name=name,
            marker={"color": colour},
            error_y=error_bars(estimates),
            hovertemplate="%{y:.4f} " + name + "<extra>%{x}</extra>",
        )
    return figure.update_layout(barmode="group")


def mitigation_table(found: Mitigations) -> RenderableType:
    """The techniques for the terminal."""
    from rich.console import Group

    title = f"{found.title} on {found.device}, {found.shots} shots an answer; {found.threat}, {found.attack}"
    columns = ("technique", "bias", "error", "variance", "circuits", "clean", "change", "robust", "change")
    rows = [(row.name, *(["–"] * 8 if row.refused else _cells(row))) for row in found.rows]
    refused = [f"{row.name} does not apply: {row.refused}" for row in found.rows if row.refused]
    return Group(make_table(title, columns, rows), *make_lines([describe_changes(found.rows), *refused], "dim"))


def _cells(row: MitigationRow) -> list[str]:
    assert row.bias is not None
    assert row.error is not None
    assert row.accuracy is not None
    assert row.robust is not None
    gains = [gain(g) if g is not None else "" for g in (row.accuracy_gain, row.robust_gain)]
    circuits = "one a shot" if row.random else str(row.circuits)
    extra = f" + {row.training}" if row.training else ""
    return [
        f"{row.bias.value:.4f}",
        f"{row.error.value:.4f}",
        f"{row.overhead:.2f}x",
        circuits + extra,
        f"{100 * row.accuracy.value:.1f}",
        gains[0],
        f"{100 * row.robust.value:.1f}",
        gains[1],
    ]


def describe_changes(rows: list[MitigationRow]) -> str:
    """Whether anything changed accuracy, in a sentence."""
    tried = [row for row in rows[1:] if not row.refused]
    clean = [row.name for row in tried if row.significant[0]]
    robust = [row.name for row in tried if row.significant[1]]
    if not tried:
        return "No technique applies."
    if not clean and not robust:
        return f"None of {len(tried)} techniques changed clean or robust accuracy significantly."
    words = [
        f"{what} accuracy changed significantly by {', '.join(names)}"
        for what, names in (("clean", clean), ("robust", robust))
        if names
    ]
    text = "; ".join(words) + "."
    return text[0].upper() + text[1:]
