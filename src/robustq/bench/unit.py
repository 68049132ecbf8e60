"""One unit of work: one entrant, one seed, in stages that are each saved when done."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustq.atomic import write_atomically
from robustq.bench import stages
from robustq.bench.audited import audited
from robustq.bench.certified import certified
from robustq.bench.device import Quantum, on_device
from robustq.bench.entrants import Entrant, build, fit_stream, recipe_of
from robustq.bench.mitigated import mitigated
from robustq.bench.outside import packages
from robustq.bench.spec import Spec
from robustq.contracts import QuantumClassifier
from robustq.data import Dataset
from robustq.defences.saved import load, save
from robustq.errors import ModelFileError
from robustq.models import Checkpoint, parameter_count
from robustq.models.svm import RBFSVM
from robustq.seeding import derive


@lru_cache(maxsize=2)
def _dataset(text: str) -> Dataset:
    return Spec.model_validate_json(text).dataset()


def run_unit(spec_json: str, entrant: Entrant, seed: int, folder: Path) -> str:
    """Run what is missing of one unit and return its folder's name.

    Every stage writes one file atomically; a stage whose file is there is not run again, so a unit
    killed at any moment continues where it was.
    """
    spec, data = Spec.model_validate_json(spec_json), _dataset(spec_json)
    folder.mkdir(parents=True, exist_ok=True)
    model = trained(spec, data, entrant, seed, folder)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    device = spec.noise.calibrated()
    stage(folder / "clean.json", lambda: stages.clean(model, data))
    stage(folder / "attack.json", lambda: stages.attacked(model, data, spec, seed))
    if isinstance(model, QuantumClassifier):
        stage(folder / "noise.json", lambda: stages.noise_sweep(model, data, spec, seed))
        fit = model.fitted(device) if device is not None and isinstance(model, Quantum) else None
        stage(folder / "drawn.json", lambda: stages.drawn(model, fit, data, spec, seed))
    if spec.certificate.build() is not None and isinstance(model, QuantumClassifier):
        stage(folder / "certified.json", lambda: certified(model, data, spec, seed))
    if device is not None and isinstance(model, Quantum):
        stage(folder / "device.json", lambda: on_device(model, device, data, spec, seed))
        if spec.mitigation.names != []:
            stage(folder / "mitigation.json", lambda: mitigated(model, device, data, spec, seed))
    if seed == 0:
        stored = (read_stage(folder / "attack.json") or {}).get("examples", [])
        stage(folder / "audit.json", lambda: audited(model, data, spec, entrant, stored))
    return folder.name


def stage(path: Path, work: Callable[[], dict[str, Any]]) -> None:
    """Do the work unless the file holds what it made, and write that with its seal."""
    if read_stage(path) is None:
        content = work()
        sealed = {"sha256": _seal(content), "content": content}
        write_atomically(path, (json.dumps(sealed) + "\n").encode())


def read_stage(path: Path) -> dict[str, Any] | None:
    """What a finished stage stored; None if it is missing, damaged or was edited, and must be redone."""
    try:
        sealed = json.loads(path.read_bytes())
        content: dict[str, Any] = sealed["content"]
        return content if sealed["sha256"] == _seal(content) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _seal(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def trained(spec: Spec, data: Dataset, entrant: Entrant, seed: int, folder: Path) -> nn.Module:
    """The trained model: from its files, or trained now and saved.

    ``train.json`` is written after the model's files, so it marks them complete. A training that was killed goes on
    from its checkpoint.
    """
    if read_stage(folder / "train.json") is not None:
        with contextlib.suppress(ModelFileError):  # damaged since: train again
            return load(folder, allow=packages(spec))
    x, y = data.tensors("train")
    model = build(entrant, spec, x.shape[1], len(data.classes), seed)
    kept = Checkpoint(folder / "training.safetensors")
    record: dict[str, Any] = {"parameters": parameter_count(model), **stages.facts(model)}
    if isinstance(model, RBFSVM):
        model.fit_arrays(x.double().numpy(), y.numpy(), seed=derive(spec.seed, seed, "svm"))
        record["parameters"] = parameter_count(model)
    else:
        stream, plan = fit_stream(entrant, spec, seed), spec.training.build()
        model, history = recipe_of(entrant, spec).fit(model, x, y, generator=stream, training=plan, checkpoint=kept)
        record |= {"parameters": parameter_count(model), **stages.facts(model)}
        record["history"] = [[e.number, e.loss, e.validation_loss, e.validation_accuracy] for e in history.epochs]
        record |= {"best_epoch": history.best, "rows": len(history.epochs) * history.rows}
    metadata = {"entrant": entrant.key, "seed": seed, "spec": spec.model_dump(), "data": dict(data.record)}
    save(model, folder, metadata=metadata)
    (folder / "train.json").unlink(missing_ok=True)
    stage(folder / "train.json", lambda: record)
    kept.path.unlink(missing_ok=True)
    return model.eval()


def single_thread() -> None:
    """Fix the worker's thread count, so that results do not depend on the machine's cores in use."""
    torch.set_num_threads(1)
