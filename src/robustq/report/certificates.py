"""The sandwich of one model as a self-contained page, and as a table for the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustq.atomic import write_atomically
from robustq.bench.certificates import Level, Sandwich
from robustq.report.canvas import COLOURS, draw_axes, draw_curve, draw_floor
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_table
from robustq.report.words import duration, share

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

SURE, OPEN, ATTACK = COLOURS[2], COLOURS[4], COLOURS[1]


def write_certificates(sandwich: Sandwich, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_certificates(sandwich).encode())


def render_certificates(sandwich: Sandwich) -> str:
    """The page as text."""
    figures = {"sandwich": curves(sandwich)} | ({"tightness": histogram(sandwich)} if sandwich.tightness else {})
    return render_page("certificates", "certificates", sandwich, figures, place=place(sandwich))


def curves(sandwich: Sandwich) -> go.Figure:
    """Clean, certified, exact and attacked accuracy over eps."""
    figure = draw_axes("Perturbation budget eps", "Accuracy")
    eps, clean = [0.0, *(level.eps for level in sandwich.levels)], sandwich.clean.value
    certified = [clean, *(level.certified.value for level in sandwich.levels)]
    possible = [clean, *(level.possible.value for level in sandwich.levels)]
    for name, values, colour, fill, dash in (
        ("certified", certified, SURE, "tozeroy", "solid"),
        ("exact at most", possible, OPEN, "tonexty", "dot"),
    ):
        dots: dict[str, Any] = {"mode": "lines+markers", "marker": {"size": 5}}
        hover = f"%{{y:.3f}} {name} at %{{x:.4g}}<extra></extra>"
        draw_curve(figure, eps, values, name, colour, dash=dash, fill=fill, hovertemplate=hover, **dots)
    if sandwich.attack is not None:
        left = [clean, *(level.attacked.value for level in sandwich.levels if level.attacked is not None)]
        crosses = {"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": ATTACK}}
        looks: dict[str, Any] = {"dash": "dash", "width": 1.5, "mode": "lines+markers", "marker": crosses}
        hover = "%{y:.3f} survive at %{x:.4g}<extra></extra>"
        draw_curve(figure, eps, left, f"attacked, {sandwich.attack}", ATTACK, hovertemplate=hover, **looks)
    draw_floor(figure, clean, "clean")
    return figure


def histogram(sandwich: Sandwich) -> go.Figure:
    """How tight the radii are: certified over the distance of the nearest known witness."""
    figure = draw_axes("Certified radius over nearest witness", "Correct inputs", unit="amount")
    figure.add_histogram(
        x=sandwich.tightness,
        xbins={"start": 0, "end": 1.025, "size": 0.025},
        marker={"color": SURE, "line": {"color": "#ffffff", "width": 1}},
        hovertemplate="%{y} inputs at %{x}<extra></extra>",
    )
    return figure.update_xaxes(range=[0, 1.05])


def certificate_table(sandwich: Sandwich) -> RenderableType:
    """Accuracies for the terminal, and what other methods prove."""
    from rich.console import Group

    title = f"{sandwich.title}: {sandwich.threat}, {sandwich.method}{place(sandwich)}"
    rows = [
        (f"{level.eps:.4g}", share(level.certified), _between(level), share(level.attacked))
        for level in sandwich.levels
    ]
    clean = ("0", share(sandwich.clean), "", "clean")
    table = make_table(title, ("eps", "certified", "exact", "attacked"), [clean, *rows], names=0)
    return Group(table, *make_lines([describe(sandwich)], "dim"), *_others(sandwich))


def place(sandwich: Sandwich) -> str:
    """The device, if it is certified on one."""
    return f", on {sandwich.device}" if sandwich.device else ""


def describe(sandwich: Sandwich) -> str:
    """What the certificate says, in one sentence or two."""
    sure = "proved" if sandwich.confidence == 1 else f"each claim sure to {100 * sandwich.confidence:g} %"
    radius = sandwich.median_radius
    middle = f"median radius {radius:.4g}" if math.isfinite(radius) else "most inputs cannot be flipped at all"
    whose = "" if sandwich.about == "the model" else f" (about {sandwich.about})"
    gone = f", {sandwich.abstained} abstained" if sandwich.abstained else ""
    return (
        f"{sandwich.correct} of {sandwich.inputs} inputs right{gone}; {middle}, known to a hundredth for "
        f"{sandwich.exact}; {sure}{whose}; {duration(sandwich.seconds)} an input, {duration(sandwich.preparation)} "
        "once"
    )


def _others(sandwich: Sandwich) -> list[RenderableType]:
    applied = [row for row in sandwich.compared if not row.refused]
    if not applied:
        return [*make_lines(["No other method applies."], "dim")] if sandwich.compared else []
    half = sandwich.levels[-1].eps / 2
    rows = [
        (
            row.method,
            f"{row.median:.3f}",
            f"{row.quartiles[0]:.3f} to {row.quartiles[1]:.3f}",
            f"{100 * row.certified:.1f}",
            duration(row.seconds),
        )
        for row in applied
    ]
    title = f"Other methods: their radius over that of {sandwich.method}"
    return [make_table(title, ("method", "median", "quartiles", f"certified at {half:.4g}", "time an input"), rows)]


def _between(level: Level) -> str:
    low, high = 100 * level.certified.value, 100 * level.possible.value
    return f"{low:.1f}" if high - low < 0.05 else f"{low:.1f} to {high:.1f}"
