"""Figures of what a model does not know: abstaining, conformal sets, and the parts of its doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robustq.bench.estimates import Estimate
from robustq.bench.uncertainty_table import Abstention, Doubt, Sets
from robustq.report.canvas import cycle, empty

if TYPE_CHECKING:
    import plotly.graph_objects as go

PARTS = (("data", "#0072B2"), ("model", "#E69F00"), ("shots", "#009E73"), ("noise", "#CC79A7"))


def risk_coverage(rows: Sequence[tuple[str, Abstention]]) -> go.Figure:
    """Error rate among the answers that are given, over how many are given."""
    figure = empty("Share of inputs answered, the surest first", "Wrong among the answers")
    for (label, found), colour in zip(rows, cycle(len(rows)), strict=True):
        figure.add_scatter(
            x=[p.coverage for p in found.curve],
            y=[p.risk for p in found.curve],
            name=label,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate="%{y:.1%} wrong at %{x:.0%} answered<extra>" + label + "</extra>",
        )
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_yaxes(range=None, rangemode="tozero")
    return figure


def conformal_sets(rows: Sequence[tuple[str, Sets]]) -> go.Figure:
    """Coverage of each class with its interval; below the line the promise is not kept."""
    figure = empty("Class", "Sets that hold the true class")
    for (label, found), colour in zip(rows, cycle(len(rows)), strict=True):
        covered = [c.coverage for c in found.by_class]
        figure.add_scatter(
            x=[c.label for c in found.by_class],
            y=[e.value for e in covered],
            name=label,
            mode="markers",
            marker={"color": colour, "size": 9},
            error_y=bars(covered),
            customdata=[[c.size.value] for c in found.by_class],
            hovertemplate="%{y:.1%} of %{x} covered, %{customdata[0]:.2f} classes a set<extra>" + label + "</extra>",
        )
    if rows:
        figure.add_hline(
            y=1 - rows[0][1].alpha,
            line={"color": "#64748b", "width": 1, "dash": "dash"},
            annotation_text="asked",
            annotation_font_size=11,
        )
        lowest = min(c.coverage.low for _, found in rows for c in found.by_class)
        figure.update_yaxes(range=[max(0.0, min(lowest, 1 - rows[0][1].alpha) - 0.05), 1.01])
    figure.update_layout(scattermode="group")
    return figure


def doubt_parts(rows: Sequence[tuple[str, Doubt]]) -> go.Figure:
    """The mean entropy of the answers as stacked bars; what is negative stands below zero."""
    figure = empty("Mean entropy of an answer, nats", "")
    for name, colour in PARTS:
        values: list[Estimate] = [getattr(found, name) for _, found in rows]
        if any(e.value for e in values):
            figure.add_bar(
                y=[label for label, _ in rows],
                x=[e.value for e in values],
                name=name,
                orientation="h",
                marker={"color": colour},
                hovertemplate="%{x:.4f} nats: " + name + "<extra>%{y}</extra>",
            )
    figure.update_layout(barmode="relative")
    figure.update_xaxes(tickformat=None)
    figure.update_yaxes(range=None, tickformat=None, autorange="reversed", automargin=True)
    return figure


def bars(estimates: Sequence[Estimate]) -> dict[str, object]:
    """Intervals as error bars.

    >>> bars([Estimate(value=0.5, low=0.4, high=0.7, inputs=1, seeds=1)])["symmetric"]
    False
    """
    return {
        "type": "data",
        "symmetric": False,
        "thickness": 1,
        "width": 3,
        "array": [e.high - e.value for e in estimates],
        "arrayminus": [e.value - e.low for e in estimates],
    }
