"""One architecture of a co-design search: what is known before training it, and what is measured after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from robustq.attacks import Adaptive, QuantumAutoAttack, run_attack
from robustq.bench.entrants import Entrant, defence_of
from robustq.bench.measurement import AttackLevel, AttackStage, CleanStage, answers
from robustq.bench.proofs import ProofStage, prove, radii, reason
from robustq.bench.spec import CertificateSpec, CodesignSpecification, DefenceSpec, ModelSpec, register
from robustq.bench.stages import Stage, Table, bits, of_every_seed, pack, table
from robustq.bench.studies.codesign.objectives import OBJECTIVES, Performance
from robustq.bench.studies.codesign.space import Candidate, candidate_of
from robustq.bench.study import understood
from robustq.bench.survivors import right
from robustq.bench.training import trained
from robustq.catalogue import resolve
from robustq.circuits import Circuit
from robustq.contracts import Attack, QuantumClassifier, TwinnedClassifier
from robustq.data import Dataset
from robustq.defences.catalogue import DEFENCES
from robustq.errors import DataError, ModelError, RobustQError
from robustq.models.catalogue import qnn
from robustq.models.training import hold_back
from robustq.noise import NoiseModel
from robustq.runs import Workspace
from robustq.seeding import torch_generator

# A wrong choice is further from possible than any that merely costs too much.
IMPOSSIBLE = 100.0


class NoiseStage(Stage):
    """Correctness with finite shots at every level of gate noise."""

    file: ClassVar[str] = "noise.json"
    levels: list[float]
    correct: list[str]


class FailureStage(Stage):
    """Why an architecture could not be trained or measured."""

    file: ClassVar[str] = "failed.json"
    reason: str


STAGES: Mapping[str, type[Stage]] = {
    "correct": CleanStage,
    "robust": AttackStage,
    "noisy": NoiseStage,
    "certified": ProofStage,
}


@dataclass(frozen=True)
class Feasibility:
    """What is known of an architecture before it is trained.

    Attributes:
        gates: two-qubit gates, those that load amplitudes included; -1 where it cannot be built.
        violation: how far it is outside the constraints, 0 inside.
        reason: in what respect.
    """

    gates: int
    violation: float = 0.0
    reason: str = ""


def reference(spec: CodesignSpecification) -> Candidate:
    """The specification's own model, undefended; ``spec`` is completed.

    >>> from robustq.bench.spec import completed, parse
    >>> spec = parse({"data": {"name": "iris"}})
    >>> str(reference(completed(spec, spec.raw()).of(CodesignSpecification)))
    'angle, strongly-entangling x 3, per-qubit-z'
    """
    options = {**(qnn.__kwdefaults__ or {}), **spec.model.options}
    none = next(name for name, entry in DEFENCES.items() if entry.null)
    return candidate_of({**options, "defence": none})


def model_options(candidate: Candidate) -> dict[str, Any]:
    """The options of the model's builder."""
    options = {name: getattr(candidate, name) for name in ("encoding", "ansatz", "readout", "layers")}
    return {name: value for name, value in options.items() if value is not None}


@lru_cache(maxsize=4096)
def _built(candidate: Candidate, features: int, classes: int) -> int | str:
    """The two-qubit gates of an architecture; in words, why it cannot be built."""
    try:
        model = qnn(features, classes, generator=torch.Generator(), **model_options(candidate))
    except RobustQError as failure:
        return str(failure)
    return two_qubit_gates(model.circuit)


def feasibility(spec: CodesignSpecification, candidate: Candidate, features: int, classes: int) -> Feasibility:
    """Built but not trained: its gates, and whether they and its qubits are within the constraints."""
    limits = spec.codesign
    qubits = register(candidate.encoding, features)
    if qubits > limits.most_qubits:
        return Feasibility(-1, qubits / limits.most_qubits, f"{qubits} qubits, at most {limits.most_qubits}")
    gates, most = _built(candidate, features, classes), limits.most_two_qubit_gates
    if isinstance(gates, str):
        return Feasibility(-1, IMPOSSIBLE, gates)
    if most is not None and gates > most:
        return Feasibility(gates, gates / max(1, most), f"{gates} two-qubit gates, at most {most}")
    return Feasibility(gates)


def two_qubit_gates(circuit: Circuit) -> int:
    """Those of the circuit, and ``2^n - 2`` to load real amplitudes (Mottonen et al. 2005).

    >>> from robustq.circuits import encodings
    >>> two_qubit_gates(encodings.amplitude(8)), two_qubit_gates(encodings.angle(8))
    (6, 0)
    """
    loading = 2**circuit.qubits - 2 if circuit.amplitudes else 0
    return circuit.two_qubit_gates + loading


def as_spec(spec: CodesignSpecification, candidate: Candidate, *, final: bool) -> CodesignSpecification:
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


def searched(data: Dataset, spec: CodesignSpecification) -> Dataset:
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


def needed(spec: CodesignSpecification, *, final: bool) -> set[str]:
    """What must be measured: for the objectives in the search, everything in the end."""
    chosen = OBJECTIVES if final else spec.codesign.objectives
    return {"correct"} | {OBJECTIVES[name].needs for name in chosen} & set(STAGES)


