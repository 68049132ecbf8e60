"""The figures of the report card, as Plotly figures made from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robustq.bench.estimates import Estimate
from robustq.bench.results import EntrantResult, Results
from robustq.report import doubt
from robustq.report.canvas import COLOURS, cycle, empty

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
    figure = empty("Perturbation budget eps", "Accuracy under attack")
    for row, colour in zip(results.entrants, cycle(len(results.entrants)), strict=True):
        eps = [0.0, *(point.eps for point in row.robust)]
        estimates = [row.accuracy, *(point.robust for point in row.robust)]
        _curve(figure, eps, estimates, row, colour)
    quantum = results.entrants[0]
    figure.add_scatter(
        x=[0.0, *(p.eps for p in quantum.robust)],
        y=[quantum.accuracy.value, *(p.robust_to_noise.value for p in quantum.robust)],
        name=f"{quantum.label}, random noise",
        mode="lines",
        line={"color": COLOURS[0], "width": 1, "dash": "dash"},
    )
    _floor(figure, results)
    figure.add_vline(x=results.reference_eps, line={"color": "#94a3b8", "width": 1, "dash": "dot"})
    return figure


def sandwich(results: Results) -> go.Figure:
    """Certified, possible and attacked accuracy over eps of every entrant about which something is proved.

    What is certified is filled, so is the gap to the nearest witness; the attack must lie on top.
    """
    figure = empty("Perturbation budget eps", "Accuracy")
    rows = [row for row in results.entrants if row.certified]
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        found = row.certified
        assert found is not None
        eps = [0.0, *(p.eps for p in found.points)]
        clean = row.accuracy.value
        certified = [clean, *(p.certified.value for p in found.points)]
        possible = [clean, *(p.possible.value for p in found.points)]
        line = {"color": colour, "width": 2.5, "dash": "solid"}
        figure.add_scatter(
            x=eps,
            y=certified,
            name=f"{row.label}, certified",
            mode="lines",
            line=line,
            legendgroup=row.key,
            hovertemplate="%{y:.3f} certified at %{x}",
        )
        figure.add_scatter(
            x=eps,
            y=possible,
            name=f"{row.label}, exact at most",
            mode="lines",
            fill="tonexty",
            fillcolor=_faint(colour),
            line={"color": colour, "width": 1, "dash": "dot"},
            legendgroup=row.key,
            hovertemplate="at most %{y:.3f} at %{x}",
        )
        attacked = [row.accuracy, *(p.robust for p in row.robust)]
        figure.add_scatter(
            x=eps,
            y=[e.value for e in attacked],
            name=f"{row.label}, attacked",
            mode="markers",
            marker={"color": colour, "size": 8, "symbol": "x-thin", "line": {"width": 2, "color": colour}},
            legendgroup=row.key,
            hovertemplate="%{y:.3f} survive the attack at %{x}",
        )
        figure.add_hline(y=clean, line={"color": colour, "width": 1, "dash": "dash"})
    figure.add_vline(x=results.reference_eps, line={"color": "#94a3b8", "width": 1, "dash": "dot"})
    return figure


def _faint(colour: str) -> str:
    """A colour, nearly transparent.

    >>> _faint("#0072B2")
    'rgba(0, 114, 178, 0.15)'
    """
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.15)"


def noise(results: Results, rows: Sequence[EntrantResult], key: str, title: str) -> go.Figure:
    """Accuracy over a noise sweep: exact expectations as a line, finite shots as markers."""
    figure = empty(title, "Clean accuracy")
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        points = row.noise[key]
        levels = [p.level for p in points]
        _curve(figure, levels, [p.shots for p in points], row, colour, suffix=f", {results.shots} shots")
        figure.add_scatter(
            x=levels,
            y=[p.exact.value for p in points],
            name=f"{row.label}, exact",
            mode="lines",
            line={"color": colour, "width": 1, "dash": "dash"},
        )
    _floor(figure, results)
    return figure


def device(results: Results) -> go.Figure:
    """Robust accuracy over eps on the device, beside the noise-free model's; its parts on demand."""
    figure = empty("Perturbation budget eps", "Accuracy under attack")
    rows = [row for row in results.entrants if row.on_device]
    name = results.device.name if results.device else ""
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        found = row.on_device
        if found is None:
            continue
        eps = [0.0, *(point.eps for point in found.robust)]
        _curve(figure, eps, [found.exact, *(p.robust for p in found.robust)], row, colour, suffix=f", {name}")
        parts = (
            ("noise-free", "dash", [row.accuracy, *(p.robust for p in row.robust)], True),
            ("noise known", "dot", [found.exact, *(p.informed for p in found.robust)], "legendonly"),
            ("transferred", "dashdot", [found.exact, *(p.transfer for p in found.robust)], "legendonly"),
        )
        for part, dash, estimates, visible in parts:
            figure.add_scatter(
                x=eps,
                y=[e.value for e in estimates],
                name=f"{row.label}, {part}",
                mode="lines",
                line={"color": colour, "width": 1.25, "dash": dash},
                visible=visible,
            )
    _floor(figure, results)
    figure.add_vline(x=results.reference_eps, line={"color": "#94a3b8", "width": 1, "dash": "dot"})
    return figure


