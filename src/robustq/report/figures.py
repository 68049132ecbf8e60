"""The figures of the report card, as Plotly figures made from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robustq.bench.estimates import Estimate
from robustq.bench.results import EntrantResult, Results
from robustq.report import doubt
from robustq.report.canvas import COLOURS, cycle, draw_axes, draw_curve, draw_floor, draw_mark, error_bars, fade

if TYPE_CHECKING:
    import plotly.graph_objects as go

DASHES = {"quantum": "solid", "hybrid": "solid", "classical": "dot"}


def figures(results: Results) -> dict[str, go.Figure]:
    """Every figure by name; noise and history only where there is something to draw."""
    drawn = {"robustness": robustness(results)}
    if any(row.certified for row in results.entrants):
        drawn["sandwich"] = sandwich(results)
    drawn["reliability"] = reliability(results)
    drawn |= _doubt(results)
    noisy = [row for row in results.entrants if row.noise]
    if noisy:
        drawn["gate-noise"] = noise(results, noisy, "gate_error", "Depolarising error per gate")
        drawn["readout-noise"] = noise(results, noisy, "readout_error", "Read-out flip probability")
    if results.device:
        drawn["device"] = device(results)
    if any(row.history for row in results.entrants):
        drawn["history"] = history(results)
    return drawn


def _doubt(results: Results) -> dict[str, go.Figure]:
    """Abstaining, conformal sets and the parts of doubt; empty for results from before they were measured."""
    known = [(row.label, row.uncertainty) for row in results.entrants if row.uncertainty]
    if not known:
        return {}
    drawn = {"risk-coverage": doubt.risk_coverage([(n, u.abstention) for n, u in known])}
    sets = [(n, u.sets) for n, u in known if u.sets]
    if sets:
        drawn["sets"] = doubt.conformal_sets(sets)
    return drawn | {"doubt": doubt.doubt_parts([(n, u.doubt) for n, u in known])}


def robustness(results: Results) -> go.Figure:
    """Robust accuracy over eps with intervals, random noise as a thin line, majority as a floor."""
    figure = draw_axes("Perturbation budget eps", "Accuracy under attack")
    for row, colour in zip(results.entrants, cycle(len(results.entrants)), strict=True):
        eps = [0.0, *(point.eps for point in row.robust)]
        estimates = [row.accuracy, *(point.robust for point in row.robust)]
        _estimates(figure, eps, estimates, row, colour)
    quantum = results.entrants[0]
    eps = [0.0, *(p.eps for p in quantum.robust)]
    left = [quantum.accuracy.value, *(p.robust_to_noise.value for p in quantum.robust)]
    draw_curve(figure, eps, left, f"{quantum.label}, random noise", COLOURS[0], dash="dash", width=1)
    _floor(figure, results)
    draw_mark(figure, results.reference_eps)
    return figure


def sandwich(results: Results) -> go.Figure:
    """Certified, possible and attacked accuracy over eps of every entrant about which something is proved.

    What is certified is filled, so is the gap to the nearest witness; the attack must lie on top.
    """
    figure = draw_axes("Perturbation budget eps", "Accuracy")
    rows = [row for row in results.entrants if row.certified]
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        found = row.certified
        assert found is not None
        eps = [0.0, *(p.eps for p in found.points)]
        clean = row.accuracy.value
        certified = [clean, *(p.certified.value for p in found.points)]
        possible = [clean, *(p.possible.value for p in found.points)]
        group = {"legendgroup": row.key}
        hover, name = "%{y:.3f} certified at %{x}", f"{row.label}, certified"
        draw_curve(figure, eps, certified, name, colour, width=2.5, hovertemplate=hover, **group)
        draw_curve(
            figure,
            eps,
            possible,
            f"{row.label}, exact at most",
            colour,
            dash="dot",
            width=1,
            fill="tonexty",
            fillcolor=fade(colour),
            hovertemplate="at most %{y:.3f} at %{x}",
            **group,
        )
        attacked = [row.accuracy, *(p.robust for p in row.robust)]
        figure.add_scatter(
            x=eps,
            y=[e.value for e in attacked],
            name=f"{row.label}, attacked",
            mode="markers",
            marker={"color": colour, "size": 8, "symbol": "x-thin", "line": {"width": 2, "color": colour}},
            hovertemplate="%{y:.3f} survive the attack at %{x}",
            **group,
        )
        figure.add_hline(y=clean, line={"color": colour, "width": 1, "dash": "dash"})
    draw_mark(figure, results.reference_eps)
    return figure


def noise(results: Results, rows: Sequence[EntrantResult], key: str, title: str) -> go.Figure:
    """Accuracy over a noise sweep: exact expectations as a line, finite shots as markers."""
    figure = draw_axes(title, "Clean accuracy")
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        points = row.noise[key]
        levels = [p.level for p in points]
        _estimates(figure, levels, [p.shots for p in points], row, colour, suffix=f", {results.shots} shots")
        exact = [p.exact.value for p in points]
        draw_curve(figure, levels, exact, f"{row.label}, exact", colour, dash="dash", width=1)
    _floor(figure, results)
    return figure


def device(results: Results) -> go.Figure:
    """Robust accuracy over eps on the device, beside the noise-free model's; its parts on demand."""
    figure = draw_axes("Perturbation budget eps", "Accuracy under attack")
    rows = [row for row in results.entrants if row.on_device]
    name = results.device.name if results.device else ""
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        found = row.on_device
        if found is None:
            continue
        eps = [0.0, *(point.eps for point in found.robust)]
        _estimates(figure, eps, [found.exact, *(p.robust for p in found.robust)], row, colour, suffix=f", {name}")
        parts = (
            ("noise-free", "dash", [row.accuracy, *(p.robust for p in row.robust)], True),
            ("noise known", "dot", [found.exact, *(p.informed for p in found.robust)], "legendonly"),
            ("transferred", "dashdot", [found.exact, *(p.transfer for p in found.robust)], "legendonly"),
        )
        for part, dash, estimates, visible in parts:
            values = [e.value for e in estimates]
            draw_curve(figure, eps, values, f"{row.label}, {part}", colour, dash=dash, width=1.25, visible=visible)
    _floor(figure, results)
    draw_mark(figure, results.reference_eps)
    return figure


