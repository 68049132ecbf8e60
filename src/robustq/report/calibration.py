"""A calibration as a self-contained page, and for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustq.atomic import write_atomically
from robustq.bench.calibration import Calibration
from robustq.bench.estimates import Estimate
from robustq.report.canvas import COLOURS
from robustq.report.doubt import conformal_sets, draw_reliability, draw_reliability_axes, risk_coverage
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_table
from robustq.report.words import bounds

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
    """The page as text."""
    figures = {
        "reliability": reliability(found),
        "risk": risk_coverage([("scaled", found.abstention)]),
        "sets": conformal_sets([("coverage", found.sets)]),
    }
    measures = [(words, getattr(found.before, key), getattr(found.after, key)) for key, words in MEASURES]
    return render_page("calibration", "calibration", found, figures, measures=measures, description=describe(found))


def reliability(found: Calibration) -> go.Figure:
    """How often answers are right against how sure they are, before and after."""
    figure = draw_reliability_axes(1 / max(2, len(found.slope)))
    for name, quality, colour in (("before", found.before, COLOURS[1]), ("after", found.after, COLOURS[0])):
        draw_reliability(figure, quality.reliability, name, colour)
    return figure


def describe(found: Calibration) -> str:
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

    measures = [(words, *(_cell(getattr(q, key)) for q in (found.before, found.after))) for key, words in MEASURES]
    table = make_table(f"{found.title}: {describe(found)}", ("measure", "before", "after"), measures)
    gone, sets = found.abstention, found.sets
    removed, level = _share(gone.errors_removed), f"{100 * (1 - sets.alpha):g} %"
    groups = "each class by itself" if sets.groups == "class" else "over all classes"
    lines = [
        f"not answering the {100 * gone.share:g} % least sure removes {removed} of the errors",
        f"conformal sets ({sets.score}, {groups}): {_share(sets.coverage)} hold the true class, asked {level}; "
        f"{sets.size.value:.2f} classes a set, {_share(sets.singletons)} of one",
        *(f"  {row.label}: {_share(row.coverage)}, {row.size.value:.2f} classes a set" for row in sets.by_class),
    ]
    return Group(table, *make_lines(lines))


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _share(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{bounds(estimate)}]"
