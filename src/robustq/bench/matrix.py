"""The schema of ``transfer.json``: whose adversarial inputs fool whom, in counts."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from robustq.bench.estimates import Record, StudyRecord
from robustq.bench.records import read_record

SCHEMA: Literal["robustq-transfer-1"] = "robustq-transfer-1"


class Player(Record):
    """A model that makes adversarial inputs, or meets them, or both."""

    key: str
    label: str
    family: str = Field(description="quantum, hybrid, classical, or none for random noise")
    parameters: int
    correct: list[int] = Field(description="clean inputs classified correctly, for each seed")


class Cell(Record):
    """One source against one target.

    >>> Cell(source="qnn", target="mlp", flipped=[3, 1], correct=[10, 10], low=0.1, high=0.4).rate
    0.2
    """

    source: str
    target: str
    flipped: list[int] = Field(description="of those below, flipped by the source; for each seed")
    correct: list[int] = Field(description="inputs the target classifies correctly, for each seed")
    low: float = Field(description="of the interval of flipped over correct, seeds x inputs")
    high: float

    @property
    def rate(self) -> float:
        """Flipped over correct, all seeds together."""
        return sum(self.flipped) / max(1, sum(self.correct))


class Matrix(StudyRecord):
    """The whole of ``transfer.json``."""

    command: ClassVar[str] = "transfer"
    schema_version: Literal["robustq-transfer-1"] = SCHEMA
    attack: str
    inputs: int
    majority: int = Field(description="inputs of the commonest test class")
    seeds: int
    sources: list[Player]
    targets: list[Player]
    cells: list[Cell] = Field(description="row by row: sources in order, targets within")

    def cell(self, source: str, target: str) -> Cell:
        """The cell of two keys."""
        return next(c for c in self.cells if (c.source, c.target) == (source, target))

    @property
    def idle(self) -> list[Player]:
        """Targets that are no better than always answering the commonest class, seeds averaged."""
        return [t for t in self.targets if sum(t.correct) <= self.seeds * self.majority]


def read_matrix(run: Path) -> Matrix:
    """The checked matrix of a finished run (see :func:`robustq.bench.records.read_record`)."""
    return read_record(run, Matrix)
