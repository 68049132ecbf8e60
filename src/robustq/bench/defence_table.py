"""The schema of ``defences.json``: what each defence buys under the strongest attack, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationError

from robustq.bench.estimates import Estimate, Record, StudyRecord
from robustq.bench.records import read_record
from robustq.bench.results import Certified

SCHEMA: Literal["robustq-defences-1"] = "robustq-defences-1"


class DefendedPoint(Record):
    """One budget. An input counts as robust only if no attack of the three flips it."""

    eps: float
    robust: Estimate = Field(description="correct, and flipped by none of the attacks")
    usual: Estimate = Field(description="correct, and not flipped by the specification's attack alone")
    transfer: Estimate = Field(
        description="correct, and not flipped by the worst inputs found on the undefended model"
    )
    adaptive: Estimate = Field(
        description="correct, and not flipped by QuantumAutoAttack on the defended model and its twins"
    )
    success: Estimate = Field(description="attack success rate: flipped by any, among correct")
    robust_to_noise: Estimate = Field(description="same as robust, against random noise")
    queries: int = Field(description="forward passes of one input, all attacks, summed over seeds")
    gradients: int = Field(description="input gradients of one input, likewise")


class Gain(Record):
    """A row minus the undefended quantum model on the same inputs; intervals corrected for the number of rows."""

    clean: Estimate
    robust: Estimate
    usual: Estimate
    survives: bool = Field(description="robust accuracy rises, beyond chance")
    only_usual: bool = Field(description="it seems to rise under the usual attack, beyond chance, but not under all")


class DefendedRow(Record):
    """One recipe, or a classical model."""

    key: str
    label: str
    family: str
    steps: list[str] = Field(description="names in `robustq list defences`, as applied")
    layers: list[str] = Field(description="where in the pipeline they act")
    parameters: int
    qubits: int | None
    two_qubit_gates: int | None
    randomised: bool = Field(
        description="whether it answers at random: verdicts by majority, attacks by mean answers"
    )
    twins: int = Field(description="models on which the adaptive attack also prepares")
    accuracy: Estimate
    accuracy_by_seed: list[float]
    rejected: Estimate | None = Field(description="clean inputs that raise its alarm, if it has one")
    points: list[DefendedPoint]
    certified: Certified | None
    uncertified: str = Field(description="why nothing is proved, if it was tried")
    calibration_error: Estimate
    noise_resilience: Estimate | None
    gain: Gain | None = Field(description="none for the undefended model itself")

    def at(self, eps: float) -> DefendedPoint:
        """One budget of the grid."""
        return next(p for p in self.points if p.eps == eps)


class DefenceTable(StudyRecord):
    """The whole of ``defences.json``."""

    command: ClassVar[str] = "defend"
    schema_version: Literal["robustq-defences-1"] = SCHEMA
    majority: float = Field(description="accuracy of always answering the commonest test class")
    reference_eps: float
    usual_attack: str
    adaptive_attack: str
    shots: int
    inputs: int
    seeds: int
    rows: list[DefendedRow] = Field(description="the undefended quantum model first")
    sentences: list[str] = Field(description="what a reader should take away")

    def row(self, key: str) -> DefendedRow:
        """The row with this key."""
        return next(row for row in self.rows if row.key == key)


class Timing(Record):
    """Wall time, kept out of the table so that it can be compared byte for byte."""

    training: dict[str, float] = Field(description="seconds, median over seeds, by row")
    answering: dict[str, float] = Field(description="seconds for 1000 inputs, median over seeds, by row")


def read_table(run: Path) -> DefenceTable:
    """The checked table of a finished run (see :func:`robustq.bench.records.read_record`)."""
    return read_record(run, DefenceTable)


def read_timing(run: Path) -> Timing:
    """The wall times of a finished run; none where they were not kept."""
    try:
        return Timing.model_validate_json((run / "timing.json").read_bytes())
    except (OSError, ValidationError):
        return Timing(training={}, answering={})
