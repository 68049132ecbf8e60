"""``robustq calibrate``: make a saved model's confidence mean something, and say what it is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from robustq.atomic import write_atomically
from robustq.bench.calibration import Asked, Calibration, calibrated
from robustq.bench.device import check_fits
from robustq.bench.outside import outsiders
from robustq.bench.records import versions
from robustq.cli.console import notes, print_record
from robustq.cli.paths import check_writable
from robustq.cli.saved import saved
from robustq.contracts import QuantumClassifier
from robustq.defences import saved as files
from robustq.errors import SpecError
from robustq.report import calibration_table, write_calibration


def calibrate(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    method: Annotated[str, typer.Option(help="temperature, vector or none.")] = "temperature",
    alpha: Annotated[float, typer.Option(help="Share of conformal sets that may miss the true class.")] = 0.1,
    score: Annotated[str, typer.Option(help="Name in `robustq list scores`: lac, aps, raps, margin.")] = "lac",
    groups: Annotated[str, typer.Option(help="class: cover each class by itself; none: over all.")] = "class",
    rows: Annotated[float, typer.Option(help="Share of the test inputs to calibrate on.")] = 0.5,
    share: Annotated[float, typer.Option(help="Share of the inputs not to answer.")] = 0.1,
    device: Annotated[str | None, typer.Option(help="Calibrate it on this device: a name, or a .json.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Of every answer; exact if absent.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of all randomness.")] = 0,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for the calibrated model and the page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Scale the logits and set conformal thresholds on part of the test inputs; judge both on the rest.

    Writes the calibrated model, which every other command takes, with conformal.json beside it.
    """
    folder = to or model / "calibrated"
    check_writable(folder)
    if not 0 < share < 1:
        raise SpecError(f"--share: expected a share in (0, 1), got {share}")
    kept = saved(model, device)
    noise = kept.device
    if noise is not None and not isinstance(kept.model, QuantumClassifier):
        raise SpecError(f"--device: expected a quantum or hybrid model, got {type(kept.model).__name__}")
    check_fits(kept.model, noise)
    asked = Asked(
        method=method,
        score=score,
        groups=groups,
        alpha=alpha,
        rows=rows,
        share=share,
        shots=shots,
        noise=noise,
        seed=seed,
        confidence=kept.spec.confidence,
    )
    found = calibrated(kept.model, *kept.test, tuple(kept.data.classes), asked)
    result = Calibration(
        title=kept.data.name,
        model=str(model),
        device=None if noise is None else noise.name,
        versions=versions(*outsiders(kept.spec)),
        **found.record,
    )
    files.save(found.model, folder, metadata=files.metadata(model))
    thresholds = json.dumps(found.conformal.to_data(), indent=1) + "\n"
    write_atomically(folder / "conformal.json", thresholds.encode())
    write_atomically(folder / "calibration.json", (result.model_dump_json(indent=1) + "\n").encode())
    write_calibration(result, folder / "calibration.html")
    print_record(result, calibration_table(result), as_json=as_json)
    notes().print(f"calibrated model: {folder}\npage: {folder / 'calibration.html'}", soft_wrap=True)
