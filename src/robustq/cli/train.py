"""``robustq train``: one model of a specification, saved without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from robustq import bench
from robustq.bench.entrants import build, entrants, recipe_of
from robustq.cli.console import notes, out, print_json
from robustq.cli.paths import check_writable
from robustq.cli.specification import specification
from robustq.defences import Recipe
from robustq.defences.saved import save
from robustq.errors import RunError, unknown_name
from robustq.models import parameter_count
from robustq.models.progress import ProgressBar
from robustq.models.svm import RBFSVM
from robustq.seeding import derive, torch_generator


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
    chosen = specification(spec, data, classes, None, seed)
    chosen = bench.completed(chosen, chosen.raw())
    everyone = {e.key: e for e in entrants(chosen)}
    if entrant not in everyone:
        raise unknown_name("entrant", entrant, everyone)
    dataset = chosen.dataset()
    x, y = dataset.tensors("train")
    model = build(everyone[entrant], chosen, x.shape[1], len(dataset.classes), 0)
    recipe = recipe_of(everyone[entrant], chosen)
    if isinstance(model, RBFSVM):
        model.fit_arrays(x.double().numpy(), y.numpy(), seed=derive(chosen.seed, 0, "svm"))
    else:
        stream = torch_generator(chosen.seed, 0, entrant, "fit")
        model = _fit(model, x, y, chosen, recipe, stream)
    accuracy = _accuracy(model, *dataset.tensors("test"))
    metadata = {"entrant": entrant, "seed": 0, "spec": chosen.model_dump(), "data": dict(dataset.record)}
    save(model, to, metadata=metadata)
    found = {"model": str(to), "parameters": parameter_count(model), "test_accuracy": accuracy}
    if as_json:
        print_json(found)
    else:
        out().print(f"{entrant}: {found['parameters']} parameters, test accuracy {accuracy:.4f}")
    notes().print(f"model: {to}", soft_wrap=True)


def _fit(
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    spec: bench.Spec,
    recipe: Recipe,
    stream: torch.Generator,
) -> torch.nn.Module:
    plan = spec.training.build()
    with ProgressBar(plan.epochs) as bar:
        return recipe.fit(model, x, y, generator=stream, training=plan, callbacks=[bar])[0]


def _accuracy(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return float((model.eval()(x).argmax(1) == y).double().mean())
