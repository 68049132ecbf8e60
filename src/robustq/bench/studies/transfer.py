"""Whose adversarial inputs fool whom: every model attacked, every model asked (Papernot et al. 2016).

All players of one seed meet on the same test inputs: each makes its adversarial inputs white-box, and
each is asked about everybody's. Random noise of the same threat is a source too: what transfers no better
than noise has not transferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from robustq import stats
from robustq.attacks import run_attack
from robustq.bench.device import Quantum, check_fits
from robustq.bench.entrants import Entrant, key_of, try_out
from robustq.bench.inputs import load_inputs, save_inputs
from robustq.bench.matrix import Cell, Matrix, Player
from robustq.bench.outside import packages
from robustq.bench.records import heading
from robustq.bench.spec import Spec, TransferSpecification, completed
from robustq.bench.stages import Stage, of_every_seed, pack, table
from robustq.bench.study import perform, plain, understood
from robustq.bench.survivors import right
from robustq.bench.training import TrainingStage, trained
from robustq.contracts import Classifier, QuantumClassifier
from robustq.data import Dataset, RawData
from robustq.defences import Recipe
from robustq.defences.saved import load
from robustq.errors import RunError, SpecError
from robustq.models.catalogue import MODELS
from robustq.runs import Compute, Progress, Unit, Workspace
from robustq.seeding import torch_generator

DEFAULTS = ("qnn", "reuploading", "hybrid", "mlp", "logistic")
NOISE = "noise"  # the source that is no model


@dataclass(frozen=True)
class Participant:
    """One row and column: a trained model, noise-free or on the specification's device.

    >>> Participant(Entrant("quantum", "qnn"), on_device=True).key
    'qnn-on-device'
    """

    entrant: Entrant
    on_device: bool = False

    @property
    def key(self) -> str:
        """Its id in the matrix."""
        return self.entrant.model + ("-on-device" if self.on_device else "")

    @property
    def inputs(self) -> str:
        """The file of its adversarial inputs."""
        return f"adversarial{'-on-device' if self.on_device else ''}.safetensors"

    def label(self, spec: TransferSpecification) -> str:
        """What the matrix calls it."""
        device = spec.noise.calibrated()
        return self.entrant.label + (f" on {device.name}" if self.on_device and device else "")

    def classifier(self, model: nn.Module, spec: TransferSpecification) -> Classifier:
        """The trained model as it takes part."""
        if self.on_device:
            assert isinstance(model, Quantum)
            return model.freeze(spec.noise.calibrated())
        return model.freeze() if isinstance(model, QuantumClassifier) else model


class AnswerStage(Stage):
    """Whose clean inputs are right, and who (target) is right about whose (source) adversarial inputs."""

    file: ClassVar[str] = "answers.json"
    clean: dict[str, str]
    under: dict[str, dict[str, str]]


def transfer(
    spec: Spec,
    run: Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> Matrix:
    """Train every model over all seeds, attack each at the reference eps, ask every other.

    Args:
        spec: data, threat, training, attack, seeds; ``transfer.models``; ``noise.device`` adds a noisy
            twin of ``model``.
        run: the run folder (see :func:`robustq.bench.study.perform`).
        workers: processes.
        progress: told after every unit.
        compute: with what else than processes on this machine, and over which store.
    """
    return perform(TransferStudy.of(spec), run, workers, progress, compute)


@dataclass(frozen=True, eq=False)
class TransferStudy:
    """A specification completed by its data, its models written out."""

    spec: TransferSpecification
    data: Dataset
    kind: type[Matrix] = Matrix

    @staticmethod
    def of(spec: Spec) -> TransferStudy:
        """With five models, and a CNN where there are images, if the specification names none."""
        raw = spec.raw()
        own = completed(spec, raw).of(TransferSpecification)
        models = usual_models(own, raw) if own.transfer.models is None else own.transfer.models
        if len(models) < 2:
            raise SpecError(f"transfer.models: expected two models or more, got {models}")
        own = own.model_copy(update={"transfer": own.transfer.model_copy(update={"models": models})})
        return TransferStudy(own, own.dataset(raw))

    @cached_property
    def participants(self) -> list[Participant]:
        """Everyone in the matrix."""
        return participants_of(self.spec)

    @property
    def entrants(self) -> list[Entrant]:
        """The models that are trained."""
        return [participant.entrant for participant in self.participants if not participant.on_device]

    @property
    def total(self) -> int:
        """A training of each model, and one confrontation, a seed."""
        return self.spec.seeds * (len(self.entrants) + 1)

    def check(self) -> None:
        """Build every model once and run it; the device has to be large enough."""
        for participant in self.participants:
            model = try_out(participant.entrant, self.spec, self.data)
            if participant.on_device:
                check_fits(model, self.spec.noise.calibrated())

    def rounds(self, run: Path) -> list[list[Unit]]:
        """Everybody makes inputs; then everybody is asked."""
        content, place = plain(self.spec), "robustq.bench.studies.transfer"
        making = [
            [entrant.unit(f"{place}:craft", content, seed) for entrant in self.entrants]
            for seed in range(self.spec.seeds)
        ]
        asking = [
            Unit(
                f"{place}:confront",
                {"spec": content, "seed": seed},
                f"units/transfer-{seed}",
                f"asking, seed {seed}",
                tuple(making[seed]),
            )
            for seed in range(self.spec.seeds)
        ]
        return [[unit for units in making for unit in units], asking]

    def record(self, run: Path) -> Matrix:
        """The matrix."""
        return summarise(run, self.spec, self.data)

    def publish(self, run: Path, seconds: float) -> None:
        """The matrix is all."""


def usual_models(spec: TransferSpecification, raw: RawData) -> list[str]:
    """The specification's own model and the others that are tried by default.

    >>> from robustq.bench.spec import parse
    >>> spec = parse({"data": {"name": "iris"}})
    >>> usual_models(spec.of(TransferSpecification), spec.raw())
    ['qnn', 'reuploading', 'hybrid', 'mlp', 'logistic']
    """
    extra = ("cnn",) if raw.kind == "image" and "cnn" in MODELS else ()
    return list(dict.fromkeys((spec.model.name, *DEFAULTS, *extra)))


def participants_of(spec: TransferSpecification) -> list[Participant]:
    """Everyone; the specification's own model takes part twice if there is a device."""
    everyone = []
    for name in spec.transfer.models or []:
        own = name == spec.model.name
        entrant = Entrant("quantum" if own else key_of(name), name, matched=name == "mlp")
        everyone.append(Participant(entrant))
        if own and spec.noise.calibrated() is not None:
            everyone.append(Participant(entrant, on_device=True))
    return everyone


