"""The report card as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustq.bench.estimates import Estimate
from robustq.bench.results import Results
from robustq.report.audit import tally, told

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLE = {"useless": "bold red", "broken": "bold red", "fragile": "bold yellow", "robust": "bold green"}
LEVELS = {"red": "bold red", "amber": "yellow"}


def summary(results: Results) -> RenderableType:
    """Headline, table and caveats."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{results.title}: {results.threat}, {results.shots} shots", title_justify="left")
    eps = f"{results.reference_eps:g}"
    for name in (
        "model",
        "parameters",
        "clean",
        f"robust at {eps}",
        "attack success",
        "ECE",
        f"certified at {eps}",
        "noise resilience",
    ):
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in results.entrants:
        point = results.at_reference(row.key)
        table.add_row(
            row.label,
            str(row.parameters),
            _cell(row.accuracy),
            _cell(point.robust),
            _cell(point.success),
            f"{row.calibration_error.value:.3f}",
            _cell(row.certified.at(results.reference_eps).certified) if row.certified else "–",
            _cell(row.noise_resilience) if row.noise_resilience else "–",
        )
    style = STYLE[results.verdict.level]
    headline = Text(f"{results.verdict.level.upper()}  {results.verdict.headline}", style=style)
    lines = [Text(f"  {sentence}") for sentence in results.verdict.sentences]
    cautions = [Text(f"  note: {caveat.text}", style="dim") for caveat in results.caveats]
    return Group(*_flags(results), headline, *lines, table, *_on_device(results), *cautions)


def _flags(results: Results) -> list[RenderableType]:
    """The audit's flags, or that it raised none."""
    from rich.text import Text

    flags = [
        Text(f"{f.level.upper()} FLAG  {'; '.join(f.subjects)}: {f.message} ({f.id})", LEVELS[f.level])
        for f in told(results)
    ]
    clean = "no flag raised, " if results.audited() and not flags else ""
    return [*flags, Text(f"audit: {clean}{tally(results)}", style="dim")]


def _on_device(results: Results) -> list[RenderableType]:
    """The quantum entrants on the calibrated device, if there is one."""
    from rich.table import Table

    if results.device is None:
        return []
    title = f"On {results.device.name}, calibrated {results.device.date}"
    eps = f"{results.reference_eps:g}"
    table = Table(title=title, title_justify="left")
    for name in (
        "model",
        "clean",
        f"{results.shots} shots",
        f"robust at {eps}",
        "noise known",
        "transferred",
        "least after drift",
    ):
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in results.entrants:
        if row.on_device:
            found, point = row.on_device, row.on_device_at(results.reference_eps)
            worst = min((d.exact for d in found.drift), key=lambda e: e.value, default=None)
            cells = (found.exact, found.shots, point.robust, point.informed, point.transfer, worst)
            table.add_row(row.label, *(_cell(e) if e else "–" for e in cells))
    return [table]


def _cell(estimate: Estimate) -> str:
    """A share with its interval, in percent."""
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
