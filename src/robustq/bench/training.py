"""The trained models of a run: from their files, or trained now and saved."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from robustq.bench.cost import facts
from robustq.bench.entrants import Entrant, build, fit_stream
from robustq.bench.outside import packages
from robustq.bench.spec import Specification
from robustq.bench.stages import Stage
from robustq.data import Dataset
from robustq.defences import Recipe
from robustq.defences.saved import load, save
from robustq.errors import ModelFileError
from robustq.models import RBFSVM, Checkpoint, History, parameter_count
from robustq.models.training import Callback
from robustq.seeding import derive


class TrainingStage(Stage):
    """How a model was trained, and what a device would need to run it: nothing if it is classical."""

    file: ClassVar[str] = "train.json"
    parameters: int
    qubits: int | None = None
    depth: int | None = None
    gates: int | None = None
    two_qubit_gates: int | None = None
    settings: int | None = None
    input_shifts: int | None = None
    trained_shifts: int | None = None
    amplitude_inputs: int | None = None
    circuit_svg: str | None = None
    history: list[tuple[int, float, float | None, float | None]] | None = None
    best_epoch: int | None = None
    rows: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Whatever is known, by name (see :mod:`robustq.bench.cost`)."""
        return self.model_dump(exclude_unset=True)


def trained(
    entrant: Entrant, spec: Specification, recipe: Recipe, data: Dataset, seed: int, folder: Path
) -> nn.Module:
    """The trained model of one seed, its parameters fixed.

    ``train.json`` is written after the model's files, so it marks them complete. A training that was killed goes on
    from its checkpoint.
    """
    if TrainingStage.read(folder) is not None:
        with contextlib.suppress(ModelFileError):  # damaged since: train again
            return load(folder, allow=packages(spec)).requires_grad_(False)
    kept = Checkpoint(folder / "training.safetensors")
    model, history = fitted(entrant, spec, recipe, data, seed, checkpoint=kept)
    content: dict[str, Any] = {"parameters": parameter_count(model), **facts(model)}
    if history is not None:
        content["history"] = [(e.number, e.loss, e.validation_loss, e.validation_accuracy) for e in history.epochs]
        content |= {"best_epoch": history.best, "rows": len(history.epochs) * history.rows}
    kept.path.unlink(missing_ok=True)
    save(model, folder, metadata=metadata(entrant, spec, data, seed))
    (folder / TrainingStage.file).unlink(missing_ok=True)
    TrainingStage.once(folder, lambda: TrainingStage(**content))
    kept.path.unlink(missing_ok=True)
    return model.eval().requires_grad_(False)


def fitted(
    entrant: Entrant,
    spec: Specification,
    recipe: Recipe,
    data: Dataset,
    seed: int,
    *,
    callbacks: Sequence[Callback] = (),
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, History | None]:
    """Build and train; a support-vector machine has no history."""
    x, y = data.tensors("train")
    model = build(entrant, spec, x.shape[1], len(data.classes), seed)
    if isinstance(model, RBFSVM):
        model.fit_arrays(x.double().numpy(), y.numpy(), seed=derive(spec.seed, seed, "svm"))
        return model, None
    stream, plan = fit_stream(entrant, spec, seed), spec.training.build()
    return recipe.fit(model, x, y, generator=stream, training=plan, callbacks=callbacks, checkpoint=checkpoint)


def metadata(entrant: Entrant, spec: Specification, data: Dataset, seed: int) -> dict[str, Any]:
    """What a model's file says of where it came from."""
    return {"entrant": entrant.key, "seed": seed, "spec": spec.model_dump(), "data": dict(data.record)}
