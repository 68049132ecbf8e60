"""``robustq train``: one model of a specification, saved without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustq import bench
from robustq.bench.entrants import defence_of
from robustq.bench.survivors import right
from robustq.bench.training import fitted, metadata
from robustq.cli.console import notes, out, print_json
from robustq.cli.paths import check_writable
from robustq.cli.specification import specification
from robustq.defences.saved import save
from robustq.errors import RunError, unknown_name
from robustq.models import parameter_count
from robustq.models.progress import ProgressBar


def train(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Train on this data set with the defaults.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    entrant: Annotated[str, typer.Option(help="quantum, quantum-defended, mlp, ...")] = "quantum",
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Folder for the model.")] = Path("model"),
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary.")] = False,
) -> None:
    """Train one model and save it as model.json + weights.safetensors."""
    if to.exists():
        raise RunError(f"expected a new folder for the model, but {to} exists")
    check_writable(to)
    study = bench.Assessment.of(specification(spec, data, classes, None, seed))
    everyone = {e.key: e for e in study.entrants}
    if entrant not in everyone:
        raise unknown_name("entrant", entrant, everyone)
    chosen, who, dataset = study.spec, everyone[entrant], study.data
    recipe = defence_of(who, chosen.defence, chosen)
    with ProgressBar(chosen.training.epochs) as bar:
        model, _ = fitted(who, chosen, recipe, dataset, 0, callbacks=[bar])
    accuracy = float(right(model.eval(), *dataset.tensors("test")).double().mean())
    save(model, to, metadata=metadata(who, chosen, dataset, 0))
    found = {"model": str(to), "parameters": parameter_count(model), "test_accuracy": accuracy}
    if as_json:
        print_json(found)
    else:
        out().print(f"{entrant}: {found['parameters']} parameters, test accuracy {accuracy:.4f}")
    notes().print(f"model: {to}", soft_wrap=True)
