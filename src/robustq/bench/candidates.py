"""One architecture of a co-design search: what is known before training it, and what is measured after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from robustq.attacks import Adaptive, QuantumAutoAttack, run_attack
from robustq.bench import stages
from robustq.bench.certified import certified, radii
from robustq.bench.entrants import Entrant
from robustq.bench.objectives import OBJECTIVES, Outcomes, Table
from robustq.bench.space import Candidate, candidate_of
from robustq.bench.spec import CertificateSpec, DefenceSpec, ModelSpec, Spec, register
from robustq.bench.stages import bits, pack
from robustq.bench.unit import read_stage, stage, trained
from robustq.catalogue import resolve
from robustq.circuits import Circuit
from robustq.contracts import Attack, QuantumClassifier, TwinnedClassifier
from robustq.data import Dataset
from robustq.defences.catalogue import DEFENCES
from robustq.errors import DataError, ModelError, RobustQError
from robustq.models.catalogue import qnn
from robustq.models.training import hold_back
from robustq.noise import NoiseModel
from robustq.seeding import torch_generator

# A wrong choice is further from possible than any that merely costs too much.
IMPOSSIBLE = 100.0
JUDGED = {"correct", "robust", "certified", "noisy"}
FILES = {"correct": "clean", "robust": "attack", "noisy": "noise", "certified": "certified"}


@dataclass(frozen=True)
class Plain:
    """What is known of an architecture before it is trained.

    Attributes:
        gates: two-qubit gates, those that load amplitudes included; -1 where it cannot be built.
        violation: how far it is outside the constraints, 0 inside.
        reason: in what respect.
    """

    gates: int
    violation: float = 0.0
    reason: str = ""


def reference(spec: Spec) -> Candidate:
    """The specification's own model, undefended; ``spec`` is completed.

    >>> from robustq.bench.spec import completed, parse
    >>> spec = parse({"data": {"name": "iris"}})
    >>> str(reference(completed(spec, spec.raw())))
    'angle, strongly-entangling x 3, per-qubit-z'
    """
    options = {**(qnn.__kwdefaults__ or {}), **spec.model.options}
    none = next(name for name, entry in DEFENCES.items() if entry.null)
    return candidate_of({**options, "defence": none})


def model_options(candidate: Candidate) -> dict[str, Any]:
    """The options of the model's builder."""
    options: dict[str, Any] = {
        "encoding": candidate.encoding,
        "ansatz": candidate.ansatz,
        "readout": candidate.readout,
    }
    return options if candidate.layers is None else {**options, "layers": candidate.layers}


@lru_cache(maxsize=4096)
def _built(candidate: Candidate, features: int, classes: int) -> int | str:
    """The two-qubit gates of an architecture; in words, why it cannot be built."""
    try:
        model = qnn(features, classes, generator=torch.Generator(), **model_options(candidate))
    except RobustQError as failure:
        return str(failure)
    return two_qubit_gates(model.circuit)


def plain(spec: Spec, candidate: Candidate, features: int, classes: int) -> Plain:
    """Built but not trained: its gates, and whether they and its qubits are within the constraints."""
    limits = spec.codesign
    qubits = register(candidate.encoding, features)
    if qubits > limits.most_qubits:
        return Plain(-1, qubits / limits.most_qubits, f"{qubits} qubits, at most {limits.most_qubits}")
    gates, most = _built(candidate, features, classes), limits.most_two_qubit_gates
    if isinstance(gates, str):
        return Plain(-1, IMPOSSIBLE, gates)
    if most is not None and gates > most:
        return Plain(gates, gates / max(1, most), f"{gates} two-qubit gates, at most {most}")
    return Plain(gates)


def two_qubit_gates(circuit: Circuit) -> int:
    """Those of the circuit, and ``2^n - 2`` to load real amplitudes (Mottonen et al. 2005).

    >>> from robustq.circuits import encodings
    >>> two_qubit_gates(encodings.amplitude(8)), two_qubit_gates(encodings.angle(8))
    (6, 0)
    """
    loading = 2**circuit.qubits - 2 if circuit.amplitudes else 0
    return circuit.two_qubit_gates + loading


