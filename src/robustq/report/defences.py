"""The defence table as a self-contained page with its figure, and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench import DefenceTable
from robustq.bench.defence_table import DefendedRow, Timing
from robustq.bench.estimates import Estimate
from robustq.report.canvas import COLOURS, INK, draw_axes, draw_curve, draw_mark, error_bars
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_notes, make_table
from robustq.report.words import points, share

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

MARKS = {"usual": "circle-open", "transfer": "diamond-open", "adaptive": "x-thin-open"}
KNOWLEDGE = {
    "usual": "under the usual attack",
    "transfer": "transferred from the undefended model",
    "adaptive": "under the attack that knows the defence",
}


def write_defences(table: DefenceTable, timing: Timing, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_defences(table, timing).encode())


def render_defences(table: DefenceTable, timing: Timing) -> str:
    """The page as text."""
    figures = {"bars": bars(table), "curves": curves(table), "plane": plane(table)}
    return render_page("defences", "defence table", table, figures, times=times(table, timing), word=word)


def word(row: DefendedRow) -> str:
    """What became of a defence under attacks that know it."""
    if row.gain is None:
        return ""
    if row.gain.survives:
        return "survives"
    return "only under the usual attack" if row.gain.only_usual else "no gain beyond chance"


def times(table: DefenceTable, timing: Timing) -> dict[str, tuple[str, str]]:
    """Training and answering times of each row over the undefended model's; a dash where unknown."""
    first = table.rows[0].key

    def ratio(seconds: dict[str, float], key: str) -> str:
        if not seconds.get(first) or key not in seconds:
            return "–"
        return f"{seconds[key] / seconds[first]:.1f}×"

    return {row.key: (ratio(timing.training, row.key), ratio(timing.answering, row.key)) for row in table.rows}


