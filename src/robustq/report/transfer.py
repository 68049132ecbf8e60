"""The transfer matrix as a heat map on a self-contained page, and as a table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench import Matrix
from robustq.report.canvas import INK, layout
from robustq.report.renderer import render_page
from robustq.report.terminal import make_notes, make_table
from robustq.report.words import bounds

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

SCALE = [[0, "#ffffff"], [0.5, "#b7d4ea"], [1, "#56a0d3"]]  # dark text stays readable on all of it

IDLE = "No better than always answering the commonest class: {names}. Read nothing into their rows and columns."


def write_transfer(matrix: Matrix, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_transfer(matrix).encode())


def render_transfer(matrix: Matrix) -> str:
    """The page as text."""
    figures = {"transfer": heat_map(matrix)}
    return render_page("transfer", "transfer matrix", matrix, figures, idle=describe_idle(matrix))


def describe_idle(matrix: Matrix) -> str:
    """Which models have learnt nothing; empty if all have learnt something."""
    names = ", ".join(target.label for target in matrix.idle)
    return IDLE.format(names=names) if names else ""


def heat_map(matrix: Matrix) -> go.Figure:
    """Sources down, targets across; the rate and its interval in every cell."""
    import plotly.graph_objects as go

    rows = [[matrix.cell(s.key, t.key) for t in matrix.targets] for s in matrix.sources]
    figure = go.Figure(
        go.Heatmap(
            z=[[cell.rate for cell in row] for row in rows],
            x=[t.label for t in matrix.targets],
            y=[s.label for s in matrix.sources],
            text=[[f"{100 * c.rate:.1f} %<br>[{bounds(c)}]" for c in row] for row in rows],
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
    return figure.update_layout(
        layout(
            height=120 + 62 * len(rows),
            xaxis={"title": "asked of (target)", "automargin": True},
            yaxis={"title": "made on (source)", "automargin": True, "autorange": "reversed"},
        )
    )


def transfer_table(matrix: Matrix) -> RenderableType:
    """The matrix for the terminal."""
    from rich.console import Group

    title = f"{matrix.title}: inputs flipped, of those the target gets right; {matrix.threat}"
    cells = [[matrix.cell(source.key, target.key) for target in matrix.targets] for source in matrix.sources]
    rows = [
        (source.label, *(f"{100 * c.rate:.1f} [{bounds(c)}]" for c in row))
        for source, row in zip(matrix.sources, cells, strict=True)
    ]
    columns = ("made on \\ asked of", *(target.label for target in matrix.targets))
    return Group(make_table(title, columns, rows), *make_notes([describe_idle(matrix)] if matrix.idle else []))