def as_spec(spec: Spec, candidate: Candidate, *, final: bool) -> Spec:
    """The specification of one architecture: its model, its defence, the reference eps alone."""
    own = spec.defence.options if candidate.defence == spec.defence.name else {}
    defence = DefenceSpec(name=candidate.defence, eps=candidate.eps, steps=spec.defence.steps, options=own)
    training = spec.training
    if spec.codesign.epochs is not None and not final:
        training = training.model_copy(update={"epochs": spec.codesign.epochs})
    proof = spec.certificate if spec.certificate.build() is not None else CertificateSpec()
    eps = spec.threat.reference
    return spec.model_copy(
        update={
            "model": ModelSpec(options=model_options(candidate)),
            "defence": defence,
            "training": training,
            "certificate": proof,
            "threat": spec.threat.model_copy(update={"eps": [eps]}),
        }
    )


def searched(data: Dataset, spec: Spec) -> Dataset:
    """The training rows alone: a share is held back in the place of the test rows, which are left out.

    Raises:
        DataError: if a class would be left without a row on either side.
    """
    y = torch.tensor(data.y_train)
    rows = hold_back(y, spec.codesign.held, torch_generator(spec.seed, "codesign", "held"))
    fit, held = (np.sort(part.numpy()) for part in rows)
    classes = set(data.y_train.tolist())
    if any(set(data.y_train[part].tolist()) != classes for part in (fit, held)):
        raise DataError(
            f"codesign.held: expected rows of every class on both sides, got {len(fit)} and {len(held)} rows"
        )
    return replace(
        data,
        x_train=data.x_train[fit],
        y_train=data.y_train[fit],
        x_test=data.x_train[held],
        y_test=data.y_train[held],
    )


@lru_cache(maxsize=2)
def _known(text: str, final: bool) -> tuple[Spec, Dataset]:
    spec = Spec.model_validate_json(text)
    data = spec.dataset()
    return spec, data if final else searched(data, spec)


def needed(spec: Spec, *, final: bool) -> set[str]:
    """What must be measured: for the objectives in the search, everything in the end."""
    chosen = OBJECTIVES if final else spec.codesign.objectives
    return {"correct"} | {OBJECTIVES[name].needs for name in chosen} & JUDGED


def measure(text: str, candidate: Candidate, seed: int, folder: Path, final: bool) -> str:
    """Train one architecture for one seed and store what it does, stage by stage.

    In the search it is judged on held-back training rows with the specification's attack; at the end
    (``final``) on the test rows with the whole ensemble. An architecture that cannot be trained is stored as such.
    """
    spec, data = _known(text, final)
    folder.mkdir(parents=True, exist_ok=True)
    if read_stage(folder / "failed.json") is not None:
        return folder.name
    try:
        _measure(as_spec(spec, candidate, final=final), data, seed, folder, final)
    except RobustQError as failure:
        reason = str(failure)
        stage(folder / "failed.json", lambda: {"reason": reason})
    return folder.name


def _measure(own: Spec, data: Dataset, seed: int, folder: Path, final: bool) -> None:
    null = resolve("defence", own.defence.name, DEFENCES).null
    model = trained(own, data, Entrant("quantum", "qnn", defended=not null), seed, folder)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if not isinstance(model, QuantumClassifier):
        raise ModelError(f"expected a model that runs under noise, got {type(model).__name__}")
    attack = QuantumAutoAttack() if final else own.attack.build()
    work: Mapping[str, Callable[[], dict[str, Any]]] = {
        "correct": lambda: stages.clean(model, data),
        "robust": lambda: survivors(model, data, own, attack, seed),
        "noisy": lambda: noisy(model, data, own, seed),
        "certified": lambda: certified(model, data, own, seed),
    }
    for name in sorted(needed(own, final=final)):
        stage(folder / f"{FILES[name]}.json", work[name])