def bars(table: DefenceTable) -> go.Figure:
    """For every row what each attack leaves, at the reference eps; the bar is what none of them flips."""
    figure = draw_axes(f"Accuracy at eps = {table.reference_eps:g}", "", unit="names")
    names = [row.label for row in table.rows]
    found = [row.at(table.reference_eps) for row in table.rows]
    robust = [p.robust for p in found]
    figure.add_bar(
        y=names,
        x=[e.value for e in robust],
        orientation="h",
        name="right, and flipped by no attack",
        marker={"color": [_colour(row) for row in table.rows], "opacity": 0.75},
        error_x=error_bars(robust, "#334155"),
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    for kind, symbol in MARKS.items():
        figure.add_scatter(
            y=names,
            x=[getattr(p, kind).value for p in found],
            mode="markers",
            name=KNOWLEDGE[kind],
            marker={"symbol": symbol, "size": 9, "color": INK, "line": {"width": 1.5}},
            hovertemplate="%{y}: %{x:.3f} " + KNOWLEDGE[kind] + "<extra></extra>",
        )
    figure.add_scatter(
        y=names,
        x=[row.accuracy.value for row in table.rows],
        mode="markers",
        name="clean",
        marker={"symbol": "line-ns-open", "size": 16, "color": "#475569", "line": {"width": 2}},
        hovertemplate="%{y}: %{x:.3f} clean<extra></extra>",
    )
    known = [row for row in table.rows if row.certified]
    figure.add_scatter(
        y=[row.label for row in known],
        x=[_certified(row, table) for row in known],
        mode="markers",
        name="certified",
        marker={"symbol": "star", "size": 9, "color": COLOURS[4]},
        hovertemplate="%{y}: %{x:.3f} certified<extra></extra>",
    )
    draw_mark(figure, table.majority, annotation_text="commonest class", annotation_font_size=11)
    figure.update_layout(height=140 + 46 * len(names), barmode="overlay")
    return figure.update_xaxes(range=[0, 1.02], tickformat=".0%")


def _certified(row: DefendedRow, table: DefenceTable) -> float:
    assert row.certified is not None
    return row.certified.at(table.reference_eps).certified.value


def _colour(row: DefendedRow) -> str:
    """Grey without a defence, blue where it lasts, orange where it does not, violet if classical."""
    if row.family == "classical":
        return COLOURS[3]
    if row.gain is None:
        return COLOURS[6]
    return COLOURS[0] if row.gain.survives else COLOURS[1]


def curves(table: DefenceTable) -> go.Figure:
    """Robust accuracy over the budgets."""
    figure = draw_axes("Perturbation budget eps", "Robust accuracy")
    for place, row in enumerate(table.rows):
        estimates = [row.accuracy, *(p.robust for p in row.points)]
        draw_curve(
            figure,
            [0.0, *(p.eps for p in row.points)],
            [e.value for e in estimates],
            row.label,
            COLOURS[place % len(COLOURS)],
            dash=_dash(row, place),
            mode="lines+markers",
            hovertemplate="%{y:.3f} at %{x}",
        )
    draw_mark(figure, table.reference_eps)
    # the legend is long: room for it below
    figure.update_layout(height=400 + 22 * len(table.rows), legend={"y": -0.3})
    return figure


def _dash(row: DefendedRow, place: int) -> str:
    if row.family == "classical":
        return "dot"
    return ("solid", "dash", "longdash")[place // len(COLOURS) % 3]


def plane(table: DefenceTable) -> go.Figure:
    """Clean against robust accuracy, with both intervals: up and to the right is better."""
    figure = draw_axes("Clean accuracy", f"Robust accuracy at eps = {table.reference_eps:g}")
    for row in table.rows:
        robust = row.at(table.reference_eps).robust
        figure.add_scatter(
            x=[row.accuracy.value],
            y=[robust.value],
            mode="markers",
            name=row.label,
            marker={"size": 11, "color": _colour(row)},
            error_x=error_bars([row.accuracy]),
            error_y=error_bars([robust]),
            hovertemplate=f"{row.label}: %{{x:.3f}} clean, %{{y:.3f}} robust<extra></extra>",
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(range=None)
    return figure


def defence_table(table: DefenceTable, timing: Timing) -> RenderableType:
    """The table for the terminal: what it says first, then the rows."""
    from rich.console import Group

    columns = (
        "defence",
        "clean",
        f"robust at {table.reference_eps:g}",
        "usual",
        "transfer",
        "adaptive",
        "certified",
        "ASR",
        "ECE",
        "noise",
        "2q gates",
        "training",
        "gain",
    )
    taken = times(table, timing)
    rows = [_cells(row, table, taken[row.key][0]) for row in table.rows]
    shown = make_table(f"{table.title}: {table.threat}, {table.seeds} seeds", columns, rows)
    return Group(*make_lines(table.sentences, indent="  "), shown, *make_notes(remarks(table)))


def _cells(row: DefendedRow, table: DefenceTable, training: str) -> list[str]:
    point = row.at(table.reference_eps)
    gain = "–" if row.gain is None else points(row.gain.robust.value) + ("*" if row.gain.survives else "")
    return [
        row.label,
        share(row.accuracy),
        share(point.robust),
        _short(point.usual),
        _short(point.transfer),
        _short(point.adaptive),
        f"{100 * _certified(row, table):.1f}" if row.certified else "–",
        _short(point.success),
        f"{row.calibration_error.value:.3f}",
        _short(row.noise_resilience) if row.noise_resilience else "–",
        "–" if row.two_qubit_gates is None else str(row.two_qubit_gates),
        training,
        gain,
    ]


def _short(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}"


def remarks(table: DefenceTable) -> Sequence[str]:
    """What a reader must know before using a number."""
    found = [
        f"robust: flipped by none of {table.usual_attack}; the worst inputs of the "
        f"undefended model; {table.adaptive_attack} on the defended model and its twins.",
        "*: more than the undefended model beyond chance, corrected for all rows.",
    ]
    if any(row.rejected for row in table.rows):
        found.append("A clean input that raises an alarm counts as wrong, an attacked one as not flipped.")
    if any(row.randomised for row in table.rows):
        found.append("Models that answer at random are judged by the majority of 25 answers.")
    return found
