"""The Pareto front of a co-design search on a self-contained page, and as a table for the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustq.atomic import write_atomically
from robustq.bench.estimates import Estimate
from robustq.bench.pareto import Finalist, Front, Goal, Trial
from robustq.report.canvas import COLOURS, empty
from robustq.report.words import script_safe

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

SCALE = "Viridis"
CHOICES = (("Encoding", "encoding"), ("Ansatz", "ansatz"), ("Read-out", "readout"), ("Defence", "defence"))


def write_codesign(front: Front, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_codesign(front).encode())


def render_codesign(front: Front) -> str:
    """The page as text: no network, no time stamp; the same front gives the same page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = {"front": scatter(front), "test": on_test_rows(front), "parallel": parallel(front)}
    return environment.get_template("codesign.html.j2").render(
        f=front,
        score=score,
        span=span,
        gap=gap,
        distinct=distinct(front),
        axes=axes(front),
        figures={name: script_safe(figure.to_json()) for name, figure in figures.items()},
        plotly=get_plotlyjs(),
        spec=json.dumps(front.spec, indent=1),
    )


def is_count(goal: Goal) -> bool:
    """Whether it is counted, not a share.

    >>> is_count(Goal(name="two-qubit-gates", label="", summary="", higher=False, chosen=True))
    True
    """
    return not goal.higher


def score(goal: Goal, estimate: Estimate) -> str:
    """A value for a reader: a count, or a share in percent.

    >>> goal = Goal(name="clean", label="Clean accuracy", summary="", higher=True, chosen=True)
    >>> score(goal, Estimate(value=0.953, low=0.9, high=0.98, inputs=99, seeds=2)).split()
    ['95.3', '%']
    """
    return f"{estimate.value:.0f}" if is_count(goal) else f"{100 * estimate.value:.1f}\u00a0%"


def span(goal: Goal, estimate: Estimate) -> str:
    """Its interval in percent; nothing for a count."""
    return "" if is_count(goal) else f"{100 * estimate.low:.1f}, {100 * estimate.high:.1f}"