def reliability(results: Results) -> go.Figure:
    """Accuracy against confidence; classical models without a match are hidden until their legend is clicked."""
    figure = doubt.draw_reliability_axes(1 / len(results.classes))
    for row, colour in zip(results.entrants, cycle(len(results.entrants)), strict=True):
        visible = True if row.family != "classical" or row.matched else "legendonly"
        looks = {"dash": DASHES[row.family], "width": 1.5, "visible": visible}
        doubt.draw_reliability(figure, row.reliability, row.label, colour, **looks)
    return figure


def history(results: Results) -> go.Figure:
    """Training and validation loss of the first seed."""
    figure = draw_axes("Epoch", "Loss (first seed)", unit="amount")
    rows = [row for row in results.entrants if row.history and row.key.startswith("quantum")]
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        numbers = [e.number for e in row.history]
        draw_curve(figure, numbers, [e.loss for e in row.history], row.label, colour, width=1.5)
        if row.history[0].validation_loss is not None:
            held = [e.validation_loss for e in row.history]
            draw_curve(figure, numbers, held, f"{row.label}, held back", colour, dash="dot", width=1.5)
    return figure


def _estimates(
    figure: go.Figure,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    row: EntrantResult,
    colour: str,
    suffix: str = "",
) -> None:
    """A line with its intervals as error bars, in the dash of its family."""
    draw_curve(
        figure,
        x,
        [e.value for e in estimates],
        row.label + suffix,
        colour,
        dash=DASHES[row.family],
        width=2.5 if row.key == "quantum" else 1.75,
        mode="lines+markers",
        marker={"size": 6},
        error_y=error_bars(estimates, colour),
        hovertemplate="%{y:.3f} at %{x}",
    )


def _floor(figure: go.Figure, results: Results) -> None:
    draw_floor(figure, results.majority, "commonest class", annotation_position="bottom right")