def reliability(results: Results) -> go.Figure:
    """Accuracy against confidence; the diagonal is perfect calibration."""
    figure = empty("Confidence of the prediction", "How often it is right")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"color": "#94a3b8", "dash": "dash", "width": 1}
    )
    for row, colour in zip(results.entrants, cycle(len(results.entrants)), strict=True):
        bars = row.reliability
        figure.add_scatter(
            x=[b.confidence for b in bars],
            y=[b.accuracy for b in bars],
            name=row.label,
            mode="lines+markers",
            line={"color": colour, "dash": DASHES[row.family], "width": 1.5},
            marker={"size": [5 + 12 * (b.count / max(1, sum(c.count for c in bars))) ** 0.5 for b in bars]},
            customdata=[b.count for b in bars],
            hovertemplate="%{y:.3f} right at %{x:.3f} sure (%{customdata} predictions)",
            visible=True if row.family != "classical" or row.matched else "legendonly",
        )
    lowest = 1 / len(results.classes) - 0.02
    figure.update_xaxes(range=[lowest, 1.02])
    return figure


def history(results: Results) -> go.Figure:
    """Training and validation loss of the first seed."""
    figure = empty("Epoch", "Loss (first seed)")
    rows = [row for row in results.entrants if row.history and row.key.startswith("quantum")]
    for row, colour in zip(rows, cycle(len(rows)), strict=True):
        numbers = [e.number for e in row.history]
        figure.add_scatter(
            x=numbers,
            y=[e.loss for e in row.history],
            name=row.label,
            mode="lines",
            line={"color": colour, "width": 1.5},
        )
        if row.history[0].validation_loss is not None:
            figure.add_scatter(
                x=numbers,
                y=[e.validation_loss for e in row.history],
                mode="lines",
                name=f"{row.label}, held back",
                line={"color": colour, "dash": "dot", "width": 1.5},
            )
    figure.update_yaxes(range=None, tickformat=None, rangemode="tozero")
    return figure


def _curve(
    figure: go.Figure,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    row: EntrantResult,
    colour: str,
    suffix: str = "",
) -> None:
    """A line with its intervals as error bars, a little transparent so that they can overlap."""
    figure.add_scatter(
        x=x,
        y=[e.value for e in estimates],
        name=row.label + suffix,
        mode="lines+markers",
        line={"color": colour, "dash": DASHES[row.family], "width": 2.5 if row.key == "quantum" else 1.75},
        marker={"size": 6},
        error_y={
            "type": "data",
            "symmetric": False,
            "thickness": 1,
            "width": 3,
            "color": colour,
            "array": [e.high - e.value for e in estimates],
            "arrayminus": [e.value - e.low for e in estimates],
        },
        hovertemplate="%{y:.3f} at %{x}",
    )


def _floor(figure: go.Figure, results: Results) -> None:
    figure.add_hline(
        y=results.majority,
        line={"color": "#64748b", "width": 1, "dash": "dash"},
        annotation_text="commonest class",
        annotation_position="bottom right",
        annotation_font_size=11,
    )
