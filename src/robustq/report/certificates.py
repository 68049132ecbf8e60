"""The sandwich of one model as a self-contained page, and as a table for the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.certificates import Level, Sandwich
from robustq.bench.estimates import Estimate
from robustq.report.canvas import empty
from robustq.report.words import interval, percent, script_safe

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

SURE, OPEN, ATTACK = "#009E73", "#E69F00", "#D55E00"  # Okabe & Ito


def write_certificates(sandwich: Sandwich, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_certificates(sandwich).encode())


def render_certificates(sandwich: Sandwich) -> str:
    """The page as text: no network, no time stamp."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, interval=interval, span=in_units)
    drawn = {"sandwich": curves(sandwich), **({"tightness": histogram(sandwich)} if sandwich.tightness else {})}
    figures = {name: script_safe(figure.to_json()) for name, figure in drawn.items()}
    return environment.get_template("certificates.html.j2").render(s=sandwich, figures=figures, plotly=get_plotlyjs())


def in_units(seconds: float) -> str:
    """A duration with three digits.

    >>> in_units(0.00123)
    '1.23 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def curves(sandwich: Sandwich) -> go.Figure:
    """Clean, certified, exact and attacked accuracy over eps."""
    figure = empty("Perturbation budget eps", "Accuracy")
    eps = [0.0, *(level.eps for level in sandwich.levels)]
    clean = sandwich.clean.value
    rows = [
        ("certified", [p.certified for p in sandwich.levels], SURE, "tozeroy", "solid"),
        ("exact at most", [p.possible for p in sandwich.levels], OPEN, "tonexty", "dot"),
    ]
    for name, estimates, colour, fill, dash in rows:
        figure.add_scatter(
            x=eps,
            y=[clean, *(e.value for e in estimates)],
            name=name,
            mode="lines+markers",
            fill=fill,
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 5},
            hovertemplate=f"%{{y:.3f}} {name} at %{{x:.4g}}<extra></extra>",
        )
    if sandwich.attack is not None:
        left = [p.attacked for p in sandwich.levels if p.attacked is not None]
        figure.add_scatter(
            x=eps,
            y=[clean, *(e.value for e in left)],
            name=f"attacked, {sandwich.attack}",
            mode="lines+markers",
            line={"color": ATTACK, "width": 1.5, "dash": "dash"},
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": ATTACK}},
            hovertemplate="%{y:.3f} survive at %{x:.4g}<extra></extra>",
        )
    figure.add_hline(
        y=clean,
        line={"color": "#64748b", "width": 1, "dash": "dash"},
        annotation_text="clean",
        annotation_font_size=11,
    )
    return figure


def histogram(sandwich: Sandwich) -> go.Figure:
    """How tight the radii are: certified over the distance of the nearest known witness."""
    figure = empty("Certified radius over nearest witness", "Correct inputs")
    figure.add_histogram(
        x=sandwich.tightness,
        xbins={"start": 0, "end": 1.025, "size": 0.025},
        marker={"color": SURE, "line": {"color": "#ffffff", "width": 1}},
        hovertemplate="%{y} inputs at %{x}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1.05])
    figure.update_yaxes(range=None, tickformat=None, rangemode="tozero")
    return figure


def certificate_table(sandwich: Sandwich) -> RenderableType:
    """Accuracies for the terminal, and what other methods prove."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    title = f"{sandwich.title}: {sandwich.threat}, {sandwich.method}{place(sandwich)}"
    table = Table(title=title, title_justify="left")
    for name in ("eps", "certified", "exact", "attacked"):
        table.add_column(name, justify="right")
    table.add_row("0", _cell(sandwich.clean), "", "clean")
    for level in sandwich.levels:
        attacked = _cell(level.attacked) if level.attacked is not None else "–"
        table.add_row(f"{level.eps:.4g}", _cell(level.certified), _between(level), attacked)
    return Group(table, Text(told(sandwich), style="dim"), *_others(sandwich))


def place(sandwich: Sandwich) -> str:
    """The device, if it is certified on one."""
    return f", on {sandwich.device}" if sandwich.device else ""


def told(sandwich: Sandwich) -> str:
    """What the certificate says, in one sentence or two."""
    sure = "proved" if sandwich.confidence == 1 else f"each claim sure to {100 * sandwich.confidence:g} %"
    radius = sandwich.median_radius
    middle = f"median radius {radius:.4g}" if math.isfinite(radius) else "most inputs cannot be flipped at all"
    whose = "" if sandwich.about == "the model" else f" (about {sandwich.about})"
    gone = f", {sandwich.abstained} abstained" if sandwich.abstained else ""
    return (
        f"{sandwich.correct} of {sandwich.inputs} inputs right{gone}; {middle}, known to a hundredth for "
        f"{sandwich.exact}; {sure}{whose}; {in_units(sandwich.seconds)} an input, {in_units(sandwich.preparation)} "
        "once"
    )


def _others(sandwich: Sandwich) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    if not sandwich.compared:
        return []
    if all(row.refused for row in sandwich.compared):
        return [Text("No other method applies.", style="dim")]
    half = sandwich.levels[-1].eps / 2
    table = Table(title=f"Other methods: their radius over that of {sandwich.method}", title_justify="left")
    for name in ("method", "median", "quartiles", f"certified at {half:.4g}", "time an input"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in sandwich.compared:
        if not row.refused:
            low, high = row.quartiles
            table.add_row(
                row.method,
                f"{row.median:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{100 * row.certified:.1f}",
                in_units(row.seconds),
            )
    return [table]


def _between(level: Level) -> str:
    low, high = 100 * level.certified.value, 100 * level.possible.value
    return f"{low:.1f}" if high - low < 0.05 else f"{low:.1f} to {high:.1f}"


def _cell(estimate: Estimate) -> str:

    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