def craft(workspace: Workspace, *, spec: dict[str, Any], entrant: dict[str, Any], seed: int) -> None:
    """Train one model, make its adversarial inputs (and its noisy twin's), save both.

    Kept is the strongest candidate for every test input, flipped or not, and what finding it cost.
    """
    asked, data = understood(TransferSpecification, spec)
    who, folder = Entrant(**entrant), workspace.folder
    model = trained(who, asked, Recipe(), data, seed, folder)
    for participant in participants_of(asked):
        if participant.entrant != who or load_inputs(folder / participant.inputs) is not None:
            continue
        result = run_attack(
            asked.attack.build(),
            participant.classifier(model, asked),
            *data.tensors("test"),
            asked.threat.build(asked.threat.reference),
            generator=torch_generator(asked.seed, seed, "transfer", participant.key),
        )
        save_inputs(
            {"x_adv": result.x_adv}, folder / participant.inputs, queries=result.queries, gradients=result.gradients
        )


def confront(workspace: Workspace, *, spec: dict[str, Any], seed: int) -> None:
    """Ask every player of one seed about everybody's inputs."""
    asked, data = understood(TransferSpecification, spec)
    AnswerStage.once(workspace.folder, lambda: _answers(workspace.inputs, asked, data, seed))


def _answers(folders: Mapping[str, Path], spec: TransferSpecification, data: Dataset, seed: int) -> AnswerStage:
    x, y = data.tensors("test")
    stream = torch_generator(spec.seed, seed, "transfer", NOISE)
    inputs = {NOISE: spec.threat.build(spec.threat.reference).sample(x, stream)}
    everyone = {participant: folders[participant.entrant.folder(seed)] for participant in participants_of(spec)}
    for participant, folder in everyone.items():
        inputs[participant.key] = _crafted(folder / participant.inputs)
    clean: dict[str, str] = {}
    under: dict[str, dict[str, str]] = {source: {} for source in inputs}
    for participant, folder in everyone.items():
        model = participant.classifier(load(folder, allow=packages(spec)).requires_grad_(False), spec)
        clean[participant.key] = pack(right(model, x, y))
        for source, x_adv in inputs.items():
            under[source][participant.key] = pack(right(model, x_adv, y))
    return AnswerStage(clean=clean, under=under)


def _crafted(path: Path) -> Tensor:
    inputs = load_inputs(path)
    if inputs is None:
        raise RunError(f"{path}: expected adversarial inputs; run the same command again")
    return inputs["x_adv"]


def summarise(run: Path, spec: TransferSpecification, data: Dataset) -> Matrix:
    """The matrix of a run whose seeds have all been asked."""
    stages = of_every_seed(AnswerStage, [run / "units" / f"transfer-{seed}" for seed in range(spec.seeds)])
    targets = [_player(run, spec, participant, stages) for participant in participants_of(spec)]
    sources = [*targets, Player(key=NOISE, label="random noise", family="none", parameters=0, correct=[])]
    return Matrix(
        **heading(spec, data, "Transfer"),
        attack=str(spec.attack.build()),
        inputs=len(data.x_test),
        majority=int(np.bincount(data.y_test).max()),
        seeds=spec.seeds,
        sources=sources,
        targets=targets,
        cells=[_cell(s.key, t.key, stages, spec.confidence) for s in sources for t in targets],
    )


def _player(run: Path, spec: TransferSpecification, participant: Participant, stages: list[AnswerStage]) -> Player:
    [training] = of_every_seed(TrainingStage, [run / participant.entrant.folder(0)])
    return Player(
        key=participant.key,
        label=participant.label(spec),
        family=participant.entrant.family,
        parameters=training.parameters,
        correct=[int(n) for n in table(stage.clean[participant.key] for stage in stages).sum(1)],
    )


def _cell(source: str, target: str, stages: list[AnswerStage], confidence: float) -> Cell:
    """Counts over the inputs that the target gets right, with the interval of their ratio."""
    correct = table(stage.clean[target] for stage in stages)
    flipped = correct * (1 - table(stage.under[source][target] for stage in stages))
    interval = stats.ratio(flipped, correct, confidence)
    return Cell(
        source=source,
        target=target,
        flipped=[int(n) for n in flipped.sum(1)],
        correct=[int(n) for n in correct.sum(1)],
        low=round(interval.low, 6),
        high=round(interval.high, 6),
    )
