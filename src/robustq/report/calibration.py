"""A calibration as a self-contained page, and for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.calibration import Calibration, Quality
from robustq.bench.estimates import Estimate
from robustq.report.canvas import COLOURS, empty
from robustq.report.doubt import bars, risk_coverage
from robustq.report.words import interval, percent, script_safe

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import RenderableType

MEASURES = (
    ("accuracy", "accuracy"),
    ("calibration_error", "calibration error (ECE)"),
    ("adaptive_error", "the same, bins of equal size"),
    ("brier", "Brier score"),
    ("nll", "negative log-likelihood"),
)


def write_calibration(found: Calibration, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render_calibration(found).encode())


def render_calibration(found: Calibration) -> str:
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
    environment.filters.update(percent=percent, interval=interval)
    drawn = {
        "reliability": reliability(found),
        "risk": risk_coverage([("scaled", found.abstention)]),
        "sets": covered(found),
    }
    figures = {name: script_safe(figure.to_json()) for name, figure in drawn.items()}
    measures = [(words, getattr(found.before, key), getattr(found.after, key)) for key, words in MEASURES]
    return environment.get_template("calibration.html.j2").render(
        c=found, figures=figures, measures=measures, plotly=get_plotlyjs(), told=told(found)
    )


def reliability(found: Calibration) -> go.Figure:
    """How often answers are right against how sure they are, before and after."""
    figure = empty("Confidence of the prediction", "How often it is right")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"color": "#94a3b8", "dash": "dash", "width": 1}
    )
    for name, quality, colour in (("before", found.before, COLOURS[1]), ("after", found.after, COLOURS[0])):
        _reliable(figure, name, quality, colour)
    figure.update_xaxes(range=[1 / max(2, len(found.slope)) - 0.02, 1.02])
    return figure


def _reliable(figure: go.Figure, name: str, quality: Quality, colour: str) -> None:
    shown = quality.reliability
    total = max(1, sum(b.count for b in shown))
    figure.add_scatter(
        x=[b.confidence for b in shown],
        y=[b.accuracy for b in shown],
        name=name,
        mode="lines+markers",
        line={"color": colour, "width": 2},
        customdata=[b.count for b in shown],
        marker={"size": [6 + 14 * (b.count / total) ** 0.5 for b in shown]},
        hovertemplate="%{y:.3f} right at %{x:.3f} sure (%{customdata} predictions)<extra>" + name + "</extra>",
    )


def covered(found: Calibration) -> go.Figure:
    """Coverage of the sets of each class, and the level that was asked."""
    figure = empty("Class", "Sets that hold the true class")
    rows = found.sets.by_class
    figure.add_scatter(
        x=[row.label for row in rows],
        y=[row.coverage.value for row in rows],
        mode="markers",
        name="coverage",
        marker={"color": COLOURS[0], "size": 10},
        error_y=bars([row.coverage for row in rows]),
        customdata=[[row.size.value] for row in rows],
        hovertemplate="%{y:.1%} of %{x} covered, %{customdata[0]:.2f} classes a set<extra></extra>",
    )
    asked = 1 - found.sets.alpha
    figure.add_hline(
        y=asked,
        line={"color": "#64748b", "width": 1, "dash": "dash"},
        annotation_text="asked",
        annotation_font_size=11,
    )
    lowest = min(row.coverage.low for row in rows)
    figure.update_yaxes(range=[max(0.0, min(lowest, asked) - 0.05), 1.01])
    return figure


def told(found: Calibration) -> str:
    """What was done, in a sentence."""
    where = f" on {found.device}" if found.device else ""
    how = f", {found.shots} shots an answer" if found.shots else ", exact answers"
    what = {
        "none": "logits as they are",
        "temperature": f"temperature {1 / found.slope[0]:.3g}",
        "vector": "a slope and a shift for each class",
    }[found.method]
    scaled = f"scaled by {found.scaled} test inputs, " if found.scaled else ""
    return f"{what}{where}{how}; {scaled}thresholds by {found.calibration}, judged on the other {found.judged}"


def calibration_table(found: Calibration) -> RenderableType:
    """Before and after, abstaining, and the sets, for the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{found.title}: {told(found)}", title_justify="left")
    for name in ("measure", "before", "after"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for key, words in MEASURES:
        table.add_row(words, *(_cell(getattr(q, key)) for q in (found.before, found.after)))
    gone, sets = found.abstention, found.sets
    removed, level = _share(gone.errors_removed), f"{100 * (1 - sets.alpha):g} %"
    lines = [
        f"not answering the {100 * gone.share:g} % least sure removes {removed} of the errors",
        f"conformal sets ({sets.score}, {_groups(sets.groups)}): {_share(sets.coverage)} hold the true class, asked "
        f"{level}; {sets.size.value:.2f} classes a set, {_share(sets.singletons)} of one",
        *(f"  {row.label}: {_share(row.coverage)}, {row.size.value:.2f} classes a set" for row in sets.by_class),
    ]
    return Group(table, *(Text(line) for line in lines))


def _groups(groups: str) -> str:
    return "each class by itself" if groups == "class" else "over all classes"


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _share(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
