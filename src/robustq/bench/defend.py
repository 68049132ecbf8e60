"""The defence table: every recipe trained over all seeds, attacked by who knows it, certified and priced."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustq.atomic import write_atomically
from robustq.bench import defended, stages
from robustq.bench.certified import certified
from robustq.bench.defence_rows import summarise
from robustq.bench.defence_table import DefenceTable, read_table
from robustq.bench.entrants import Entrant, build, key_of, recipe_of
from robustq.bench.inputs import load_inputs, save_inputs
from robustq.bench.recipes import RecipeSpec
from robustq.bench.runner import Job, Progress, claimed, in_processes
from robustq.bench.spec import Spec, completed
from robustq.bench.summary import unit_folder
from robustq.bench.unit import read_stage, stage, trained
from robustq.catalogue import resolve
from robustq.contracts import QuantumClassifier, RandomisedClassifier, Step, check_logits
from robustq.data import Dataset
from robustq.defences.catalogue import DEFENCES
from robustq.errors import RobustQError, SpecError
from robustq.models import RBFSVM, Training, fit
from robustq.seeding import torch_generator

# What is compared where a specification names no recipes, as far as it applies: some of every layer of the pipeline.
USUAL = (
    "adversarial-training",
    "trades",
    "gradient-penalty",
    "feature-squeezing",
    "approximate-encoding",
    "randomised-encoding",
    "detection",
)


def defend(spec: Spec, run: Path, *, workers: int | None = None, progress: Progress | None = None) -> DefenceTable:
    """Train and attack the model under every recipe of the specification, and the classical baselines.

    Killed and called again in the same folder it continues; one seed gives the same bytes, whatever the
    number of ``workers``.

    Args:
        spec: data, model, threat, training, seeds, ``recipes``; ``attack`` is the usual attack beside the
            adaptive one; ``noise.device`` is for recipes that need a device.
        run: the run folder.
        workers: processes; the number of cores by default.
        progress: told after every unit.

    Raises:
        SpecError: if a recipe does not apply to the model or the threat, which is tried on a few rows first.
        RunError: if the folder belongs to something else, or a worker died.
    """
    spec = with_recipes(completed(spec, spec.raw()))
    data, everyone = spec.dataset(), rows_of(spec)
    _try_out(spec, data, everyone)
    with claimed(run, spec, "defend"):
        text = spec.model_dump_json()
        rounds = [
            [
                Job(f"{label_of(row, spec)}, seed {seed}", _run_unit, (text, row, seed, run))
                for seed in range(spec.seeds)
                for row in part
            ]
            for part in (everyone[:1], everyone[1:])  # the undefended first: others are attacked on it
        ]
        in_processes([jobs for jobs in rounds if jobs], workers, progress or (lambda *_: None))
        table = summarise(run, spec, data, [(row, label_of(row, spec)) for row in everyone])
        write_atomically(run / "defences.json", table.to_bytes())
        _write_timing(run, spec, everyone)
    return read_table(run)


def with_recipes(spec: Spec) -> Spec:
    """The specification with its recipes written out; the usual ones that apply if it names none."""
    if spec.recipes:
        return spec
    data, chosen = spec.dataset(), []
    for name in USUAL:
        alone = spec.model_copy(update={"recipes": [RecipeSpec(name=name)]})
        with contextlib.suppress(SpecError):
            _try_out(alone, data, rows_of(alone)[1:2])
            chosen += alone.recipes
    return spec.model_copy(update={"recipes": chosen})


def rows_of(spec: Spec) -> list[Entrant]:
    """The undefended model, every recipe, and the classical baselines with and without the usual defence.

    >>> from robustq.bench.spec import parse
    >>> spec = parse({"data": {"name": "iris"}, "recipes": [{"name": "adversarial-training"}]})
    >>> [row.key for row in rows_of(spec)]
    ['quantum', 'quantum-adversarial-training', 'mlp', 'mlp-defended', 'logistic', 'svm-rbf']
    """
    found = [Entrant("quantum", spec.model.name)]
    for place, recipe in enumerate(spec.recipes):
        slug = re.sub(r"[^a-z0-9]+", "-", recipe.title.lower()).strip("-")
        key = f"quantum-{slug}" if 0 < len(slug) < 100 else f"quantum-{place}"
        if key in [row.key for row in found]:
            raise SpecError(f"recipes: expected different recipes, got {recipe.title!r} twice")
        found.append(Entrant(key, spec.model.name, recipe=place))
    for name in spec.baselines.names:
        found.append(Entrant(key_of(name), name, matched=name == "mlp"))
        able = spec.defence.name != "none" and resolve("defence", spec.defence.name, DEFENCES).model is None
        if name == "mlp" and spec.baselines.defended and able:
            found.append(Entrant("mlp-defended", name, defended=True, matched=True))
    return found


def label_of(row: Entrant, spec: Spec) -> str:
    """What the table calls it."""
    if row.recipe is not None:
        return spec.recipes[row.recipe].title
    return f"{row.label}, undefended" if row.key == "quantum" else row.label


def _try_out(spec: Spec, data: Dataset, everyone: Sequence[Entrant]) -> None:
    """Guard every model once and take one step: what does not apply fails here, before any work."""
    x, y = data.tensors("train")
    features, classes = x.shape[1], len(data.classes)
    few = slice(0, min(4, len(x)))
    for row in everyone:
        model = build(row, spec, features, classes, 0)
        if isinstance(model, RBFSVM):
            continue
        stream = torch_generator(spec.seed, "trial")
        try:
            recipe = recipe_of(row, spec)
            model = recipe.guarded(model, x, y, stream, trained=False)
            step = Step(x=x[few], y=y[few], generator=stream, rows=torch.arange(len(x))[few])
            losses = recipe.training.losses(model, step)
            whole = recipe.guarded(model.eval(), x, y, stream, trained=True)
            with torch.no_grad():
                check_logits(whole(x[few]), len(x[few]))
        except RobustQError as failure:
            raise SpecError(f"{label_of(row, spec)}: {failure}") from failure
        if losses.shape != (len(x[few]),):
            raise SpecError(f"{label_of(row, spec)}: expected a loss an input, got {losses.shape}")


@lru_cache(maxsize=2)
def _known(text: str) -> tuple[Spec, Dataset]:
    spec = Spec.model_validate_json(text)
    return spec, spec.dataset()


def _run_unit(text: str, row: Entrant, seed: int, run: Path) -> str:
    """Train one row for one seed and measure it; every stage is saved when it is done."""
    spec, data = _known(text)
    folder = unit_folder(run, row, seed)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = read_stage(folder / "train.json") is None
    _warm_up()
    begun = time.perf_counter()
    model = trained(spec, data, row, seed, folder).requires_grad_(False)
    seconds = time.perf_counter() - begun
    if fresh:
        (folder / "timing.json").unlink(missing_ok=True)
    stage(folder / "timing.json", lambda: {"train": seconds, "answer": defended.timed(model, data)})
    _attack(model, row, seed, run, (spec, data))
    # one answer of a model that answers at random says little
    if stages.quantum_core(model) is not None and not isinstance(model, RandomisedClassifier):
        _measure_quantum(model, folder, spec, data, seed)
    return folder.name


@lru_cache(maxsize=1)
def _warm_up() -> None:
    """What the first training of a process pays besides (torch loads its compiler) is no defence's cost."""
    x, y = torch.rand(4, 1, generator=torch.Generator()), torch.tensor([0, 1, 0, 1])
    fit(nn.Linear(1, 2), x, y, generator=torch.Generator(), training=Training(epochs=1))


