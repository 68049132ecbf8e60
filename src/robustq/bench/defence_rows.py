"""From the raw outcomes of defended models to the rows of the defence table, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq import stats
from robustq.attacks import QuantumAutoAttack
from robustq.bench import summary as s
from robustq.bench.defence_table import DefenceTable, DefendedPoint, DefendedRow, Gain
from robustq.bench.defended import survivors
from robustq.bench.entrants import Entrant
from robustq.bench.estimates import Estimate
from robustq.bench.outside import outsiders
from robustq.bench.spec import Spec
from robustq.bench.stages import bits
from robustq.bench.unit import read_stage
from robustq.catalogue import resolve
from robustq.data import Dataset
from robustq.defences.catalogue import DEFENCES
from robustq.errors import RunError

Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Row:
    """What all seeds of one row produced, and what the table calls it."""

    label: str
    outcomes: s.Outcomes
    clean: list[dict[str, Any]]
    levels: list[list[dict[str, Any]]]  # by eps, then by seed

    def table(self, place: int, name: str) -> Table:
        """Who survives an attack (or all of them) at one budget, ``(seeds, inputs)``."""
        alive = [survivors(level) if name == "robust" else level[name] for level in self.levels[place]]
        # of a model that answers at random two majorities may differ
        return np.array([bits(each) for each in alive]) * self.outcomes.correct


def summarise(run: Path, spec: Spec, data: Dataset, everyone: Sequence[tuple[Entrant, str]]) -> DefenceTable:
    """The table of a run whose units are all done."""
    gathered = [_gather(run, spec, entrant, label) for entrant, label in everyone]
    rows = [_row(row, gathered[0], spec, data, len(gathered) - 1) for row in gathered]
    counts = np.bincount(data.y_test, minlength=len(data.classes))
    eps = spec.threat.reference
    few = f", {' vs '.join(data.classes)}" if len(data.classes) <= 4 else ""
    return DefenceTable(
        title=spec.title or f"Defences of {gathered[0].outcomes.entrant.label} on {data.name}{few}",
        versions=s.versions(*outsiders(spec)),
        spec=spec.model_dump(),
        spec_sha256=spec.content_id,
        data=dict(data.record),
        majority=round(float(counts.max() / counts.sum()), 6),
        threat=str(spec.threat.build(eps)),
        reference_eps=eps,
        usual_attack=str(spec.attack.build()),
        adaptive_attack=str(QuantumAutoAttack()),
        shots=spec.noise.shots,
        confidence=spec.confidence,
        inputs=len(data.x_test),
        seeds=spec.seeds,
        rows=rows,
        sentences=sentences(rows, eps),
    )


def _gather(run: Path, spec: Spec, entrant: Entrant, label: str) -> Row:
    folders = [s.unit_folder(run, entrant, seed) for seed in range(spec.seeds)]

    def read(name: str) -> list[dict[str, Any]]:
        found = [read_stage(folder / name) for folder in folders]
        kept = [content for content in found if content is not None]
        if 0 < len(kept) < len(folders):
            raise RunError(f"{run}: {label}: expected {name} of every seed; run the same command again")
        return kept

    clean, attacks = read("clean.json"), read("attack.json")
    levels = [[a["curve"][k] for a in attacks] for k in range(len(spec.threat.eps))]
    row = Row(label, _outcomes(entrant, clean, read), clean, levels)
    for place, eps in enumerate(spec.threat.eps):
        row.outcomes.curve.append({"eps": eps, "robust": row.table(place, "robust")})
    return row


def _outcomes(entrant: Entrant, clean: list[dict[str, Any]], read: Any) -> s.Outcomes:
    return s.Outcomes(
        entrant,
        read("train.json"),
        np.array([bits(c["correct"]) for c in clean]),
        np.array([c["probabilities"] for c in clean]),
        [],
        read("noise.json"),
        [],
        [],
        [],
        None,
        read("certified.json"),
        [],
    )


def _row(row: Row, first: Row, spec: Spec, data: Dataset, others: int) -> DefendedRow:
    o, entrant = row.outcomes, row.outcomes.entrant
    steps = _steps(entrant, spec)
    rejected = [bits(c["rejected"]) for c in row.clean if "rejected" in c]
    return DefendedRow(
        key=entrant.key,
        label=row.label,
        family=entrant.family,
        steps=steps,
        layers=list(dict.fromkeys(resolve("defence", name, DEFENCES).layer for name in steps)),
        parameters=o.train[0]["parameters"],
        qubits=o.train[0].get("qubits"),
        two_qubit_gates=o.train[0].get("two_qubit_gates"),
        randomised=row.clean[0]["randomised"],
        twins=row.clean[0]["twins"],
        accuracy=s.proportion_of(o.correct, spec),
        accuracy_by_seed=[round(float(v), 6) for v in o.correct.mean(1)],
        rejected=s.proportion_of(np.array(rejected), spec) if rejected else None,
        points=[_point(row, place, spec) for place in range(len(spec.threat.eps))],
        certified=s.certified_of(o, spec),
        uncertified=next((seed["none"] for seed in o.certified if "none" in seed), ""),
        calibration_error=s.calibration_of(o, spec, data),
        noise_resilience=s.resilience_of(o, spec) if o.noise else None,
        gain=None if row is first else _gain(row, first, spec, others),
    )


def _steps(entrant: Entrant, spec: Spec) -> list[str]:
    if entrant.recipe is not None:
        return [step.name for step in spec.recipes[entrant.recipe].all_steps]
    return [spec.defence.name] if entrant.defended else []


def _point(row: Row, place: int, spec: Spec) -> DefendedPoint:
    correct, robust = row.outcomes.correct, row.table(place, "robust")
    levels = row.levels[place]
    return DefendedPoint(
        eps=spec.threat.eps[place],
        robust=s.proportion_of(robust, spec),
        usual=s.proportion_of(row.table(place, "usual"), spec),
        transfer=s.proportion_of(row.table(place, "transfer"), spec),
        adaptive=s.proportion_of(row.table(place, "adaptive"), spec),
        success=Estimate.of(stats.ratio(correct - robust, correct, spec.confidence)),
        robust_to_noise=s.proportion_of(row.table(place, "noise"), spec),
        queries=sum(level["queries"] for level in levels),
        gradients=sum(level["gradients"] for level in levels),
    )


def _gain(row: Row, first: Row, spec: Spec, others: int) -> Gain:
    """Paired differences to the undefended model; Bonferroni over all rows and three figures each."""
    confidence = 1 - (1 - spec.confidence) / max(1, 3 * others)
    place = spec.threat.eps.index(spec.threat.reference)

    def difference(of: str) -> Estimate:
        own, bare = row.table(place, of), first.table(place, of)
        return Estimate.of(stats.difference(own, bare, confidence))

    clean = stats.difference(row.outcomes.correct, first.outcomes.correct, confidence)
    robust, usual = difference("robust"), difference("usual")
    return Gain(
        clean=Estimate.of(clean),
        robust=robust,
        usual=usual,
        survives=robust.low > 0,
        only_usual=usual.low > 0 and not robust.low > 0,
    )


def sentences(rows: Sequence[DefendedRow], eps: float) -> list[str]:
    """The best defence, those that only seem to work, and the classical models beside them."""
    first, recipes = rows[0], [row for row in rows[1:] if row.family != "classical"]
    told = [
        f"Without defence {percent(first.at(eps).robust)} of the inputs are right and stay right at "
        f"eps = {eps:g} (clean accuracy {percent(first.accuracy)})."
    ]
    lasting = [row for row in recipes if row.gain and row.gain.survives]
    if lasting:
        told.append(_best(max(lasting, key=lambda row: row.at(eps).robust.value), eps))
    elif recipes:
        told.append("No defence raises that beyond chance.")
    seeming = [row.label for row in recipes if row.gain and row.gain.only_usual]
    if seeming:
        told.append(
            "Only under the usual attack, not under attacks that know the defence, do these raise it: "
            f"{', '.join(seeming)}."
        )
    classical = [row for row in rows if row.family == "classical"]
    if classical:
        best = max(classical, key=lambda row: row.at(eps).robust.value)
        told.append(
            f"The most robust classical model, {best.label}, keeps {percent(best.at(eps).robust)} "
            f"(clean {percent(best.accuracy)})."
        )
    return told


def _best(row: DefendedRow, eps: float) -> str:
    assert row.gain is not None
    up, cost = row.gain.robust, row.gain.clean
    return (
        f"The best defence, {row.label}, raises it to {percent(row.at(eps).robust)} "
        f"({100 * up.value:+.1f} points, corrected interval {100 * up.low:+.1f} to {100 * up.high:+.1f}) "
        f"and changes clean accuracy by {100 * cost.value:+.1f} points "
        f"({100 * cost.low:+.1f} to {100 * cost.high:+.1f})."
    )


def percent(estimate: Estimate) -> str:
    """A share in percent.

    >>> percent(Estimate(value=0.5, low=0.4, high=0.6, inputs=1, seeds=1))
    '50.0 %'
    """
    return f"{100 * estimate.value:.1f} %"