def survivors(model: nn.Module, data: Dataset, spec: Spec, attack: Attack, seed: int) -> dict[str, Any]:
    """Which inputs the attack leaves standing at the reference eps; twins are attacked too."""
    x, y = data.tensors("test")
    if isinstance(model, TwinnedClassifier):
        attack = Adaptive(attack, model.twins())
    stream = torch_generator(spec.seed, seed, "codesign", "attack")
    found = run_attack(attack, model, x, y, spec.threat.build(spec.threat.reference), generator=stream)
    return {"robust": pack(found.robust), "queries": found.queries, "gradients": found.gradients}


def noisy(model: QuantumClassifier, data: Dataset, spec: Spec, seed: int) -> dict[str, Any]:
    """Correctness with finite shots at every level of gate noise."""
    x, y = data.tensors("test")
    rows = []
    for level in spec.noise.gate_error:
        stream = torch_generator(spec.seed, seed, "codesign", "noise", repr(level))
        noise = NoiseModel.uniform(gate_error=level)
        with torch.no_grad():
            logits = model.under(noise, shots=spec.noise.shots, generator=stream)(x)
        rows.append(pack(logits.argmax(1) == y))
    return {"levels": list(spec.noise.gate_error), "correct": rows}


@dataclass(frozen=True)
class Failed:
    """An architecture that could not be trained or measured, and why."""

    reason: str


def gathered(folders: Iterable[Path], spec: Spec, gates: int, *, final: bool) -> Outcomes | Failed:
    """What all seeds of one architecture stored."""
    folders = list(folders)
    for folder in folders:
        failed = read_stage(folder / "failed.json")
        if failed is not None:
            return Failed(str(failed["reason"]))
    wanted = needed(spec, final=final)
    stored = {name: [_stored(f / f"{FILES[name]}.json") for f in folders] for name in wanted}
    correct = np.array([bits(seed["correct"]) for seed in stored["correct"]])
    found: dict[str, Table] = {}
    notes: list[str] = []
    if "robust" in wanted:
        found["robust"] = np.array([bits(s["robust"]) for s in stored["robust"]]) * correct
    if "noisy" in wanted:
        levels = [[bits(row) for row in seed["correct"]] for seed in stored["noisy"]]
        found["noisy"] = np.array(levels).mean(1)
    if "certified" in wanted:
        found["certified"], note = _certified(stored["certified"], spec, correct)
        notes += note
    return Outcomes(gates, correct, notes=tuple(notes), **found)


def complete(folder: Path, spec: Spec, *, final: bool) -> bool:
    """Whether nothing of one training is left to do."""
    names = [f"{FILES[name]}.json" for name in needed(spec, final=final)]
    return read_stage(folder / "failed.json") is not None or all(
        read_stage(folder / name) is not None for name in names
    )


def _stored(path: Path) -> dict[str, Any]:
    content = read_stage(path)
    assert content is not None, path
    return content


def _certified(stored: list[dict[str, Any]], spec: Spec, correct: Table) -> tuple[Table, list[str]]:
    """Who is certified at the reference eps: nobody, with the reason, where no certificate applies."""
    reason = next((seed["none"] for seed in stored if "none" in seed), None)
    if reason is not None:
        return np.zeros_like(correct), [" ".join(reason.split())]
    proved = radii(stored, "lower") >= spec.threat.reference
    return proved * correct, [f"certified by {stored[0]['method']}"]


def contradictions(found: Outcomes) -> int:
    """Certified inputs that the attack flipped, seeds together: must be none.

    >>> one = np.ones((1, 3))
    >>> contradictions(Outcomes(0, one, robust=0 * one, certified=one))
    3
    """
    if found.robust is None or found.certified is None:
        return 0
    return int((found.certified * (1 - found.robust) * found.correct).sum())


def parameters(candidate: Candidate) -> dict[str, Any]:
    """As a plain record."""
    content: dict[str, Any] = json.loads(json.dumps(candidate.__dict__))
    return content
