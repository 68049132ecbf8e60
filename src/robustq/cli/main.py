"""The ``robustq`` command: one file per sub-command, one place that turns errors into exit codes."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from robustq.cli import (
    assess,
    attack,
    audit,
    calibrate,
    certify,
    codesign,
    defend,
    doctor,
    listing,
    mitigate,
    poison,
    runs,
    show,
    store,
    tamper,
    train,
    transfer,
    worker,
)
from robustq.cli.console import notes
from robustq.errors import RobustQError

app = typer.Typer(
    name="robustq",
    help="The trust stack for quantum machine learning: train, attack, defend, certify, calibrate, mitigate, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("assess")(assess.assess)
app.command("train")(train.train)
app.command("attack")(attack.attack)
app.command("certify")(certify.certify)
app.command("calibrate")(calibrate.calibrate)
app.command("defend")(defend.defend)
app.command("mitigate")(mitigate.mitigate)
app.command("transfer")(transfer.transfer)
app.command("codesign")(codesign.codesign)
app.command("tamper")(tamper.tamper)
app.command("poison")(poison.poison)
app.command("list")(listing.listing)
app.command("show")(show.show)
app.command("report")(show.report)
app.command("audit")(audit.audit)
app.command("runs")(runs.runs)
app.command("worker")(worker.worker)
app.add_typer(store.app, name="store")
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("robustq"))
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """The trust stack for quantum machine learning: train, attack, defend, certify, calibrate, mitigate, report."""


def main() -> None:
    """Run the command; bad input is one line on standard error and exit code 2."""
    try:
        app()
    except RobustQError as error:
        notes().print(f"robustq: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except OSError as error:
        notes().print(f"robustq: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        notes().print("interrupted; run the same command again to continue", markup=False)
        sys.exit(130)
