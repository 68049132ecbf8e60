"""The mitigation table: what each technique changes, each number with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robustq import stats
from robustq.bench.estimates import Estimate, Record

Array = NDArray[np.float64]


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


def mitigation_rows(seeds: Sequence[Mapping[str, Any]], confidence: float) -> list[MitigationRow]:
    """The rows from what each seed's model gave (see :func:`robustq.bench.mitigated.mitigated`)."""
    names = [row["name"] for row in seeds[0]["rows"]]
    refused = {row["name"] for seed in seeds for row in seed["rows"] if "refused" in row}
    compared = max(1, 2 * (len(names) - len(refused) - 1))
    corrected = 1 - (1 - confidence) / compared
    base = [seed["rows"][0] for seed in seeds]
    rows = []
    for k, name in enumerate(names):
        found = [seed["rows"][k] for seed in seeds]
        if name in refused:
            reason = next(row["refused"] for row in found if "refused" in row)
            rows.append(MitigationRow(name=name, technique=found[0]["technique"], refused=reason))
        else:
            rows.append(_row(found, base, confidence, corrected))
    return rows


def _row(
    found: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]], confidence: float, corrected: float
) -> MitigationRow:
    hits = {key: _hits(found, key) for key in ("clean", "robust")}
    before = {key: _hits(base, key) for key in ("clean", "robust")}
    gains = {
        f"{word}_gain": None
        if found[0]["name"] == base[0]["name"]
        else Estimate.of(stats.difference(hits[key], before[key], corrected))
        for word, key in (("accuracy", "clean"), ("robust", "robust"))
    }
    means = {key: _mean(found, key, confidence) for key in ("bias", "error", "spread")}
    return MitigationRow(
        name=found[0]["name"],
        technique=found[0]["technique"],
        overhead=round(_variance(found) / max(_variance(base), 1e-300), 4),
        circuits=found[0]["circuits"],
        random=found[0]["random"],
        training=found[0]["training"],
        accuracy=Estimate.of(stats.proportion(hits["clean"], confidence)),
        robust=Estimate.of(stats.proportion(hits["robust"], confidence)),
        **means,
        **gains,
    )


def _hits(found: Sequence[Mapping[str, Any]], key: str) -> Array:
    return np.array([[float(letter) for letter in row[key]] for row in found])


def _mean(found: Sequence[Mapping[str, Any]], key: str, confidence: float) -> Estimate:
    table = np.array([row[key] for row in found])
    return Estimate.of(stats.mean(table, confidence, bounds=(0.0, np.inf)))


def _variance(found: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([row["variance"] for row in found]))
