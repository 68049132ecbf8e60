"""The report card as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustq.bench.results import Estimate, Results

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLE = {
    "useless": "bold red",
    "broken": "bold red",
    "fragile": "bold yellow",
    "robust": "bold green",
}


def summary(results: Results) -> RenderableType:
    """Headline, table and caveats."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"{results.title}: {results.threat}, {results.shots} shots", title_justify="left"
    )
    eps = f"{results.reference_eps:g}"
    for name in ("model", "parameters", "clean", f"robust at {eps}", "attack success", "ECE",
                 "noise resilience"):  # fmt: skip
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in results.entrants:
        point = results.at_reference(row.key)
        table.add_row(
            row.label, str(row.parameters), _cell(row.accuracy), _cell(point.robust),
            _cell(point.success), f"{row.calibration_error.value:.3f}",
            _cell(row.noise_resilience) if row.noise_resilience else "–",
        )  # fmt: skip
    style = STYLE[results.verdict.level]
    headline = Text(f"{results.verdict.level.upper()}  {results.verdict.headline}", style=style)
    lines = [Text(f"  {sentence}") for sentence in results.verdict.sentences]
    cautions = [Text(f"  note: {caveat.text}", style="dim") for caveat in results.caveats]
    return Group(headline, *lines, table, *cautions)


def _cell(estimate: Estimate) -> str:
    """A share with its interval, in percent."""
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