def measure(workspace: Workspace, *, spec: dict[str, Any], candidate: dict[str, Any], seed: int, final: bool) -> None:
    """Train one architecture for one seed and store what it does, stage by stage.

    In the search it is judged on held-back training rows with the specification's attack; at the end
    (``final``) on the test rows with the whole ensemble. An architecture that cannot be trained is stored as such.
    """
    asked, data = understood(CodesignSpecification, spec)
    folder = workspace.folder
    if FailureStage.read(folder) is not None:
        return
    try:
        own = as_spec(asked, Candidate(**candidate), final=final)
        _measure(own, data if final else searched(data, asked), seed, folder, final)
    except RobustQError as failure:
        failed = FailureStage(reason=str(failure))
        FailureStage.once(folder, lambda: failed)


def _measure(own: CodesignSpecification, data: Dataset, seed: int, folder: Path, final: bool) -> None:
    entrant = Entrant("quantum", "qnn", defended=not resolve("defence", own.defence.name, DEFENCES).null)
    model = trained(entrant, own, defence_of(entrant, own.defence, own), data, seed, folder)
    if not isinstance(model, QuantumClassifier):
        raise ModelError(f"expected a model that runs under noise, got {type(model).__name__}")
    attack, certifier = QuantumAutoAttack() if final else own.attack.build(), own.certificate.build()
    assert certifier is not None
    work: Mapping[str, Callable[[], Stage]] = {
        "correct": lambda: answers(model, data),
        "robust": lambda: survivors(model, data, own, attack, seed),
        "noisy": lambda: noisy(model, data, own, seed),
        "certified": lambda: prove(certifier, model, data, own, seed),
    }
    for name in sorted(needed(own, final=final)):
        STAGES[name].once(folder, work[name])


def survivors(model: nn.Module, data: Dataset, spec: CodesignSpecification, attack: Attack, seed: int) -> AttackStage:
    """Which inputs the attack leaves standing at the reference eps; twins are attacked too."""
    x, y = data.tensors("test")
    if isinstance(model, TwinnedClassifier):
        attack = Adaptive(attack, model.twins())
    stream = torch_generator(spec.seed, seed, "codesign", "attack")
    result = run_attack(attack, model, x, y, spec.threat.build(spec.threat.reference), generator=stream)
    level = AttackLevel(
        eps=spec.threat.reference, queries=result.queries, gradients=result.gradients, robust=pack(result.robust)
    )
    return AttackStage(curve=[level])


def noisy(model: QuantumClassifier, data: Dataset, spec: CodesignSpecification, seed: int) -> NoiseStage:
    """Correctness with finite shots at every level of gate noise."""
    x, y = data.tensors("test")
    rows = []
    for level in spec.noise.gate_error:
        stream = torch_generator(spec.seed, seed, "codesign", "noise", repr(level))
        noise = NoiseModel.uniform(gate_error=level)
        rows.append(pack(right(model.under(noise, shots=spec.noise.shots, generator=stream), x, y)))
    return NoiseStage(levels=list(spec.noise.gate_error), correct=rows)


def gathered(
    folders: Iterable[Path], spec: CodesignSpecification, gates: int, *, final: bool
) -> Performance | FailureStage:
    """What all seeds of one architecture stored; the first failure, if one failed."""
    folders, wanted = list(folders), needed(spec, final=final)
    for failure in map(FailureStage.read, folders):
        if failure is not None:
            return failure
    correct = table(seed.correct for seed in of_every_seed(CleanStage, folders))
    tables: dict[str, Table] = {}
    notes: list[str] = []
    if "robust" in wanted:
        tables["robust"] = table(seed.curve[0].robust for seed in of_every_seed(AttackStage, folders)) * correct
    if "noisy" in wanted:
        levels = [[bits(row) for row in seed.correct] for seed in of_every_seed(NoiseStage, folders)]
        tables["noisy"] = np.array(levels).mean(1)
    if "certified" in wanted:
        tables["certified"], note = _certified(of_every_seed(ProofStage, folders), spec, correct)
        notes.append(note)
    return Performance(gates, correct, notes=tuple(notes), **tables)


def _certified(stored: list[ProofStage], spec: CodesignSpecification, correct: Table) -> tuple[Table, str]:
    """Who is certified at the reference eps: nobody, with the reason, where no certificate applies."""
    why = reason(stored)
    if why:
        return np.zeros_like(correct), " ".join(why.split())
    proved = radii(stored, "lower") >= spec.threat.reference
    return proved * correct, f"certified by {stored[0].method}"


def contradictions(one: Performance) -> int:
    """Certified inputs that the attack flipped, seeds together: must be none.

    >>> ones = np.ones((1, 3))
    >>> contradictions(Performance(0, ones, robust=0 * ones, certified=ones))
    3
    """
    if one.robust is None or one.certified is None:
        return 0
    return int((one.certified * (1 - one.robust) * one.correct).sum())
