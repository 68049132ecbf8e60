"""The space of a co-design search: what it may choose from, and one choice."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any

from pydantic import Field

from robustq.bench.options import Table
from robustq.bench.studies.codesign.objectives import OBJECTIVES
from robustq.catalogue import resolve
from robustq.circuits.catalogue import ANSAETZE, ENCODINGS, READOUTS
from robustq.defences.catalogue import DEFENCES
from robustq.errors import SpecError, unknown_name

OBJECTIVES_BY_DEFAULT = ["clean", "robust", "noise-resilience", "two-qubit-gates"]


class CodesignSpec(Table):
    """The search of `robustq codesign`."""

    trials: int = Field(48, ge=1, description="architectures to try, repetitions included")
    population: int = Field(12, ge=2, description="trials a generation")
    seeds: int = Field(2, ge=1, le=100, description="trainings of each in the search")
    held: float = Field(0.3, gt=0, lt=1, description="share of the training rows that the search judges on")
    epochs: int | None = Field(None, ge=1, description="of the search's trainings; those of [training] if absent")
    encodings: list[str] = Field(default_factory=lambda: ["angle", "dense-angle", "amplitude"])
    ansaetze: list[str] = Field(default_factory=lambda: ["strongly-entangling", "hardware-efficient", "brickwork"])
    layers: list[int] = Field(default_factory=lambda: [1, 4], description="fewest and most")
    readouts: list[str] = Field(default_factory=lambda: ["per-qubit-z", "parity", "basis-groups"])
    defences: list[str] = Field(default_factory=lambda: ["none", "adversarial-training"])
    eps: list[float] | None = Field(
        None, description="lowest and highest training budget; half and twice the reference if absent"
    )
    objectives: list[str] = Field(
        default_factory=lambda: list(OBJECTIVES_BY_DEFAULT), description=", ".join(OBJECTIVES)
    )
    most_qubits: int = Field(12, ge=1, description="wider circuits are not trained")
    most_two_qubit_gates: int | None = Field(None, ge=0, description="likewise")
    least_accuracy: float | None = Field(
        None, ge=0, le=1, description="on the held-back rows; better than the commonest class if absent"
    )
    finalists: int = Field(8, ge=1, description="members of the front that are judged on the test rows, at most")

    def check(self) -> None:
        """Refuse names that do not exist, lists that are empty or repeat, and ranges that are none."""
        named = (
            ("encodings", "encoding", ENCODINGS),
            ("ansaetze", "ansatz", ANSAETZE),
            ("readouts", "read-out", READOUTS),
            ("defences", "defence", DEFENCES),
        )
        for key, kind, entries in named:
            self._check_names(key)
            for name in getattr(self, key):
                resolve(kind, name, entries)
        self._check_names("objectives")
        for name in self.objectives:
            if name not in OBJECTIVES:
                raise unknown_name("objective", name, OBJECTIVES)
        if len(self.objectives) < 2:
            raise SpecError(f"codesign.objectives: expected two or more, got {self.objectives}")
        self._check_ranges()

    def _check_names(self, key: str) -> None:
        names = getattr(self, key)
        if not names or len(set(names)) != len(names):
            raise SpecError(f"codesign.{key}: expected names, at least one, each once, got {names}")

    def _check_ranges(self) -> None:
        for key, least in (("layers", 1), ("eps", 0)):
            ends = getattr(self, key)
            fits = ends is None or (len(ends) == 2 and least <= ends[0] <= ends[1] < math.inf)
            if not fits:
                raise SpecError(f"codesign.{key}: expected [lowest, highest] from {least} on, got {ends}")

    def budgets(self, reference: float) -> tuple[float, float]:
        """Lowest and highest training budget."""
        low, high = self.eps or (reference / 2, 2 * reference)
        return low, high

    def structures(self) -> list[Candidate]:
        """Every architecture of the space, each with its first defence."""
        depths = range(self.layers[0], self.layers[1] + 1)
        every = product(self.encodings, self.ansaetze, depths, self.readouts)
        found = (Candidate.of(*part, self.defences[0], 0.0) for part in every)
        return list({candidate.key: candidate for candidate in found}.values())

    def holds(self, candidate: Candidate, budgets: tuple[float, float]) -> bool:
        """Whether the search could choose it."""
        return (
            candidate.encoding in self.encodings
            and candidate.ansatz in self.ansaetze
            and candidate.readout in self.readouts
            and candidate.defence in self.defences
            and (candidate.layers is None or self.layers[0] <= candidate.layers <= self.layers[1])
            and (candidate.eps is None or budgets[0] <= candidate.eps <= budgets[1])
        )


@dataclass(frozen=True)
class Candidate:
    """One architecture with its defence.

    ``layers`` is None where the ansatz has a depth of its own, ``eps`` where the defence trains for no threat, so
    that two choices which are the same model are the same candidate.

    >>> str(Candidate.of("angle", "qcnn", 3, "parity", "none", 0.05))
    'angle, qcnn, parity'
    """

    encoding: str
    ansatz: str
    layers: int | None
    readout: str
    defence: str
    eps: float | None

    @staticmethod
    def of(
        encoding: str, ansatz: str, layers: int | None, readout: str, defence: str, eps: float | None
    ) -> Candidate:
        """With what makes no difference left out."""
        deep, trains = ANSAETZE[ansatz].layered, is_trained_for(defence)
        return Candidate(
            encoding,
            ansatz,
            layers if deep else None,
            readout,
            defence,
            round(eps, 4) if trains and eps is not None else None,
        )

    @property
    def key(self) -> str:
        """Its folder: twelve digits of a hash of all it says."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        deep = self.ansatz if self.layers is None else f"{self.ansatz} x {self.layers}"
        words = [self.encoding, deep, self.readout]
        if not resolve("defence", self.defence, DEFENCES).null:
            words.append(self.defence + ("" if self.eps is None else f" {self.eps:g}"))
        return ", ".join(words)


def is_trained_for(defence: str) -> bool:
    """Whether a defence is trained for a threat, so that its budget matters."""
    return "threat" in resolve("defence", defence, DEFENCES).needs


def budget_matters(defences: Sequence[str]) -> bool:
    """Whether any of them is."""
    return any(is_trained_for(name) for name in defences)


def candidate_of(chosen: Mapping[str, Any]) -> Candidate:
    """From the search's parameters."""
    options: dict[str, Any] = {field.name: chosen.get(field.name) for field in fields(Candidate)}
    return Candidate.of(**options)
