"""The mitigation table: what each technique changes, each number with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from robustq import stats
from robustq.bench.estimates import Estimate, Record, share
from robustq.bench.stages import Stage, Table, table


class MitigationOutcome(Stage):
    """What one technique did to one seed's model, an input; empty but for the reason if it does not apply."""

    name: str
    technique: str
    refused: str = ""
    circuits: int = 0
    random: bool = False
    training: int = 0
    clean: str = ""
    robust: str = ""
    bias: list[float] = Field(default_factory=list)
    error: list[float] = Field(default_factory=list)
    spread: list[float] = Field(default_factory=list)
    variance: float = 0.0


class MitigationStage(Stage):
    """Every technique on one seed's model; the first does nothing."""

    file: ClassVar[str] = "mitigation.json"
    shots: int
    rows: list[MitigationOutcome]


class MitigationRow(Record):
    """One technique on one entrant; expectations lie in [-1, 1]."""

    name: str = Field(description="in `robustq list mitigations`, stacked by +")
    technique: str = Field(description="with its options")
    refused: str = Field("", description="why it does not apply; everything else is empty then")
    bias: Estimate | None = Field(None, description="mean distance of exact values from ideal ones")
    error: Estimate | None = Field(None, description="mean distance from the ideal values, with shots")
    spread: Estimate | None = Field(None, description="standard deviation over draws of the shots")
    overhead: float | None = Field(
        None, description="variance over that of no mitigation, with as many shots altogether"
    )
    circuits: int = Field(0, description="different circuits and settings for one answer")
    random: bool = Field(False, description="every shot runs a random circuit of its own")
    training: int = Field(0, description="circuits run once a model, before any answer")
    accuracy: Estimate | None = Field(None, description="clean accuracy with shots")
    robust: Estimate | None = Field(
        None,
        description="at the reference eps, exact expectations: correct and flipped neither by an attack on "
        "the mitigated model nor by examples made on the noise-free one",
    )
    accuracy_gain: Estimate | None = Field(
        None, description="minus that of no mitigation, paired, corrected for the number of techniques"
    )
    robust_gain: Estimate | None = Field(None, description="likewise")

    @property
    def significant(self) -> tuple[bool, bool]:
        """Whether clean and robust accuracy changed: their corrected intervals leave out zero."""
        found = [g is not None and (g.low > 0 or g.high < 0) for g in (self.accuracy_gain, self.robust_gain)]
        return found[0], found[1]


class Mitigations(Record):
    """The whole of ``mitigation.json``: one model on one device."""

    schema_version: Literal["robustq-mitigation-1"] = "robustq-mitigation-1"
    title: str
    model: str
    device: str
    shots: int = Field(description="of one answer, shared among a technique's circuits")
    threat: str
    attack: str
    attacked: int = Field(description="test inputs that were attacked and repeated")
    confidence: float
    versions: dict[str, str]
    rows: list[MitigationRow]


def mitigation_rows(seeds: Sequence[MitigationStage], confidence: float) -> list[MitigationRow]:
    """The rows from what each seed's model gave (see :func:`robustq.bench.mitigation.mitigate`)."""
    techniques = list(zip(*(seed.rows for seed in seeds), strict=True))
    refusals = [next((row.refused for row in rows if row.refused), "") for rows in techniques]
    compared = max(1, 2 * (refusals.count("") - 1))
    corrected = 1 - (1 - confidence) / compared
    return [
        MitigationRow(name=rows[0].name, technique=rows[0].technique, refused=refused)
        if refused
        else _row(rows, techniques[0], confidence, corrected)
        for rows, refused in zip(techniques, refusals, strict=True)
    ]


Seeds = Sequence[MitigationOutcome]  # one technique's outcomes, seed by seed


def _row(rows: Seeds, base: Seeds, confidence: float, corrected: float) -> MitigationRow:
    first = rows[0]

    def gain(key: str) -> Estimate | None:
        if rows is base:
            return None
        return Estimate.of(stats.difference(_hits(rows, key), _hits(base, key), corrected))

    def mean(key: str) -> Estimate:
        values = np.array([getattr(row, key) for row in rows])
        return Estimate.of(stats.mean(values, confidence, bounds=(0.0, np.inf)))

    return MitigationRow(
        name=first.name,
        technique=first.technique,
        overhead=round(_variance(rows) / max(_variance(base), 1e-300), 4),
        circuits=first.circuits,
        random=first.random,
        training=first.training,
        accuracy=share(_hits(rows, "clean"), confidence),
        robust=share(_hits(rows, "robust"), confidence),
        accuracy_gain=gain("clean"),
        robust_gain=gain("robust"),
        **{key: mean(key) for key in ("bias", "error", "spread")},
    )


def _hits(rows: Seeds, key: str) -> Table:
    return table(getattr(row, key) for row in rows)


def _variance(rows: Seeds) -> float:
    return float(np.mean([row.variance for row in rows]))