def _attack(model: nn.Module, row: Entrant, seed: int, run: Path, given: tuple[Spec, Dataset]) -> None:
    """Clean answers and survivors; the undefended model's adversarial inputs are kept for the others."""
    spec, data = given
    folder, first = unit_folder(run, row, seed), row.key == "quantum"
    if first and load_inputs(folder / "adversarial.safetensors") is None:
        save_inputs(defended.crafted(model, data, spec, seed), folder / "adversarial.safetensors")
    subject = defended.Subject(model, {} if first else _transferred(run, spec, seed))
    stage(folder / "clean.json", lambda: defended.clean(subject, data))
    stage(folder / "attack.json", lambda: defended.attacked(subject, data, spec, (seed, row.key)))


def _transferred(run: Path, spec: Spec, seed: int) -> dict[float, Tensor]:
    """What was found on the undefended model of this seed, by eps."""
    folder = unit_folder(run, Entrant("quantum", spec.model.name), seed)
    found = load_inputs(folder / "adversarial.safetensors")
    assert found is not None
    return {eps: found[repr(eps)] for eps in spec.threat.eps}


def _measure_quantum(model: nn.Module, folder: Path, spec: Spec, data: Dataset, seed: int) -> None:
    """What only a model with a circuit has: a noise sweep, perhaps a certificate."""
    assert isinstance(model, QuantumClassifier)
    stage(folder / "noise.json", lambda: stages.noise_sweep(model, data, spec, seed))
    if spec.certificate.build() is not None:
        stage(folder / "certified.json", lambda: certified(model, data, spec, seed))


def _write_timing(run: Path, spec: Spec, everyone: Sequence[Entrant]) -> None:
    """Median wall times by row, kept out of the table."""
    found: dict[str, dict[str, float]] = {"training": {}, "answering": {}}
    for row in everyone:
        paths = [unit_folder(run, row, seed) / "timing.json" for seed in range(spec.seeds)]
        times: list[dict[str, Any]] = [t for t in map(read_stage, paths) if t is not None]
        for name, key in (("training", "train"), ("answering", "answer")):
            values = sorted(t[key] for t in times)
            if values:
                found[name][row.key] = round(values[len(values) // 2], 6)
    write_atomically(run / "timing.json", (json.dumps(found, indent=1) + "\n").encode())
