"""Figures of what a model knows of itself: reliability, abstaining, conformal sets, the parts of its doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robustq.bench.calibration import JudgedSets
from robustq.bench.estimates import Estimate
from robustq.bench.results import ReliabilityBin
from robustq.bench.uncertainty_table import Abstention, Doubt, Sets
from robustq.report.canvas import COLOURS, MARK, cycle, draw_axes, draw_curve, draw_floor, error_bars

if TYPE_CHECKING:
    import plotly.graph_objects as go

PARTS = (("data", COLOURS[0]), ("model", COLOURS[4]), ("shots", COLOURS[2]), ("noise", COLOURS[3]))


def draw_reliability_axes(lowest: float) -> go.Figure:
    """Accuracy over confidence from ``lowest`` on; the diagonal is perfect calibration."""
    figure = draw_axes("Confidence of the prediction", "How often it is right")
    draw_curve(figure, [0, 1], [0, 1], "perfect", MARK, dash="dash", width=1)
    return figure.update_xaxes(range=[lowest - 0.02, 1.02])


def draw_reliability(figure: go.Figure, bins: Sequence[ReliabilityBin], name: str, colour: str, **more: Any) -> None:
    """How often the answers are right against how sure they are; larger dots hold more of them."""
    total = max(1, sum(b.count for b in bins))
    draw_curve(
        figure,
        [b.confidence for b in bins],
        [b.accuracy for b in bins],
        name,
        colour,
        **{"mode": "lines+markers"} | more,
        marker={"size": [5 + 12 * (b.count / total) ** 0.5 for b in bins]},
        customdata=[b.count for b in bins],
        hovertemplate="%{y:.3f} right at %{x:.3f} sure (%{customdata} predictions)<extra>" + name + "</extra>",
    )


def risk_coverage(rows: Sequence[tuple[str, Abstention]]) -> go.Figure:
    """Error rate among the answers that are given, over how many are given."""
    figure = draw_axes("Share of inputs answered, the surest first", "Wrong among the answers")
    for (label, found), colour in zip(rows, cycle(len(rows)), strict=True):
        hover = "%{y:.1%} wrong at %{x:.0%} answered<extra>" + label + "</extra>"
        points = found.curve
        draw_curve(figure, [p.coverage for p in points], [p.risk for p in points], label, colour, hovertemplate=hover)
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%")
    return figure.update_yaxes(range=None, rangemode="tozero")


def conformal_sets(rows: Sequence[tuple[str, Sets | JudgedSets]]) -> go.Figure:
    """Coverage of each class with its interval; below the line the promise is not kept."""
    figure = draw_axes("Class", "Sets that hold the true class")
    for (label, found), colour in zip(rows, cycle(len(rows)), strict=True):
        covered = [c.coverage for c in found.by_class]
        figure.add_scatter(
            x=[c.label for c in found.by_class],
            y=[e.value for e in covered],
            name=label,
            mode="markers",
            marker={"color": colour, "size": 9},
            error_y=error_bars(covered),
            customdata=[[c.size.value] for c in found.by_class],
            hovertemplate="%{y:.1%} of %{x} covered, %{customdata[0]:.2f} classes a set<extra>" + label + "</extra>",
        )
    if rows:
        asked = 1 - rows[0][1].alpha
        draw_floor(figure, asked, "asked")
        lowest = min(c.coverage.low for _, found in rows for c in found.by_class)
        figure.update_yaxes(range=[max(0.0, min(lowest, asked) - 0.05), 1.01])
    return figure.update_layout(scattermode="group")


def doubt_parts(rows: Sequence[tuple[str, Doubt]]) -> go.Figure:
    """The mean entropy of the answers as stacked bars; what is negative stands below zero."""
    figure = draw_axes("Mean entropy of an answer, nats", "", unit="names")
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
    return figure.update_layout(barmode="relative")
