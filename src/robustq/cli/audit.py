"""``robustq audit``: judge a finished run again from its stored evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from robustq.audit import AUDITS
from robustq.bench import Results, read_results
from robustq.cli.console import out, print_json
from robustq.cli.study import CONTRADICTED, contradicted
from robustq.report.audit import FLAGGED, PASSED, group_flags, states, tally
from robustq.runs import embedded

STYLES = {PASSED: "green", "red": "bold red", "amber": "yellow"}


def audit(
    run: Annotated[Path, typer.Argument(help="Run folder, or its results.json.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print every check as JSON.")] = False,
) -> None:
    """Look for reasons to distrust a finished run; exit code 1 if a red flag is raised."""
    results = read_results(run).judged()
    twice = contradicted(embedded(run)) if (run / "store").is_dir() else []
    if as_json:
        print_json(_rows(results) + [_contradiction(label) for label in twice])
    else:
        _print(results)
        for label in twice:
            out().print(f"red: {label}: {CONTRADICTED}", style=STYLES["red"], markup=False)
    if twice or any(flag.level == "red" for flag in results.flags):
        raise typer.Exit(1)


def _rows(results: Results) -> list[dict[str, Any]]:
    """Every check on every subject, with the message where a flag was raised."""
    messages = {(flag.subject, flag.id): flag.message for flag in results.flags}
    return [
        {
            "subject": subject,
            "check": name,
            "level": AUDITS[name].level,
            "state": state,
            "message": messages.get((subject, name)),
        }
        for subject, evidence in results.audited().items()
        for name, state in states(evidence).items()
    ]


def _contradiction(label: str) -> dict[str, Any]:
    return {"subject": label, "check": "determinism", "level": "red", "state": FLAGGED, "message": CONTRADICTED}


def _print(results: Results) -> None:
    """A row for each check, a column for each subject, then the flags in words."""
    from rich.table import Table
    from rich.text import Text

    console = out()
    subjects = {name: states(evidence) for name, evidence in results.audited().items()}
    if subjects:
        table = Table(title=results.title, title_justify="left")
        table.add_column("check", no_wrap=True)
        for name in ("level", *subjects):
            table.add_column(name)
        for name in next(iter(subjects.values())):
            level = AUDITS[name].level
            cells = [
                Text(s[name], STYLES.get(level if s[name] == FLAGGED else s[name], "dim")) for s in subjects.values()
            ]
            table.add_row(name, level, *cells)
        console.print(table)
    for flag in group_flags(results):
        who = "; ".join(flag.subjects)
        console.print(Text(f"{flag.level}: {who}: {flag.message} ({flag.id})", STYLES[flag.level]))
    console.print(Text(tally(results)))
