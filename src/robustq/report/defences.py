"""The defence table as a self-contained page with its figure, and as a table for the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.defence_table import DefenceTable, DefendedRow, Timing
from robustq.bench.estimates import Estimate
from robustq.report.canvas import COLOURS, empty
from robustq.report.words import interval, percent, script_safe

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

MARKS = {"usual": "circle-open", "transfer": "diamond-open", "adaptive": "x-thin-open"}
SAID = {
    "usual": "under the usual attack",
    "transfer": "transferred from the undefended model",
    "adaptive": "under the attack that knows the defence",
}


def write_defences(table: DefenceTable, timing: Timing, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_defences(table, timing).encode())


def render_defences(table: DefenceTable, timing: Timing) -> str:
    """The page as text: no network, no time stamp; the same table and timing give the same page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "points": points}
    figures = {"bars": bars(table), "curves": curves(table), "plane": plane(table)}
    return environment.get_template("defences.html.j2").render(
        t=table,
        times=times(table, timing),
        eps=table.reference_eps,
        word=word,
        figures={name: script_safe(figure.to_json()) for name, figure in figures.items()},
        height=140 + 46 * len(table.rows),
        plotly=get_plotlyjs(),
        spec=json.dumps(table.spec, indent=1),
    )


def points(estimate: Estimate) -> str:
    """A difference in percentage points.

    >>> points(Estimate(value=0.1, low=0.05, high=0.15, inputs=1, seeds=1))
    '+10.0'
    """
    return f"{100 * estimate.value:+.1f}"


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
    figure = empty(f"Accuracy at eps = {table.reference_eps:g}", "")
    names = [row.label for row in table.rows]
    found = [row.at(table.reference_eps) for row in table.rows]
    robust = [p.robust for p in found]
    figure.add_bar(
        y=names,
        x=[e.value for e in robust],
        orientation="h",
        name="right, and flipped by no attack",
        marker={"color": [_colour(row) for row in table.rows], "opacity": 0.75},
        error_x={
            "type": "data",
            "symmetric": False,
            "thickness": 1.2,
            "color": "#334155",
            "array": [e.high - e.value for e in robust],
            "arrayminus": [e.value - e.low for e in robust],
        },
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    for kind, symbol in MARKS.items():
        figure.add_scatter(
            y=names,
            x=[getattr(p, kind).value for p in found],
            mode="markers",
            name=SAID[kind],
            marker={"symbol": symbol, "size": 9, "color": "#0f172a", "line": {"width": 1.5}},
            hovertemplate="%{y}: %{x:.3f} " + SAID[kind] + "<extra></extra>",
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
        marker={"symbol": "star", "size": 9, "color": "#E69F00"},
        hovertemplate="%{y}: %{x:.3f} certified<extra></extra>",
    )
    figure.add_vline(
        x=table.majority,
        line={"color": "#94a3b8", "width": 1, "dash": "dot"},
        annotation_text="commonest class",
        annotation_font_size=11,
    )
    figure.update_layout(height=140 + 46 * len(names), barmode="overlay")
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_yaxes(range=None, tickformat=None, autorange="reversed", automargin=True)
    return figure


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
    figure = empty("Perturbation budget eps", "Robust accuracy")
    for place, row in enumerate(table.rows):
        estimates = [row.accuracy, *(p.robust for p in row.points)]
        figure.add_scatter(
            x=[0.0, *(p.eps for p in row.points)],
            y=[e.value for e in estimates],
            name=row.label,
            mode="lines+markers",
            line={"color": COLOURS[place % len(COLOURS)], "width": 2, "dash": _dash(row, place)},
            hovertemplate="%{y:.3f} at %{x}",
        )
    figure.add_vline(x=table.reference_eps, line={"color": "#94a3b8", "width": 1, "dash": "dot"})
    # the legend is long: room for it below
    figure.update_layout(height=400 + 22 * len(table.rows), legend={"y": -0.3})
    return figure


def _dash(row: DefendedRow, place: int) -> str:
    if row.family == "classical":
        return "dot"
    return ("solid", "dash", "longdash")[place // len(COLOURS) % 3]


def plane(table: DefenceTable) -> go.Figure:
    """Clean against robust accuracy, with both intervals: up and to the right is better."""
    figure = empty("Clean accuracy", f"Robust accuracy at eps = {table.reference_eps:g}")
    for row in table.rows:
        robust = row.at(table.reference_eps).robust
        figure.add_scatter(
            x=[row.accuracy.value],
            y=[robust.value],
            mode="markers",
            name=row.label,
            marker={"size": 11, "color": _colour(row)},
            error_x=_bar(row.accuracy),
            error_y=_bar(robust),
            hovertemplate=f"{row.label}: %{{x:.3f}} clean, %{{y:.3f}} robust<extra></extra>",
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(range=None)
    return figure


def _bar(estimate: Estimate) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "thickness": 1,
        "array": [estimate.high - estimate.value],
        "arrayminus": [estimate.value - estimate.low],
    }


def defence_table(table: DefenceTable, timing: Timing) -> RenderableType:
    """The table for the terminal: what it says first, then the rows."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    eps = f"{table.reference_eps:g}"
    shown = Table(title=f"{table.title}: {table.threat}, {table.seeds} seeds", title_justify="left")
    for name in (
        "defence",
        "clean",
        f"robust at {eps}",
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
    ):
        shown.add_column(name, justify="left" if name == "defence" else "right")
    taken = times(table, timing)
    for row in table.rows:
        shown.add_row(*_cells(row, table, taken[row.key][0]))
    told = [Text(f"  {sentence}") for sentence in table.sentences]
    return Group(*told, shown, *(Text(f"  note: {note}", style="dim") for note in remarks(table)))


def _cells(row: DefendedRow, table: DefenceTable, training: str) -> list[str]:
    point = row.at(table.reference_eps)
    gain = "–" if row.gain is None else points(row.gain.robust) + ("*" if row.gain.survives else "")
    return [
        row.label,
        _cell(row.accuracy),
        _cell(point.robust),
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


def _cell(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


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
