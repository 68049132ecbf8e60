"""The defence table: every recipe trained over all seeds, attacked by who knows it, certified and priced."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from robustq.atomic import write_atomically
from robustq.bench.cost import quantum_core
from robustq.bench.defence_table import DefenceTable
from robustq.bench.entrants import Entrant, defence_of, key_of, try_out
from robustq.bench.inputs import load_inputs, save_inputs
from robustq.bench.measurement import AttackStage, CleanStage, NoiseStage, noise_sweep
from robustq.bench.proofs import ProofStage, prove
from robustq.bench.recipes import RecipeSpec
from robustq.bench.spec import DefenceSpecification, Spec, completed
from robustq.bench.stages import Stage
from robustq.bench.studies.defend import attacks
from robustq.bench.studies.defend.summary import summarise
from robustq.bench.study import perform, plain, understood
from robustq.bench.training import TrainingStage, trained
from robustq.catalogue import resolve
from robustq.contracts import QuantumClassifier, RandomisedClassifier, Step, check_logits
from robustq.data import Dataset
from robustq.defences import Recipe
from robustq.defences.catalogue import DEFENCES
from robustq.errors import RobustQError, RunError, SpecError
from robustq.models import RBFSVM, Training, fit
from robustq.runs import Compute, Progress, Unit, Workspace
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
CRAFTED = "adversarial.safetensors"


class TimingStage(Stage):
    """Seconds to train, and to answer 1000 inputs: the one stage that is not the same again."""

    file: ClassVar[str] = "timing.json"
    train: float
    answer: float


def defend(
    spec: Spec,
    run: Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> DefenceTable:
    """Train and attack the model under every recipe of the specification, and the classical baselines.

    Args:
        spec: data, model, threat, training, seeds, ``recipes``; ``attack`` is the usual attack beside the
            adaptive one; ``noise.device`` is for recipes that need a device.
        run: the run folder (see :func:`robustq.bench.study.perform`).
        workers: processes.
        progress: told after every unit.
        compute: with what else than processes on this machine, and over which store.
    """
    return perform(DefenceStudy.of(spec), run, workers, progress, compute)


@dataclass(frozen=True, eq=False)
class DefenceStudy:
    """A specification completed by its data, its recipes written out."""

    spec: DefenceSpecification
    data: Dataset
    kind: type[DefenceTable] = DefenceTable

    @staticmethod
    def of(spec: Spec) -> DefenceStudy:
        """With the usual recipes that apply if the specification names none."""
        raw = spec.raw()
        own = completed(spec, raw).of(DefenceSpecification)
        data = own.dataset(raw)
        recipes = own.recipes or usual_recipes(own, data)
        return DefenceStudy(own.model_copy(update={"recipes": recipes}), data)

    @cached_property
    def rows(self) -> list[Entrant]:
        """Everyone in the table."""
        return rows_of(self.spec)

    @property
    def total(self) -> int:
        """Every row over all seeds."""
        return self.spec.seeds * len(self.rows)

    def check(self) -> None:
        """Guard every model once and take one step."""
        for row in self.rows:
            _try_out(row, self.spec, self.data)

    def rounds(self, run: Path) -> list[list[Unit]]:
        """The undefended model first: the others are attacked with what was found on it."""
        bare = [self._unit(self.rows[0], seed) for seed in range(self.spec.seeds)]
        others = [self._unit(row, seed, bare[seed]) for seed in range(self.spec.seeds) for row in self.rows[1:]]
        return [bare, others]

    def _unit(self, row: Entrant, seed: int, *inputs: Unit) -> Unit:
        work = "robustq.bench.studies.defend.study:measure"
        return row.unit(work, plain(self.spec), seed, label_of(row, self.spec), inputs)

    def record(self, run: Path) -> DefenceTable:
        """The table."""
        return summarise(run, self.spec, self.data, [(row, label_of(row, self.spec)) for row in self.rows])

    def publish(self, run: Path, seconds: float) -> None:
        """Median wall times by row, kept out of the table."""
        medians: dict[str, dict[str, float]] = {"training": {}, "answering": {}}
        for row in self.rows:
            stored = (TimingStage.read(run / row.folder(seed)) for seed in range(self.spec.seeds))
            times = [stage for stage in stored if stage is not None]
            for name, key in (("training", "train"), ("answering", "answer")):
                values = sorted(getattr(stage, key) for stage in times)
                if values:
                    medians[name][row.key] = round(values[len(values) // 2], 6)
        write_atomically(run / "timing.json", (json.dumps(medians, indent=1) + "\n").encode())


def usual_recipes(spec: DefenceSpecification, data: Dataset) -> list[RecipeSpec]:
    """Those of the usual recipes that apply."""
    chosen = []
    for name in USUAL:
        alone = spec.model_copy(update={"recipes": [RecipeSpec(name=name)]})
        with contextlib.suppress(SpecError):
            _try_out(rows_of(alone)[1], alone, data)
            chosen += alone.recipes
    return chosen


def rows_of(spec: DefenceSpecification) -> list[Entrant]:
    """The undefended model, every recipe, and the classical baselines with and without the usual defence.

    >>> from robustq.bench.spec import parse
    >>> spec = parse({"data": {"name": "iris"}, "recipes": [{"name": "adversarial-training"}]})
    >>> [row.key for row in rows_of(spec.of(DefenceSpecification))]
    ['quantum', 'quantum-adversarial-training', 'mlp', 'mlp-defended', 'logistic', 'svm-rbf']
    """
    rows = [Entrant("quantum", spec.model.name)]
    for place, recipe in enumerate(spec.recipes):
        slug = re.sub(r"[^a-z0-9]+", "-", recipe.title.lower()).strip("-")
        key = f"quantum-{slug}" if 0 < len(slug) < 100 else f"quantum-{place}"
        if key in [row.key for row in rows]:
            raise SpecError(f"recipes: expected different recipes, got {recipe.title!r} twice")
        rows.append(Entrant(key, spec.model.name, recipe=place))
    for name in spec.baselines.names:
        rows.append(Entrant(key_of(name), name, matched=name == "mlp"))
        able = spec.defence.name != "none" and resolve("defence", spec.defence.name, DEFENCES).model is None
        if name == "mlp" and spec.baselines.defended and able:
            rows.append(Entrant("mlp-defended", name, defended=True, matched=True))
    return rows


def recipe_of(row: Entrant, spec: DefenceSpecification) -> Recipe:
    """What defends it, which may be nothing."""
    if row.recipe is None:
        return defence_of(row, spec.defence, spec)
    return spec.recipes[row.recipe].build(spec.defence.given(spec.threat, spec.noise.calibrated()))


def label_of(row: Entrant, spec: DefenceSpecification) -> str:
    """What the table calls it."""
    if row.recipe is not None:
        return spec.recipes[row.recipe].title
    return f"{row.label}, undefended" if row.key == "quantum" else row.label


def _try_out(row: Entrant, spec: DefenceSpecification, data: Dataset) -> None:
    """Guard the model and take one step: what does not apply fails here, before any work."""
    x, y = data.tensors("train")
    few, model = slice(0, min(4, len(x))), try_out(row, spec, data)
    if isinstance(model, RBFSVM):
        return
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


def measure(workspace: Workspace, *, spec: dict[str, Any], entrant: dict[str, Any], seed: int) -> None:
    """Train one row for one seed and measure it; a stage whose file is whole is not redone."""
    asked, data = understood(DefenceSpecification, spec)
    who, folder = Entrant(**entrant), workspace.folder
    model = _timed(who, asked, data, seed, folder)
    if not workspace.inputs and load_inputs(folder / CRAFTED) is None:
        save_inputs(attacks.crafted(model, data, asked, seed), folder / CRAFTED)
    subject = attacks.Subject(model, _transferred(workspace.inputs, asked))
    CleanStage.once(folder, lambda: attacks.answers(subject, data))
    AttackStage.once(folder, lambda: attacks.attacked(subject, data, asked, (seed, who.key)))
    # one answer of a model that answers at random says little
    if quantum_core(model) is not None and not isinstance(model, RandomisedClassifier):
        assert isinstance(model, QuantumClassifier)
        NoiseStage.once(folder, lambda: noise_sweep(model, data, asked, seed))
        certifier = asked.certificate.build()
        if certifier is not None:
            ProofStage.once(folder, lambda: prove(certifier, model, data, asked, seed))


def _timed(row: Entrant, spec: DefenceSpecification, data: Dataset, seed: int, folder: Path) -> nn.Module:
    """The trained model, and how long training and answers took."""
    fresh = TrainingStage.read(folder) is None
    _warm_up()
    begun = time.perf_counter()
    model = trained(row, spec, recipe_of(row, spec), data, seed, folder)
    seconds = time.perf_counter() - begun
    if fresh:
        (folder / TimingStage.file).unlink(missing_ok=True)
    TimingStage.once(folder, lambda: TimingStage(train=seconds, answer=attacks.seconds(model, data)))
    return model


@lru_cache(maxsize=1)
def _warm_up() -> None:
    """What the first training of a process pays besides (torch loads its compiler) is no defence's cost."""
    x, y = torch.rand(4, 1, generator=torch.Generator()), torch.tensor([0, 1, 0, 1])
    fit(nn.Linear(1, 2), x, y, generator=torch.Generator(), training=Training(epochs=1))


def _transferred(inputs: Mapping[str, Path], spec: DefenceSpecification) -> dict[float, Tensor]:
    """What was found on the undefended model of this seed, by eps; nothing for that model itself."""
    for folder in inputs.values():
        crafted = load_inputs(folder / CRAFTED)
        if crafted is None:
            raise RunError(f"{folder / CRAFTED}: expected adversarial inputs; run the same command again")
        return {eps: crafted[repr(eps)] for eps in spec.threat.eps}
    return {}
