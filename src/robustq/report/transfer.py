"""The transfer matrix as a heat map on a self-contained page, and as a table for the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.matrix import Cell, Matrix
from robustq.report.words import percent, script_safe

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

SCALE = [[0, "#ffffff"], [0.5, "#b7d4ea"], [1, "#56a0d3"]]  # dark text stays readable on all of it
INK = "#0f172a"

IDLE = "No better than always answering the commonest class: {names}. Read nothing into their rows and columns."


def write_transfer(matrix: Matrix, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_transfer(matrix).encode())


def render_transfer(matrix: Matrix) -> str:
    """The page as text: no network, no time stamp; the same matrix gives the same page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment.get_template("transfer.html.j2").render(
        m=matrix,
        span=span,
        idle=IDLE,
        figure=script_safe(heat_map(matrix).to_json()),
        plotly=get_plotlyjs(),
        spec=json.dumps(matrix.spec, indent=1),
    )


def span(cell: Cell) -> str:
    """The interval of a cell, in percent.

    >>> span(Cell(source="qnn", target="mlp", flipped=[2], correct=[9], low=0.063, high=0.547))
    '6.3, 54.7'
    """
    return f"{100 * cell.low:.1f}, {100 * cell.high:.1f}"


def heat_map(matrix: Matrix) -> go.Figure:
    """Sources down, targets across; the rate and its interval in every cell."""
    import plotly.graph_objects as go

    rows = [[matrix.cell(s.key, t.key) for t in matrix.targets] for s in matrix.sources]
    figure = go.Figure(
        go.Heatmap(
            z=[[cell.rate for cell in row] for row in rows],
            x=[t.label for t in matrix.targets],
            y=[s.label for s in matrix.sources],
            text=[[f"{100 * c.rate:.1f} %<br>[{span(c)}]" for c in row] for row in rows],
            texttemplate="%{text}",
            textfont={"color": INK},
            zmin=0,
            zmax=1,
            colorscale=SCALE,
            xgap=2,
            ygap=2,
            colorbar={"tickformat": ".0%", "title": "flipped"},
            customdata=[[f"{sum(c.flipped)} of {sum(c.correct)}" for c in row] for row in rows],
            hovertemplate="made on %{y}, asked of %{x}: %{customdata}<extra></extra>",
        )
    )
    figure.update_layout(
        template="plotly_white",
        height=120 + 62 * len(rows),
        margin={"l": 48, "r": 12, "t": 12, "b": 44},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#0f172a"},
        xaxis={"title": "asked of (target)", "automargin": True},
        yaxis={"title": "made on (source)", "automargin": True, "autorange": "reversed"},
    )
    return figure


def transfer_table(matrix: Matrix) -> RenderableType:
    """The matrix for the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    title = f"{matrix.title}: inputs flipped, of those the target gets right; {matrix.threat}"
    table = Table(title=title, title_justify="left")
    table.add_column("made on \\ asked of")
    for target in matrix.targets:
        table.add_column(target.label, justify="right")
    for source in matrix.sources:
        row = [matrix.cell(source.key, target.key) for target in matrix.targets]
        table.add_row(source.label, *(f"{100 * c.rate:.1f} [{span(c)}]" for c in row))
    if not matrix.idle:
        return table
    names = ", ".join(target.label for target in matrix.idle)
    return Group(table, Text(f"  note: {IDLE.format(names=names)}", style="dim"))
