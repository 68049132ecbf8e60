"""The schema of ``codesign.json``: every architecture that was tried, the Pareto front, and what it is worth.

Scores of the search are from held-back training rows; scores of the finalists from the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robustq.bench.estimates import Estimate, Record, StudyRecord
from robustq.bench.records import read_record

SCHEMA: Literal["robustq-codesign-1"] = "robustq-codesign-1"


class Goal(Record):
    """One objective."""

    name: str
    label: str
    summary: str
    higher: bool = Field(description="whether more is better")
    chosen: bool = Field(description="whether the search was for it")


class Architecture(Record):
    """Encoding, ansatz, depth, read-out, defence and its training budget."""

    encoding: str
    ansatz: str
    layers: int | None = Field(description="none where the ansatz has a depth of its own")
    readout: str
    defence: str
    eps: float | None = Field(description="training budget; none where the defence has none")


class Trial(Record):
    """One architecture that the search tried."""

    number: int
    label: str
    parameters: Architecture
    two_qubit_gates: int = Field(description="-1 where the circuit cannot be built")
    scores: dict[str, Estimate] = Field(description="on the held-back rows; empty if never trained")
    infeasible: str = Field("", description="which constraint it violates, or why it cannot be")
    violation: float = Field(0.0, description="by how much; 0 inside the constraints")
    same_as: int | None = Field(None, description="the earlier trial of the same architecture")
    front: bool = Field(False, description="on the Pareto front of the search")
    notes: list[str] = Field(default_factory=list)


class Finalist(Record):
    """A member of the front on the test rows, beside the specification's own model."""

    number: int = Field(description="of its trial")
    label: str
    scores: dict[str, Estimate]
    gaps: dict[str, Estimate] = Field(
        description="against the reference; positive is better; intervals corrected for their number"
    )
    better: list[str] = Field(description="objectives of the search with the interval above zero")
    worse: list[str] = Field(description="with the interval below zero")
    notes: list[str] = Field(default_factory=list)

    @property
    def dominates(self) -> bool:
        """Better in two objectives or more, and worse in none, beyond the intervals."""
        return len(self.better) >= 2 and not self.worse


class Front(StudyRecord):
    """The whole of ``codesign.json``."""

    command: ClassVar[str] = "codesign"
    schema_version: Literal["robustq-codesign-1"] = SCHEMA
    attack: str = Field(description="of the search")
    final_attack: str
    rows: dict[str, int] = Field(description="fitted and held back in the search, and of the test")
    seeds: dict[str, int] = Field(description="trainings of each: search and final")
    goals: list[Goal]
    trials: list[Trial] = Field(description="in order; the first is the specification's own model")
    reference: Finalist = Field(description="the specification's own model on the test rows")
    finalists: list[Finalist]
    left_out: int = Field(description="members of the front beyond the finalists")
    failed: list[str] = Field(default_factory=list, description="finalists that could not be trained again, and why")
    contradictions: int = Field(description="certified test inputs that the attack flipped; must be 0")
    statement: str

    @property
    def chosen(self) -> list[Goal]:
        """The objectives of the search."""
        return [goal for goal in self.goals if goal.chosen]

    @property
    def members(self) -> list[Trial]:
        """The Pareto front of the search."""
        return [trial for trial in self.trials if trial.front]


def read_front(run: Path) -> Front:
    """The checked outcome of a finished search (see :func:`robustq.bench.records.read_record`)."""
    return read_record(run, Front)


def non_dominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows no other row dominates: as good in every column, better in one; more is better.

    >>> non_dominated(np.array([[1, 0], [0, 1], [0, 0], [1, 0.0]])).tolist()
    [True, True, False, True]
    """
    no_worse = (values[:, None] >= values[None]).all(2)
    beats = no_worse & (values[:, None] > values[None]).any(2)
    found: NDArray[np.bool_] = np.logical_not(beats.any(0))
    return found


def spread(values: NDArray[np.float64], count: int) -> list[int]:
    """At most ``count`` rows that lie far apart, columns scaled to their ranges, in rising order.

    First the row with the largest sum, then always the one furthest from those taken.

    >>> spread(np.array([[0, 1], [0.1, 0.9], [1, 0.5]]), 2)
    [0, 2]
    """
    if len(values) <= count:
        return list(range(len(values)))
    reach = values.max(0) - values.min(0)
    scaled = (values - values.min(0)) / np.where(reach > 0, reach, 1.0)
    taken = [int(scaled.sum(1).argmax())]
    while len(taken) < count:
        apart = np.linalg.norm(scaled[:, None] - scaled[None, taken], axis=2).min(1)
        taken.append(int(apart.argmax()))
    return sorted(taken)


def statement(finalists: Sequence[Finalist], goals: Sequence[Goal], left_out: int) -> str:
    """What the test rows say of the front and the specification's own model, in words."""
    labels = {goal.name: goal.label.lower() for goal in goals}
    winners = [f for f in finalists if f.dominates]
    if not finalists:
        return "The front is the specification's own model alone."
    if not winners:
        return (
            f"None of the {len(finalists)} finalists is better than the specification's own model in two "
            "objectives, beyond the intervals, without being worse in another."
        )
    best = max(winners, key=lambda f: (len(f.better), -f.number))
    names = [labels[name] + _gap(best, name) for name in best.better]
    rest = [labels[g.name] + _gap(best, g.name) for g in goals if g.chosen and g.name not in best.better]
    inside = f"; not worse, beyond the interval, in {_listed(rest)}" if rest else ""
    more = f" of {len(finalists)} finalists ({left_out} members of the front were not tried)"
    count = more if left_out else f" of {len(finalists)} finalists"
    return (
        f"{len(winners)}{count} dominate{'s' if len(winners) == 1 else ''} the specification's own model on the "
        f"test rows. Trial {best.number} ({best.label}) is better in {_listed(names)}{inside}."
    )


def _gap(row: Finalist, name: str) -> str:
    """The gap in brackets: points of percent with the interval, or so many fewer."""
    if name not in row.gaps:
        return ""
    found = row.gaps[name]
    if not found.inputs:  # a count
        return f" ({abs(found.value):.0f} {'fewer' if found.value > 0 else 'more'})" if found.value else ""
    low, value, high = (100 * v for v in (found.low, found.value, found.high))
    return f" ({value:+.1f} points [{low:+.1f}, {high:+.1f}])"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