def gap(goal: Goal, estimate: Estimate) -> str:
    """The gap to the specification's own model: how many fewer, or points of percent with the interval."""
    if is_count(goal):
        fewer = round(estimate.value)
        return f"{abs(fewer)} {'fewer' if fewer >= 0 else 'more'}" if fewer else "as many"
    low, value, high = (100 * v for v in (estimate.low, estimate.value, estimate.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def distinct(front: Front) -> list[Trial]:
    """Every architecture once, those on the front first."""
    once = [trial for trial in front.trials if trial.same_as is None]
    return sorted(once, key=lambda trial: (not trial.front, trial.number))


def axes(front: Front) -> tuple[Goal, Goal]:
    """The two objectives that the scatter shows: the first two shares, else the first two."""
    shares = [goal for goal in front.chosen if not is_count(goal)]
    first, second = shares[:2] if len(shares) > 1 else front.chosen[:2]
    return first, second


def scatter(front: Front) -> go.Figure:
    """Every trained architecture of the search: two objectives, coloured by two-qubit gates."""
    x, y = axes(front)
    trained = [trial for trial in distinct(front) if trial.scores]
    groups = {
        "on the front": [t for t in trained if t.front],
        "dominated": [t for t in trained if not t.front and not t.infeasible],
        "outside the constraints": [t for t in trained if t.infeasible],
    }
    looks: dict[str, dict[str, Any]] = {
        "on the front": {"size": 15, "line": {"width": 1.5, "color": "#0f172a"}},
        "dominated": {"size": 9, "opacity": 0.6},
        "outside the constraints": {"size": 8, "symbol": "x-thin", "line": {"width": 1.5}},
    }
    figure = _axes_of(x, y)
    most = max((t.two_qubit_gates for t in trained), default=1)
    for name, members in groups.items():
        look = {"colorscale": SCALE, "reversescale": True, "cmin": 0, "cmax": max(1, most)} | looks[name]
        counts = [t.two_qubit_gates for t in members]
        if name == "outside the constraints":
            look["line"] = {"width": 1.5, "color": COLOURS[-1]}
        if name == "on the front":
            look["colorbar"] = {"title": {"text": "two-qubit<br>gates"}, "thickness": 12}
        figure.add_scatter(
            x=[t.scores[x.name].value for t in members],
            y=[t.scores[y.name].value for t in members],
            mode="markers",
            name=name,
            marker=look | {"color": counts},
            text=[f"trial {t.number}: {t.label}, {t.two_qubit_gates} two-qubit gates" for t in members],
            hovertemplate="%{text}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
        )
    _star(figure, front.trials[0].scores, x, y, "the specification's own model")
    return figure


def on_test_rows(front: Front) -> go.Figure:
    """The finalists and the specification's own model on the test rows, with intervals."""
    x, y = axes(front)
    figure = _axes_of(x, y)
    for name, members, colour in (
        ("dominates the specification's own model", [f for f in front.finalists if f.dominates], COLOURS[2]),
        ("finalist", [f for f in front.finalists if not f.dominates], COLOURS[0]),
        ("the specification's own model", [front.reference], COLOURS[1]),
    ):
        if members:
            figure.add_scatter(
                x=[f.scores[x.name].value for f in members],
                y=[f.scores[y.name].value for f in members],
                mode="markers+text",
                name=name,
                marker={"color": colour, "size": 11},
                text=[str(f.number) for f in members],
                textposition="top right",
                error_x=_bars([f.scores[x.name] for f in members], colour),
                error_y=_bars([f.scores[y.name] for f in members], colour),
                customdata=[f.label for f in members],
                hovertemplate="trial %{text}: %{customdata}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
            )
    return figure


def parallel(front: Front) -> go.Figure:
    """Every architecture within the constraints as a line through its objectives; the front in colour."""
    import plotly.graph_objects as go

    inside = [trial for trial in front.trials if trial.same_as is None and not trial.infeasible]
    inside = sorted(inside, key=lambda trial: trial.front)  # drawn last is on top
    dimensions = [
        {"label": goal.label, "values": [t.scores[goal.name].value for t in inside]}
        | ({} if is_count(goal) else {"tickformat": ".0%"})
        for goal in front.chosen
    ]
    for label, key in (
        ("Encoding", "encoding"),
        ("Ansatz", "ansatz"),
        ("Read-out", "readout"),
        ("Defence", "defence"),
    ):
        names = sorted({str(getattr(t.parameters, key)) for t in inside})
        dimensions.append(
            {
                "label": label,
                "tickvals": list(range(len(names))),
                "ticktext": names,
                "values": [names.index(str(getattr(t.parameters, key))) for t in inside],
            }
        )
    figure = go.Figure(
        go.Parcoords(
            line={
                "color": [int(t.front) for t in inside],
                "cmin": 0,
                "cmax": 1,
                "colorscale": [[0, "#cbd5e1"], [1, COLOURS[0]]],
            },
            dimensions=dimensions,
            labelangle=-12,
            labelside="top",
        )
    )
    figure.update_layout(
        template="plotly_white",
        height=440,
        margin={"l": 90, "r": 140, "t": 90, "b": 24},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#0f172a"},
    )
    return figure


def _axes_of(x: Goal, y: Goal) -> go.Figure:
    figure = empty(x.label, y.label)
    figure.update_layout(height=460)
    figure.update_xaxes(tickformat="d" if is_count(x) else ".0%")
    figure.update_yaxes(range=None, autorange=True, tickformat="d" if is_count(y) else ".0%")
    return figure


def _bars(estimates: list[Estimate], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "thickness": 1,
        "width": 3,
        "color": colour,
        "array": [e.high - e.value for e in estimates],
        "arrayminus": [e.value - e.low for e in estimates],
    }


def _star(figure: go.Figure, scores: dict[str, Estimate], x: Goal, y: Goal, name: str) -> None:
    figure.add_scatter(
        x=[scores[x.name].value],
        y=[scores[y.name].value],
        mode="markers",
        name=name,
        marker={"symbol": "star", "size": 17, "color": COLOURS[1], "line": {"width": 1, "color": "#0f172a"}},
        hovertemplate=name + "<br>%{x:.3f}, %{y:.3f}<extra></extra>",
    )


def codesign_table(front: Front) -> RenderableType:
    """The finalists on the test rows for the terminal, and what they are worth."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tried = len({trial.number for trial in front.trials if trial.same_as is None})
    title = (
        f"{front.title}: {tried} architectures tried, {len(front.members)} on the front; test rows, "
        f"{front.threat}, {front.seeds['final']} seeds; in percent"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("architecture", min_width=34)
    for goal in front.goals:
        table.add_column(goal.label + ("" if goal.chosen else " *"), justify="right")
    for row in (front.reference, *front.finalists):
        table.add_row(*_cells(row, front))
    told = [front.statement]
    if not all(goal.chosen for goal in front.goals):
        told.append("* measured at the end only; the search was not for it")
    if front.contradictions:
        told.append(f"{front.contradictions} certified inputs were flipped: a certificate is wrong")
    return Group(table, *(Text("  " + line) for line in told))


def _cells(row: Finalist, front: Front) -> list[str]:
    own = row is front.reference
    mark = " (the specification's own)" if own else " (dominates it)" if row.dominates else ""
    cells = [str(row.number), row.label + mark]
    for goal in front.goals:
        estimate = row.scores[goal.name]
        told = score(goal, estimate).split()[0]
        cells.append(told if is_count(goal) else f"{told}\n\\[{span(goal, estimate)}]")
    return cells
