"""The Pareto front of a co-design search on a self-contained page, and as a table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustq.atomic import write_atomically
from robustq.bench import Front
from robustq.bench.estimates import Estimate
from robustq.bench.pareto import Finalist, Goal, Trial
from robustq.report.canvas import COLOURS, INK, draw_axes, error_bars, layout
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_table
from robustq.report.words import bounds, gain, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

SCALE = "Viridis"
CHOICES = (("Encoding", "encoding"), ("Ansatz", "ansatz"), ("Read-out", "readout"), ("Defence", "defence"))


def write_codesign(front: Front, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_codesign(front).encode())


def render_codesign(front: Front) -> str:
    """The page as text."""
    return render_page(
        "codesign",
        "co-design",
        front,
        {"front": scatter(front), "test": on_test_rows(front), "parallel": parallel(front)},
        score=score,
        is_count=is_count,
        gap=gap,
        distinct=distinct(front),
        axes=axes(front),
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
    return f"{estimate.value:.0f}" if is_count(goal) else percent(estimate.value)


def gap(goal: Goal, estimate: Estimate) -> str:
    """The gap to the specification's own model: how many fewer, or points of percent with the interval."""
    if is_count(goal):
        fewer = round(estimate.value)
        return f"{abs(fewer)} {'fewer' if fewer >= 0 else 'more'}" if fewer else "as many"
    return gain(estimate)


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
        "on the front": {"size": 15, "line": {"width": 1.5, "color": INK}},
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
                error_x=error_bars([f.scores[x.name] for f in members], colour),
                error_y=error_bars([f.scores[y.name] for f in members], colour),
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
    for label, key in CHOICES:
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
    return figure.update_layout(layout(height=440, margin={"l": 90, "r": 140, "t": 90, "b": 24}, font_size=12))


def _axes_of(x: Goal, y: Goal) -> go.Figure:
    figure = draw_axes(x.label, y.label)
    figure.update_layout(height=460)
    figure.update_xaxes(tickformat="d" if is_count(x) else ".0%")
    figure.update_yaxes(range=None, autorange=True, tickformat="d" if is_count(y) else ".0%")
    return figure


def _star(figure: go.Figure, scores: dict[str, Estimate], x: Goal, y: Goal, name: str) -> None:
    figure.add_scatter(
        x=[scores[x.name].value],
        y=[scores[y.name].value],
        mode="markers",
        name=name,
        marker={"symbol": "star", "size": 17, "color": COLOURS[1], "line": {"width": 1, "color": INK}},
        hovertemplate=name + "<br>%{x:.3f}, %{y:.3f}<extra></extra>",
    )


def codesign_table(front: Front) -> RenderableType:
    """The finalists on the test rows for the terminal, and what they are worth."""
    from rich.console import Group

    title = (
        f"{front.title}: {len(distinct(front))} architectures tried, {len(front.members)} on the front; test rows, "
        f"{front.threat}, {front.seeds['final']} seeds; in percent"
    )
    goals = [goal.label + ("" if goal.chosen else " *") for goal in front.goals]
    rows = [_cells(row, front) for row in (front.reference, *front.finalists)]
    table = make_table(title, ("trial", "architecture", *goals), rows, names=0)
    table.columns[1].justify, table.columns[1].min_width = "left", 34
    lines = [front.statement]
    if not all(goal.chosen for goal in front.goals):
        lines.append("* measured at the end only; the search was not for it")
    if front.contradictions:
        lines.append(f"{front.contradictions} certified inputs were flipped: a certificate is wrong")
    return Group(table, *make_lines(lines, indent="  "))


def _cells(row: Finalist, front: Front) -> list[str]:
    own = row is front.reference
    mark = " (the specification's own)" if own else " (dominates it)" if row.dominates else ""
    scores = [(goal, row.scores[goal.name]) for goal in front.goals]
    cells = [score(goal, e) if is_count(goal) else f"{100 * e.value:.1f}\n[{bounds(e)}]" for goal, e in scores]
    return [str(row.number), row.label + mark, *cells]
