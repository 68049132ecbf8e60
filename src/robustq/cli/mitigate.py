"""``robustq mitigate``: what error mitigation does for a saved model on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.atomic import write_atomically
from robustq.bench.device import Quantum, check_fits
from robustq.bench.mitigation import mitigate as measure
from robustq.bench.mitigation_table import Mitigations, mitigation_rows
from robustq.bench.outside import outsiders
from robustq.bench.records import versions
from robustq.cli.console import notes, print_record, progress_bar
from robustq.cli.paths import check_writable
from robustq.cli.saved import Saved, saved
from robustq.errors import SpecError
from robustq.mitigation.catalogue import USUAL
from robustq.report import mitigation_table, write_mitigation


def mitigate(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    device: Annotated[str | None, typer.Option(help="A name in `robustq list devices`, or a .json.")] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(help="In `robustq list mitigations`, stacked by +; repeat for more. Default: the usual ones."),
    ] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Of one answer, over all its circuits.")] = None,
    inputs: Annotated[int | None, typer.Option(min=1, help="Test inputs to attack and repeat, at most.")] = None,
    eps: Annotated[float | None, typer.Option(help="Budget of the attack; the reference one if absent.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of all randomness.")] = 0,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for mitigation.json and the page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Set techniques of error mitigation side by side, on the model's own test data.

    For each: how far expectations are from the ideal ones, exactly and with shots, what it costs, and whether
    clean and robust accuracy changed. Every technique is given the same number of shots.
    """
    folder = to or model / "mitigation"
    check_writable(folder)
    kept = saved(model, device)
    spec = _spec(kept, technique, shots, inputs, eps, seed)
    found = spec.noise.calibrated()
    if not isinstance(kept.model, Quantum):
        raise SpecError(f"mitigate: expected a quantum or hybrid model, got {type(kept.model).__name__}")
    if found is None:
        raise SpecError("--device: expected a device to clean up after, got none; see `robustq list devices`")
    check_fits(kept.model, found)
    kept.model.requires_grad_(False)
    with progress_bar(1) as advance:
        raw = measure(kept.model, found, kept.data, spec, spec.mitigation, 0, advance=advance)
    threat = spec.threat.build(spec.threat.reference)
    result = Mitigations(
        title=kept.data.name,
        model=str(model),
        device=found.name,
        shots=spec.noise.shots,
        threat=str(threat),
        attack=str(spec.attack.build()),
        confidence=spec.confidence,
        attacked=min(spec.mitigation.inputs, len(kept.test[1])),
        versions=versions(*outsiders(spec)),
        rows=mitigation_rows([raw], spec.confidence),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "mitigation.json", (result.model_dump_json(indent=1) + "\n").encode())
    write_mitigation(result, folder / "mitigation.html")
    print_record(result, mitigation_table(result), as_json=as_json)
    notes().print(f"page: {folder / 'mitigation.html'}", soft_wrap=True)


def _spec(
    kept: Saved, names: list[str] | None, shots: int | None, inputs: int | None, eps: float | None, seed: int
) -> bench.Spec:
    """The model's own specification with what the command line says."""
    content = kept.spec.model_dump() | {"seed": seed}
    content["mitigation"] = {**content["mitigation"], "names": names or list(USUAL)}
    if inputs is not None:
        content["mitigation"] = {**content["mitigation"], "inputs": inputs}
    if shots is not None:
        content["noise"] = {**content["noise"], "shots": shots}
    if eps is not None:
        content["threat"] = {**content["threat"], "eps": [eps], "reference": eps}
    return bench.parse(content)
