"""The mitigation table as a self-contained page, and for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.mitigation_table import MitigationRow, Mitigations
from robustq.report.canvas import COLOURS, empty
from robustq.report.words import gain, interval, percent, script_safe

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType


def write_mitigation(found: Mitigations, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_mitigation(found).encode())


def render_mitigation(found: Mitigations) -> str:
    """The page as text: no network, no time stamp."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, interval=interval)
    return environment.get_template("mitigation.html.j2").render(
        m=found, figure=script_safe(errors(found.rows).to_json()), plotly=get_plotlyjs()
    )


def errors(rows: list[MitigationRow]) -> go.Figure:
    """Bias, scatter and whole error of every technique that applies, side by side."""
    figure = empty("", "Distance from the ideal expectation")
    shown = [row for row in rows if not row.refused]
    for key, name, colour in (
        ("bias", "bias, exact values", COLOURS[0]),
        ("spread", "scatter of the shots", COLOURS[4]),
        ("error", "whole error", COLOURS[1]),
    ):
        estimates = [getattr(row, key) for row in shown]
        figure.add_bar(
            x=[row.name for row in shown],
            y=[e.value for e in estimates],
            name=name,
            marker={"color": colour},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [e.high - e.value for e in estimates],
                "arrayminus": [e.value - e.low for e in estimates],
            },
            hovertemplate="%{y:.4f} " + name + "<extra>%{x}</extra>",
        )
    figure.update_layout(barmode="group")
    figure.update_yaxes(range=None, tickformat=None, rangemode="tozero")
    return figure


def mitigation_table(found: Mitigations) -> RenderableType:
    """The techniques for the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    title = f"{found.title} on {found.device}, {found.shots} shots an answer; {found.threat}, {found.attack}"
    table = Table(title=title, title_justify="left")
    for name in ("technique", "bias", "error", "variance", "circuits", "clean", "change", "robust", "change"):
        table.add_column(name, justify="left" if name == "technique" else "right")
    for row in found.rows:
        table.add_row(row.name, *(["–"] * 8 if row.refused else _cells(row)))
    refused = [Text(f"{r.name} does not apply: {r.refused}", style="dim") for r in found.rows if r.refused]
    return Group(table, Text(told(found.rows), style="dim"), *refused)


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


def told(rows: list[MitigationRow]) -> str:
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
